"""The process that receives: settings, checks, the listener of :mod:`dicom.receive`, intake.

Several processes can share one port; the kernel spreads associations over them. Each makes its own
connections to the database, after it was started.
"""

import _thread
import gc
import multiprocessing
import os
import signal
import threading
from functools import partial
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import SQLAlchemyError

from dicom import gate, receive
from service import (
    audit,
    commitments,
    intake,
    logs,
    reading,
    ready,
    secure,
    stretches,
    tracing,
)
from service.db import migrate
from service.db.engine import Database, check_durable
from service.errors import StartFailed
from service.values import AuditEvent, EventType

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

    from dicom.commitment import CommitmentReport
    from dicom.receive import AssociationNotice
    from dicom.values import ReceivedInstance
    from service.intake import IntakeRules
    from service.settings import Settings

MEGABYTE = 1_000_000
LISTENER = "listener"
LOOK_EVERY_S = 0.5
ENDED_BADLY = 1
GRACE_S = 20.0  # a listener waits five seconds for what is being received

log = structlog.get_logger(__name__)


def run(settings: "Settings") -> int:
    """Listen until SIGTERM or SIGINT; return the exit code of the process.

    Raises
    ------
    DatabaseNotDurable, DatabaseNotMigrated
        If the database is not fit: no success could be answered.
    StartFailed
        If the address cannot be bound.
    """
    stop = stop_on_signals()
    if settings.listener_processes == 1:
        serve(settings, stop)
        return 0
    return _run_several(settings, stop)


def stop_on_signals() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set.

    A handler runs in the main thread, which may hold the event's own lock just then: setting it
    there would wait for itself for ever, so another thread does.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _thread.start_new_thread(stop.set, ()))
    return stop


def serve(settings: "Settings", stop: threading.Event) -> None:
    """Run one listener in this process until ``stop`` is set; raises as :func:`run`."""
    database = Database(settings.database_url.get_secret_value(), application_name="carina-listen")
    try:
        check_durable(database)
        migrate.check(database, "listen")
        listener = _start(settings, database)
        _spare_the_collector()
        log.info("listening", port=listener.port, ae_title=settings.listener_ae_title)
        ready.announce()
        while not stop.wait(LOOK_EVERY_S):
            if not listener.is_alive:
                raise RuntimeError("the listener's thread has ended")
        log.info("listener_stopping")
        listener.stop()
    finally:
        database.dispose()


def _spare_the_collector() -> None:
    """Let garbage collection pass over everything made so far, which stays anyway.

    pynetdicom collects on every sixtieth connection, in the thread that accepts: through all that
    was imported this takes a tenth of a second in which no other thread runs.
    """
    gc.collect()
    gc.freeze()


def _start(settings: "Settings", database: Database) -> receive.Listener:
    try:
        return receive.start(
            configuration(settings),
            accept=partial(_accept, database, reading.intake_rules(settings)),
            notice=partial(_notice, database),
            report=partial(_report, database),
        )
    except OSError as error:
        where = f"{settings.listener_host}:{settings.listener_port}"
        raise StartFailed(f"cannot listen on {where}: {error.strerror or error}") from error


def configuration(settings: "Settings") -> receive.ListenerConfig:
    """Return the site's settings as those of the listener."""
    return receive.ListenerConfig(
        spool_root=settings.spool.absolute(),
        ae_title=settings.listener_ae_title,
        host=settings.listener_host,
        port=settings.listener_port,
        callers=settings.callers,
        other_sop_classes=settings.other_sop_classes,
        disk_reserve_bytes=settings.disk_reserve_mb * MEGABYTE,
        disk_resume_bytes=settings.resume_mb * MEGABYTE,
        maximum_object_bytes=settings.maximum_instance_mb * MEGABYTE,
        limits=gate.Limits(
            maximum_associations=settings.maximum_associations,
            connections_per_address=settings.connections_per_address,
            connections_per_stranger=settings.connections_per_stranger,
            maximum_connections=settings.maximum_connections,
        ),
        acse_timeout_s=settings.association_timeout_s,
        socket_timeout_s=settings.pdu_timeout_s,
        network_timeout_s=settings.silence_timeout_s,
        ssl_context=secure.listener_context(settings),
        reuse_port=settings.listener_processes > 1,
        fast_path=settings.listener_fast_path,
    )


def _accept(database: Database, rules: "IntakeRules", received: "ReceivedInstance") -> None:
    reception = intake.accept(database, received, rules, receive.utc_now())
    tracing.tell(stretches.of_reception(received, reception, receive.utc_now()))
    log.info(
        "instance_received",
        study_instance_uid=received.ref.study_instance_uid,
        sop_instance_uid=received.ref.sop_instance_uid,
        reception=reception,
        size_bytes=received.size_bytes,
    )


def _report(database: Database, heard: "CommitmentReport") -> bool:
    """Take down a storage commitment report; the deliverers look at it next."""
    with database.begin() as session:
        known = commitments.report(session, heard, LISTENER, receive.utc_now())
    log.info(
        "commitment_reported",
        transaction_uid=heard.transaction_uid,
        committed=len(heard.committed),
        failed=len(heard.failures),
        known=known,
    )
    return known


def _notice(database: Database, notice: "AssociationNotice") -> None:
    event = AuditEvent(
        event_type=EventType(notice.kind.value),
        event_action_code="E",
        event_outcome_indicator=4,  # minor failure: it was theirs, and turned away
        user_id=notice.peer.calling_ae_title,
        sop_instance_uid=notice.sop_instance_uid,
        detail={
            "called_ae_title": notice.peer.called_ae_title,
            "peer_address": notice.peer.address,
            "reason": notice.reason,
            "status": None if notice.status is None else f"0x{notice.status:04X}",
            "contexts": list(notice.contexts),
        },
    )
    log.warning(notice.kind.value, reason=notice.reason, peer_address=notice.peer.address)
    try:
        with database.begin() as session:
            audit.record(session, event, notice.occurred_at)
    except SQLAlchemyError as error:
        # The sender was turned away as it should; that this cannot be recorded now is said here.
        log.error("notice_not_recorded", kind=notice.kind.value, error=type(error).__name__)  # noqa: TRY400


def _run_several(settings: "Settings", stop: threading.Event) -> int:
    """Run as many processes as the settings say; when one dies, all end and we are restarted."""
    spawn = multiprocessing.get_context("spawn")
    children = [
        spawn.Process(target=_serve_as_child, args=(settings,), name=f"listen-{number}")
        for number in range(settings.listener_processes)
    ]
    for child in children:
        child.start()
    while not stop.wait(LOOK_EVERY_S):
        if not all(child.is_alive() for child in children):
            log.error("listener_process_ended")
            break
    _end(children)
    return 0 if stop.is_set() else ENDED_BADLY


def _end(children: "list[SpawnProcess]") -> None:
    for child in children:
        child.terminate()
    for child in children:
        child.join(GRACE_S)
        if child.is_alive():
            log.error("listener_process_killed")
            child.kill()
            child.join()


def _serve_as_child(settings: "Settings") -> None:
    logs.configure(settings, "listen")
    tracing.configure(settings, "listen")
    stop = stop_on_signals()
    _stop_with(os.getppid(), stop)
    serve(settings, stop)


def _stop_with(parent: int, stop: threading.Event) -> None:
    """Set ``stop`` when the parent has gone, however it went."""

    def watch() -> None:
        while not stop.wait(LOOK_EVERY_S):
            if os.getppid() != parent:
                stop.set()

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
