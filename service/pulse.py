"""A sign of life of every process in the database, so that one that died is missed anywhere.

A supervisor sees its own children; processes on other machines are known by this alone. A process
that ends in good order takes its row away; one that fell silent is told about for a day.
"""

import importlib.metadata
import os
import socket
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

import structlog
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from service.db import migrate
from service.db.engine import Database
from service.db.tables import WorkerRow

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

    from service.settings import Settings

BEAT_S = 10.0
SILENT_AFTER = timedelta(seconds=4 * BEAT_S)
FORGOTTEN_AFTER = timedelta(days=1)
PATIENCE_S = 6.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ProcessSeen:
    """One process as the database last heard of it; ``name`` is role@host:pid."""

    name: str
    role: str
    started_at: datetime
    seen_at: datetime
    is_silent: bool


class _Turns:
    """Lets beats and forks take turns.

    A lock that a thread holds while its process forks is never released in the child: a beat was
    once in the middle of the libraries' locks when a worker forked, and no task of that child ever
    got through. A fork waits for a beat to end, for ``PATIENCE_S`` at most.
    """

    def __init__(self) -> None:
        self._beating, self._is_held = threading.Lock(), False
        os.register_at_fork(
            before=self._wait, after_in_parent=self._go_on, after_in_child=self._begin_anew
        )

    def __enter__(self) -> None:
        self._beating.acquire()

    def __exit__(self, *_: object) -> None:
        self._beating.release()

    def _wait(self) -> None:
        self._is_held = self._beating.acquire(timeout=PATIENCE_S)

    def _go_on(self) -> None:
        if self._is_held:
            self._beating.release()

    def _begin_anew(self) -> None:
        self._beating, self._is_held = threading.Lock(), False


_turns = _Turns()


class Pulse:
    """Writes one process's sign of life while the ``with`` block runs; a thread, never in the way.

    No connection stays open between two beats, and no process forks during one, so that a process
    may fork at any time.
    """

    def __init__(self, settings: "Settings", role: str, every_s: float = BEAT_S) -> None:
        self.name = f"{role}@{socket.gethostname()}:{os.getpid()}"
        self._role = role
        self._every_s = every_s
        self._url = settings.database_url.get_secret_value()
        self._started_at = datetime.now(UTC)
        self._version = _version()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(PATIENCE_S)

    def _run(self) -> None:
        if not self._url:
            return  # the process itself says what it misses
        self._try(self._beat)
        while not self._stop.wait(self._every_s):
            self._try(self._beat)
        self._try(self._leave)

    def _try(self, what: "Callable[[Session, datetime], None]") -> None:
        with _turns:
            database = Database(self._url, pool_size=1, application_name="carina-pulse")
            try:
                with database.begin() as session:
                    what(session, datetime.now(UTC))
            except SQLAlchemyError as error:
                log.warning("pulse_not_recorded", error=type(error).__name__)
            finally:
                database.dispose()

    def _beat(self, session: "Session", now: datetime) -> None:
        row = insert(WorkerRow).values(
            name=self.name,
            role=self._role,
            process_id=os.getpid(),
            started_at=self._started_at,
            seen_at=now,
            detail={"schema": migrate.head(), "version": self._version},
        )
        session.execute(row.on_conflict_do_update(index_elements=["name"], set_={"seen_at": now}))
        session.execute(delete(WorkerRow).where(WorkerRow.seen_at < now - FORGOTTEN_AFTER))

    def _leave(self, session: "Session", _now: datetime) -> None:
        session.execute(delete(WorkerRow).where(WorkerRow.name == self.name))


def _version() -> str:
    try:
        return importlib.metadata.version("carina")
    except importlib.metadata.PackageNotFoundError:
        return "0+source"


def seen(session: "Session", now: datetime) -> tuple[ProcessSeen, ...]:
    """Return every process heard of within a day, by name."""
    rows = session.scalars(
        select(WorkerRow).where(WorkerRow.seen_at > now - FORGOTTEN_AFTER).order_by(WorkerRow.name)
    )
    return tuple(
        ProcessSeen(
            row.name, row.role, row.started_at, row.seen_at, row.seen_at < now - SILENT_AFTER
        )
        for row in rows
    )


def missed(processes: tuple[ProcessSeen, ...]) -> tuple[ProcessSeen, ...]:
    """Return one silent process of each role that nobody fills since."""
    filled = {process.role for process in processes if not process.is_silent}
    silent = sorted(processes, key=lambda process: process.seen_at)
    return tuple({p.role: p for p in silent if p.role not in filled}.values())
