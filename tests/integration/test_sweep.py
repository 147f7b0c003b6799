import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest
from film_builders import a_film
from postgres import running
from rows import LEASE, NOW, QUIET, SECOND, STUDY, a_queued_job, accept, an_instance, claimed
from sqlalchemy import delete, select, text

from dicom import spool
from dicom.film import encode
from service import jobs, reconcile, sweep
from service.db import locks
from service.db.engine import Database
from service.db.tables import AuditEventRow, InstanceRow, JobRow
from service.dispatch import Bell
from service.settings import Settings
from service.sweep import Sweep
from service.values import EventType, JobState
from service.verify import verify

pytestmark = pytest.mark.integration

START = NOW + QUIET


class FakeBell(Bell):
    """Hears what is rung; ``is_heard`` False: the broker is down."""

    def __init__(self) -> None:
        self.analyse: list[UUID] = []
        self.deliver: list[UUID] = []
        self.is_heard = True

    def ring_analyse(self, job_ids: Iterable[UUID]) -> bool:
        self.analyse += job_ids if self.is_heard else ()
        return self.is_heard

    def ring_deliver(self, job_ids: Iterable[UUID]) -> bool:
        self.deliver += job_ids if self.is_heard else ()
        return self.is_heard

    def close(self) -> None:
        pass


@pytest.fixture
def bell() -> FakeBell:
    return FakeBell()


@pytest.fixture
def site(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, quiet_period_s=10, late_after_s=900, max_attempts=3)


@pytest.fixture
def sweeper(database: Database, site: Settings, bell: FakeBell) -> Sweep:
    return Sweep(database, site, bell)


def test_a_quiet_study_is_closed_rung_for_and_sealed_in_one_round(
    database: Database, site: Settings, sweeper: Sweep, bell: FakeBell
) -> None:
    accept(database, site.spool, an_instance(site.spool))
    assert sweeper.run_once(START - SECOND)
    assert bell.analyse == []
    assert sweeper.run_once(START)
    assert len(bell.analyse) == 1
    report = verify(database, site.audit_heads, START)
    assert report.is_intact
    assert (report.sealed, report.pending) == (report.events, 0)


def test_a_bell_that_nobody_heard_is_rung_again(
    database: Database, site: Settings, sweeper: Sweep, bell: FakeBell
) -> None:
    accept(database, site.spool, an_instance(site.spool))
    bell.is_heard = False
    sweeper.run_once(START)
    bell.is_heard = True
    sweeper.run_once(START + SECOND * 3)
    assert len(bell.analyse) == 1


def test_a_message_that_was_lost_is_rung_again_ever_more_seldom(
    database: Database, site: Settings, sweeper: Sweep, bell: FakeBell
) -> None:
    accept(database, site.spool, an_instance(site.spool))
    sweeper.run_once(START)
    assert len(bell.analyse) == 1
    rung = []
    for second in range(0, 1200, 5):
        before = len(bell.analyse)
        sweeper._analyse.ring(_due(database, sweeper, START + SECOND * second))
        rung += [second] if len(bell.analyse) > before else []
    pauses = [later - earlier for earlier, later in pairwise(rung)]
    assert rung[0] <= 35
    assert pauses == [60, 120, 240, 480]


def _due(database: Database, sweeper: Sweep, now: datetime) -> tuple[UUID, ...]:
    with database.begin() as session:
        return sweeper._analyse.due(session, now)


def test_a_delivery_is_rung_for_when_its_next_try_is_due(
    database: Database, site: Settings, sweeper: Sweep, bell: FakeBell
) -> None:
    job = a_queued_job(database, site.spool)
    ((_, fence),) = claimed(database)
    with database.begin() as session:
        jobs.move(session, fence, JobState.ENCODED, START)
    sweeper.run_once(START + SECOND)
    assert bell.deliver == []  # the worker has just rung itself
    sweeper.run_once(START + SECOND * 3)
    assert bell.deliver == [job.job_id]
    sweeper.run_once(START + SECOND * 4)
    assert bell.deliver == [job.job_id]


def test_a_lost_worker_costs_its_lease_and_no_more(
    database: Database, site: Settings, sweeper: Sweep, bell: FakeBell
) -> None:
    job = a_queued_job(database, site.spool)
    claimed(database)
    sweeper.run_once(START + LEASE - SECOND)
    assert bell.analyse == []
    sweeper.run_once(START + LEASE + SECOND)
    sweeper.run_once(START + LEASE + SECOND * 4)
    assert bell.analyse == [job.job_id]


