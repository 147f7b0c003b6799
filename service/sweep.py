"""The clock: close quiet studies, take back lost jobs, ring again, raise the alarm, seal.

A plain loop on Postgres under an advisory lock: it does not travel through the broker it repairs,
and any number of sweeps may run, of which one works.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import SQLAlchemyError

from dicom import failpoints, spool
from dicom.errors import DicomError
from dicom.failpoints import Failpoint
from service import alarm, correcting, jobs, reconcile, studies
from service.correcting import Places
from service.db import locks, queries
from service.db.tables import DELIVERABLE
from service.dispatch import Bell
from service.errors import AuditBroken
from service.housekeeping import Housekeeper
from service.ringing import RetirementRinger, Ringer
from service.seal import Sealer
from service.values import JobState

if TYPE_CHECKING:
    from threading import Event

    from service.db.engine import Database
    from service.settings import Settings
    from service.values import Job

TICK = timedelta(seconds=1)
SHORTEST = timedelta(milliseconds=20)
HOUSEKEEPING = timedelta(hours=1)
ABANDONED = timedelta(hours=1)
ALARM_EVERY = timedelta(seconds=30)

log = structlog.get_logger(__name__)


class Sweep:
    """What one process of the sweep remembers between its rounds."""

    def __init__(self, database: "Database", settings: "Settings", bell: Bell) -> None:
        self._database = database
        self._settings = settings
        self._sealer = Sealer(database, settings.audit_heads)
        self._analyse = Ringer(bell.ring_analyse, (JobState.QUEUED,))
        self._deliver = Ringer(bell.ring_deliver, DELIVERABLE)
        self._retire = RetirementRinger(bell.ring_deliver)
        self._places = Places(settings.corrections, settings.spool)
        self._housekeeper = Housekeeper(database, settings)
        self._next_housekeeping: datetime | None = None
        self._next_alarm: datetime | None = None
        self._seal_fault: str | None = None

    def run_once(self, now: datetime) -> bool:
        """Do one round; False when another process holds the sweep, or the database is away.

        A fault of one part (a broken audit trail, a full disk) is told and keeps no other part
        from its work.
        """
        try:
            with locks.held(self._database, locks.SWEEP) as connection:
                if connection is None:
                    return False
                self._round(now)
        except SQLAlchemyError as error:
            log.warning("sweep_without_database", error=type(error).__name__)
            return False
        return True

    def wait(self, now: datetime) -> timedelta:
        """Return how long the next round may wait: no study waits for the tick."""
        try:
            with self._database.begin() as session:
                next_quiet = queries.next_quiet(session)
        except SQLAlchemyError:
            return TICK
        return TICK if next_quiet is None else max(SHORTEST, min(TICK, next_quiet - now))

    def _round(self, now: datetime) -> None:
        self._keep_house(now)
        with self._database.begin() as session:
            jobs.expire(session, now, self._settings.max_attempts)
        correcting.apply_pending(self._database, self._places, now)
        opened = self._close(now)
        with self._database.begin() as session:
            analyse = self._analyse.due(session, now, opened)
            deliver = self._deliver.due(session, now)
            retire = self._retire.due(session, now)
        if analyse:
            failpoints.reach(Failpoint.BEFORE_RING)
        self._analyse.ring(analyse)
        if analyse:
            failpoints.reach(Failpoint.AFTER_RING)
        self._deliver.ring(deliver)
        self._retire.ring(retire)
        if self._next_alarm is None or now >= self._next_alarm:
            self._next_alarm = now + ALARM_EVERY
            with self._database.begin() as session:
                alarm.raise_for_late(session, now, self._settings)
        self._seal(now)
        self._housekeeper.step(now)

    def _close(self, now: datetime) -> "tuple[Job, ...]":
        with self._database.begin() as session:
            opened = studies.close_quiet(session, now)
            if opened:
                failpoints.reach(Failpoint.BEFORE_CLOSE)
        if opened:
            failpoints.reach(Failpoint.AFTER_CLOSE)
        return opened

    def _keep_house(self, now: datetime) -> None:
        """Sweep the spool every hour; look for files without a row at the start only."""
        if self._next_housekeeping is not None and now < self._next_housekeeping:
            return
        is_start = self._next_housekeeping is None
        self._next_housekeeping = now + HOUSEKEEPING
        try:
            spool.prepare(self._settings.spool)
            removed = spool.sweep_incoming(self._settings.spool, now - ABANDONED)
            found = reconcile.reconcile(self._database, self._settings, now) if is_start else 0
        except (OSError, DicomError) as error:
            log.warning("spool_not_swept", error=type(error).__name__)
        else:
            log.info("spool_swept", abandoned=removed, recorded=found)

    def _seal(self, now: datetime) -> None:
        fault = None
        try:
            self._sealer.seal_once(now)
        except (AuditBroken, OSError) as error:
            fault = f"{type(error).__name__}: {error}"
        if fault is not None and fault != self._seal_fault:  # once, not every second
            log.critical("audit_not_sealed", reason=fault)
        self._seal_fault = fault


def run_forever(database: "Database", settings: "Settings", stop: "Event") -> None:
    """Sweep until ``stop`` is set."""
    bell = Bell(settings)
    sweep = Sweep(database, settings, bell)
    pause = SHORTEST
    while not stop.wait(pause.total_seconds()):
        now = datetime.now(UTC)
        pause = sweep.wait(now) if sweep.run_once(now) else TICK
    bell.close()
