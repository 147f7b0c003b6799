"""The two tasks, shells over the steps: a message is a bell, the rows say what is due."""

import functools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from service.celery_settings import ANALYSE, DELIVER
from service.consignments import STRAYS
from service.dispatch import Bell
from workers import context, failures, nets
from workers.analyse_step import analyse
from workers.deliver_step import deliver
from workers.lanes import Lanes
from workers.profiles import ProfileBook
from workers.retire_step import retire

if TYPE_CHECKING:
    from celery import Celery

    from models.protocols import Eye
    from service.settings import Settings
    from workers.context import WorkerContext

log = structlog.get_logger(__name__)

DELIVERIES_AT_MOST_S = 60.0  # then the task ends, so that its time limit is that of few sendings


class Workshop:
    """What the child of a worker holds between tasks; nothing is made before the first task.

    The parent that forks the children holds one too and never touches it: connections and
    networks must not be carried through a fork.
    """

    def __init__(
        self, settings: "Settings", load_eye: "Callable[[Settings], Eye]" = nets.load
    ) -> None:
        self._settings = settings
        self._load_eye = load_eye

    def analyse(self) -> None:
        """Read one batch of studies."""
        analyse(self.context, self.book)

    def deliver(self) -> None:
        """Carry deliveries as far as they go, until none is due."""
        names = [one.name for one in self._settings.archives]
        if len(names) > 1:
            serve = Lanes(
                lambda name: deliver(self.context, name) is not None or retire(self.context, name),
                DELIVERIES_AT_MOST_S,
            )
            serve.run([*names, STRAYS])
            return
        started = time.monotonic()
        while time.monotonic() - started < DELIVERIES_AT_MOST_S:
            if deliver(self.context) is None and not retire(self.context):
                return

    @functools.cached_property
    def context(self) -> "WorkerContext":
        """The context of this process."""
        eye = functools.cache(functools.partial(self._load_eye, self._settings))
        return context.make(self._settings, eye, Bell(self._settings).ring_deliver)

    @functools.cached_property
    def book(self) -> ProfileBook:
        """What the archives take, as far as this process knows."""
        return ProfileBook(self._settings.home)


def register(app: "Celery", workshop: Workshop) -> None:
    """Make the two tasks known to ``app`` under the names that bells are rung with."""

    @app.task(name=ANALYSE, shared=False)
    def analyse_task(job_id: str) -> None:
        _guarded(ANALYSE, job_id, workshop.analyse)

    @app.task(name=DELIVER, shared=False)
    def deliver_task(job_id: str) -> None:
        _guarded(DELIVER, job_id, workshop.deliver)


def _guarded(task: str, job_id: str, step: Callable[[], None]) -> None:
    """Run a step for a bell: the outermost border, so that no text of an error is logged."""
    with structlog.contextvars.bound_contextvars(task=task, rung_for=job_id):
        try:
            step()
        except Exception as error:  # noqa: BLE001  (the border of a task)
            log.critical("task_failed", error=type(error).__name__, reason=failures.reason(error))