def test_a_late_draft_raises_the_alarm_once(
    database: Database, site: Settings, sweeper: Sweep, bell: FakeBell
) -> None:
    a_queued_job(database, site.spool)
    late = START + timedelta(seconds=901)
    sweeper.run_once(late)
    sweeper.run_once(late + SECOND * 60)
    Sweep(database, site, bell).run_once(late + SECOND * 120)  # a restart forgets nothing
    with database.begin() as session:
        told = session.scalars(
            select(AuditEventRow).where(AuditEventRow.event_type == EventType.DRAFT_LATE)
        ).all()
    assert [row.study_instance_uid for row in told] == [STUDY]


def test_only_one_sweep_works_at_a_time(
    database: Database, site: Settings, sweeper: Sweep, bell: FakeBell
) -> None:
    accept(database, site.spool, an_instance(site.spool))
    with locks.held(database, locks.SWEEP) as connection:
        assert connection is not None
        assert not sweeper.run_once(START)
    assert bell.analyse == []
    assert sweeper.run_once(START)


def test_a_sweep_that_is_killed_gives_the_others_its_place(
    database: Database, sweeper: Sweep
) -> None:
    with locks.held(database, locks.SWEEP) as connection:
        assert connection is not None
        process_id = connection.scalar(text("SELECT pg_backend_pid()"))
        with database.begin() as session:
            session.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": process_id})
        deadline = datetime.now(UTC) + timedelta(seconds=10)
        while not sweeper.run_once(START):
            assert datetime.now(UTC) < deadline
        connection.invalidate()


def test_a_broken_audit_trail_keeps_no_study_waiting(
    database: Database, site: Settings, sweeper: Sweep, bell: FakeBell
) -> None:
    accept(database, site.spool, an_instance(site.spool))
    site.audit_heads.parent.mkdir(parents=True)
    site.audit_heads.write_text("rubbish\n", encoding="utf-8")
    assert sweeper.run_once(START)
    assert len(bell.analyse) == 1


def test_a_database_that_goes_away_and_comes_back_is_survived(
    tmp_path: Path, site: Settings, bell: FakeBell
) -> None:
    with running(tmp_path) as server:
        database = Database(server.migrated_database().service)
        accept(database, site.spool, an_instance(site.spool))
        sweeper = Sweep(database, site, bell)
        server.stop()
        assert not sweeper.run_once(START)
        server.start()
        assert sweeper.run_once(START)
        assert len(bell.analyse) == 1
        database.dispose()


def test_files_without_a_row_are_recorded_at_the_start(
    database: Database, site: Settings, sweeper: Sweep
) -> None:
    spool.prepare(site.spool)
    ds = a_film("lost")
    path = spool.object_path(site.spool, ds.StudyInstanceUID, ds.SOPInstanceUID, "00" * 32)
    path.parent.mkdir(parents=True)
    path.write_bytes(encode(ds))
    (spool.objects_folder(site.spool) / "aa" / "bb").mkdir(parents=True)
    (spool.objects_folder(site.spool) / "aa" / "bb" / "rubbish.dcm").write_bytes(b"rubbish")
    sweeper.run_once(START)
    with database.begin() as session:
        row = session.scalars(select(InstanceRow)).one()
    assert (site.spool / row.spool_path, row.calling_ae_title) == (path, "RECONCILED")
    assert reconcile.reconcile(database, site, START) == 0


def test_abandoned_files_of_killed_listeners_are_removed(site: Settings, sweeper: Sweep) -> None:
    spool.prepare(site.spool)
    left = spool.incoming_folder(site.spool) / "left.dcm"
    left.write_bytes(b"half")
    sweeper.run_once(datetime.now(UTC) + timedelta(hours=2))
    assert not left.exists()


def test_the_loop_closes_a_study_without_waiting_for_the_tick(
    database: Database, site: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = threading.Event()

    class Ears(FakeBell):
        def ring_analyse(self, job_ids: Iterable[UUID]) -> bool:
            if list(job_ids):
                heard.set()
            return True

    monkeypatch.setattr(sweep, "Bell", lambda _: Ears())
    accept(database, site.spool, an_instance(site.spool), datetime.now(UTC) - QUIET + SECOND / 2)
    stop = threading.Event()
    loop = threading.Thread(target=sweep.run_forever, args=(database, site, stop))
    loop.start()
    try:
        assert heard.wait(20)
        with database.begin() as session:
            lateness = session.scalar(
                text(
                    "SELECT j.queued_at - s.quiet_until FROM jobs j JOIN studies s USING"
                    " (study_instance_uid)"
                )
            )
    finally:
        stop.set()
        loop.join()
    assert lateness is not None
    assert lateness < timedelta(seconds=2)
    with database.begin() as session:
        session.execute(delete(JobRow))
