"""The Celery worker as a process: one forked child that does the work, and can be killed."""

import logging
import socket
from typing import TYPE_CHECKING, Final

import billiard.pool
from celery import Celery, signals

from service import ready
from service.celery_settings import celery_settings
from service.db import migrate
from service.db.engine import Database, check_durable
from service.pulse import Pulse
from workers.tasks import Workshop, register

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.protocols import Eye
    from service.settings import Settings

CONSUMER: Final = "workers.consuming:Consumer"
HEARD_WITHIN_S: Final = 5.0


def make_app(settings: "Settings", workshop: Workshop) -> Celery:
    """Return the Celery application of a worker with its tasks."""
    app = Celery("carina")
    app.conf.update(celery_settings(settings))
    app.conf.worker_consumer = CONSUMER
    register(app, workshop)
    return app


def run(
    settings: "Settings",
    process: str,
    queue: str,
    load_eye: "Callable[[Settings], Eye] | None" = None,
) -> int:
    """Work on one queue until SIGTERM, then finish the running task; return the exit code.

    ``load_eye`` is only for tests, which bring a network of their own.

    Raises
    ------
    DatabaseNotDurable, DatabaseNotMigrated
        Before any message is taken.
    """
    _check(settings, process)
    workshop = Workshop(settings) if load_eye is None else Workshop(settings, load_eye)
    app = make_app(settings, workshop)
    _part_soon()
    # Logging is set up already, the same for every process; children inherit it.
    logging.getLogger("highdicom").setLevel(logging.WARNING)  # it tells every module it copies
    signals.setup_logging.connect(_keep_logging, weak=False)
    ready.announce_with_celery()
    worker = app.Worker(
        hostname=f"{process}@{socket.gethostname()}",
        queues=[queue],
        loglevel=settings.log_level,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    with Pulse(settings, process):
        worker.start()
    return int(worker.exitcode or 0)


def _keep_logging(**_: object) -> None:
    """Stand in for Celery's own set-up of logging: a receiver is all it looks for."""


def _part_soon() -> None:
    """Let a child that ends wait ``HEARD_WITHIN_S`` for its parent to hear of its work, not 30 s.

    Asked to stop, Celery forgets a message whose child has not said yet that it has it, and the
    child would wait in vain. What it did is in the database; there is no setting for this.
    """
    turns = HEARD_WITHIN_S / billiard.pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_INTERVAL
    billiard.pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = round(turns)


def _check(settings: "Settings", process: str) -> None:
    url = settings.database_url.get_secret_value()
    database = Database(url, application_name="carina-worker")
    try:
        check_durable(database)
        migrate.check(database, process)
    finally:
        # The children must not inherit a connection.
        database.dispose()
