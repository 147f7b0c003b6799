"""What is let go, and when: never before proof, and never so that a film could be lost."""

import os
import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from postgres import DatabaseUrls
from rows import LEASE, NOW, QUIET, a_queued_job, accept, an_encoded_job, an_instance
from sqlalchemy import func, select, text, update

from dicom import spool
from dicom.errors import IntakeUnavailable
from dicom.values import StoreOutcome
from service import deliveries, housekeeping, jobs, removing, retention
from service.consignments import Outbox
from service.db import belonging
from service.db.engine import Database
from service.db.outbox_tables import ConsignmentRow, DeliveryRow
from service.db.tables import AuditEventRow, Base, InstanceRow, JobRow, StudyRow
from service.housekeeping import Housekeeper
from service.retention import Gone, Rules
from service.settings import Settings
from service.values import EventType, JobState, Reception

pytestmark = pytest.mark.integration

START = NOW + QUIET
DAY = timedelta(days=1)
OLD = NOW + 31 * DAY
DONE = "1.2.4"


def rules(home: Path, failed_days: int | None = None) -> Rules:
    failed = None if failed_days is None else failed_days * DAY
    return Rules(30 * DAY, failed, home / "spool", home / "results")


def delivered(
    database: Database,
    home: Path,
    study: str = DONE,
    destinations: tuple[str, ...] = ("pacs",),
) -> None:
    """Bring one study to DELIVERED at every destination, with proof of every object."""
    an_encoded_job(database, home, study=study)
    for _ in destinations:
        with database.begin() as session:
            outbox = Outbox(home / "results", destinations)
            found = deliveries.claim(session, "sender", START, LEASE, outbox)
        assert found is not None
        job, fence, kept = found
        uids = [one.ref.sop_instance_uid for one in kept]
        with database.begin() as session:
            if job.state is JobState.ENCODED:
                jobs.move(session, fence, JobState.SENDING, START)
            outcomes = [StoreOutcome(uid, 0, None) for uid in uids]
            deliveries.record(session, fence, fence.destination, outcomes, START)
            jobs.move(session, fence, JobState.SENT, START)
            assert not deliveries.prove(session, fence, fence.destination, uids, START)
            jobs.move(session, fence, JobState.DELIVERED, START)


def let_go(
    database: Database, home: Path, now: datetime = OLD, failed_days: int | None = None
) -> Gone | str:
    with database.begin() as session:
        return retention.let_go(session, DONE, rules(home, failed_days), now)


def change(database: Database, *statements: object) -> None:
    with database.begin() as session:
        for statement in statements:
            session.execute(statement)  # type: ignore[call-overload]


def left(database: Database, home: Path) -> tuple[int, list[Path]]:
    """Return how many rows, outside the audit trail, and which files there are."""
    with database.begin() as session:
        counts = [
            session.scalar(select(func.count()).select_from(table)) or 0
            for table in Base.metadata.sorted_tables
            if belonging.is_of_a_study(table.name)
        ]
    return sum(counts), [path for path in home.rglob("*") if path.is_file()]


def test_a_proven_old_study_goes_as_a_whole_and_leaves_one_event(
    database: Database, tmp_path: Path
) -> None:
    delivered(database, tmp_path)
    assert let_go(database, tmp_path) == Gone(instances=1, results=2, size_bytes=18)
    assert left(database, tmp_path) == (0, [])
    with database.begin() as session:
        newest = session.scalars(select(AuditEventRow).order_by(AuditEventRow.id.desc())).first()
    assert newest is not None
    assert (newest.event_type, newest.study_instance_uid) == (EventType.STUDY_PURGED, DONE)


def test_nothing_of_another_study_goes(database: Database, tmp_path: Path) -> None:
    delivered(database, tmp_path, "1.2.5")
    before = left(database, tmp_path)
    delivered(database, tmp_path)
    assert isinstance(let_go(database, tmp_path), Gone)
    assert left(database, tmp_path) == before


def test_a_young_study_stays(database: Database, tmp_path: Path) -> None:
    delivered(database, tmp_path)
    assert let_go(database, tmp_path, NOW + 29 * DAY) == retention.BUSY


@pytest.mark.parametrize(
    "statement",
    [
        update(DeliveryRow).where(DeliveryRow.result_id == 1).values(proven_at=None),
        update(DeliveryRow).where(DeliveryRow.destination == "second").values(proven_at=None),
        update(ConsignmentRow)
        .where(ConsignmentRow.destination == "second")
        .values(state=JobState.FAILED.value),
        text("DELETE FROM deliveries WHERE destination = 'second' AND result_id = 2"),
        text("DELETE FROM consignments; DELETE FROM deliveries"),
    ],
)
def test_one_object_without_proof_at_one_destination_keeps_everything(
    database: Database, tmp_path: Path, statement: object
) -> None:
    delivered(database, tmp_path, destinations=("pacs", "second"))
    before = left(database, tmp_path)
    if str(statement).count(";"):
        change(database, *(text(one) for one in str(statement).split(";")))
        before = left(database, tmp_path)
    else:
        change(database, statement)
    assert let_go(database, tmp_path) == retention.UNPROVEN
    assert left(database, tmp_path)[1] == before[1]


def test_proof_of_every_object_at_every_destination_lets_it_go(
    database: Database, tmp_path: Path
) -> None:
    delivered(database, tmp_path, destinations=("pacs", "second"))
    assert isinstance(let_go(database, tmp_path), Gone)


def test_an_object_that_an_archive_was_never_offered_is_not_owed(
    database: Database, tmp_path: Path
) -> None:
    delivered(database, tmp_path)
    change(
        database,
        update(DeliveryRow)
        .where(DeliveryRow.result_id == 1)
        .values(not_taken=True, proven_at=None),
    )
    assert isinstance(let_go(database, tmp_path), Gone)


def test_what_is_collected_held_or_on_its_way_stays(database: Database, tmp_path: Path) -> None:
    accept(database, tmp_path / "spool", an_instance(tmp_path / "spool", study=DONE))
    assert let_go(database, tmp_path) == retention.HELD
    change(database, update(StudyRow).values(state="HELD"))
    assert let_go(database, tmp_path) == retention.HELD
    change(database, text("DELETE FROM instances"), text("DELETE FROM studies"))
    an_encoded_job(database, tmp_path, study=DONE)
    assert let_go(database, tmp_path) == retention.ON_ITS_WAY


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.WITHDRAWN])
def test_a_failed_or_withdrawn_study_is_kept_longer_or_for_ever(
    database: Database, tmp_path: Path, state: JobState
) -> None:
    delivered(database, tmp_path)
    change(database, update(JobRow).values(state=state.value))
    assert let_go(database, tmp_path) == retention.LONGER
    assert let_go(database, tmp_path, failed_days=60) == retention.LONGER
    assert isinstance(let_go(database, tmp_path, NOW + 61 * DAY, failed_days=60), Gone)


@pytest.mark.parametrize("state", [JobState.SHADOW, JobState.SKIPPED, JobState.SUPERSEDED])
def test_what_was_never_to_be_sent_needs_no_proof(
    database: Database, tmp_path: Path, state: JobState
) -> None:
    an_encoded_job(database, tmp_path, study=DONE)
    change(database, update(JobRow).values(state=state.value))
    assert isinstance(let_go(database, tmp_path), Gone)


def test_a_crash_after_the_files_is_made_good_by_the_next_pass(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivered(database, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(retention, "delete_rows", _raise)
        with pytest.raises(KeyboardInterrupt):
            let_go(database, tmp_path)
    rows, files = left(database, tmp_path)
    assert rows > 0
    assert files == []
    assert isinstance(let_go(database, tmp_path), Gone)
    assert left(database, tmp_path) == (0, [])


def _raise(*_: object) -> None:
    raise KeyboardInterrupt


def test_no_row_goes_before_its_files_are_gone_from_the_disk(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivered(database, tmp_path)
    synced: list[Path] = []
    delete_rows = retention.delete_rows

    def deleting(session: object, study: str) -> None:
        assert not list(tmp_path.rglob("*.dcm"))
        assert {tmp_path / "spool" / "objects" / "aa", tmp_path / "results"} <= set(synced)
        delete_rows(session, study)  # type: ignore[arg-type]

    monkeypatch.setattr(removing, "sync_folder", synced.append)
    monkeypatch.setattr(retention, "delete_rows", deleting)
    assert isinstance(let_go(database, tmp_path), Gone)


def test_a_film_that_comes_again_meanwhile_is_refused_not_lost(
    database: Database, tmp_path: Path
) -> None:
    delivered(database, tmp_path)
    with database.begin() as session:
        uid = session.scalars(select(InstanceRow.sop_instance_uid)).one()
    spool = tmp_path / "spool"
    again = an_instance(spool, study=DONE, sop_instance_uid=uid)
    faults: list[BaseException] = []

    def receive() -> None:
        try:
            accept(database, spool, again, OLD)
        except IntakeUnavailable as error:
            faults.append(error)

    receiver = threading.Thread(target=receive)
    with database.begin() as session:
        assert isinstance(retention.let_go(session, DONE, rules(tmp_path), OLD), Gone)
        receiver.start()
        _wait_for_lock(database)
    receiver.join(60)
    assert len(faults) == 1
    # The sender tries again: it is a new study then.
    once_more = an_instance(spool, study=DONE, sop_instance_uid=uid)
    assert accept(database, spool, once_more, OLD) is Reception.FILM


def _wait_for_lock(database: Database) -> None:
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    for _ in range(2000):
        with database.begin() as session:
            if session.scalar(waiting):
                return
        threading.Event().wait(0.01)
    raise AssertionError("the receiver never came to the lock")


def test_a_study_that_intake_is_at_stays(database: Database, tmp_path: Path) -> None:
    delivered(database, tmp_path)
    lock = text(
        "SELECT pg_advisory_xact_lock(hashtextextended(sop_instance_uid, 0)) FROM instances"
    )
    with database.begin() as session:
        session.execute(lock)
        assert let_go(database, tmp_path) == retention.BUSY
    with database.begin() as session:
        session.execute(text("SELECT 1 FROM studies FOR UPDATE"))
        assert let_go(database, tmp_path) == retention.BUSY
    assert isinstance(let_go(database, tmp_path), Gone)


def settings(home: Path, days: float | None = 30) -> Settings:
    return Settings(home=home, keep_studies_days=days)


def test_a_pass_lets_go_of_many_in_small_steps_and_says_what_stays(
    database: Database, tmp_path: Path
) -> None:
    for number in range(5):
        delivered(database, tmp_path, f"1.2.9.{number}")
    a_queued_job(database, tmp_path / "spool", study="1.2.8")
    done = Housekeeper(database, settings(tmp_path)).run(OLD)
    assert (done.studies, done.instances, done.results) == (5, 5, 10)
    assert done.kept == {retention.ON_ITS_WAY: 1}
    assert housekeeping.read(tmp_path) == done


def test_nothing_goes_where_the_site_has_not_said_so(database: Database, tmp_path: Path) -> None:
    delivered(database, tmp_path)
    assert Housekeeper(database, settings(tmp_path, None)).run(OLD).studies == 0


def test_a_pass_rests_for_an_hour(database: Database, tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    house = Housekeeper(database, settings(tmp_path))
    assert house.run(OLD).studies == 0
    delivered(database, tmp_path)
    house.step(OLD + timedelta(minutes=59))
    assert left(database, tmp_path)[0] > 0
    house.step(OLD + timedelta(minutes=61))
    assert left(database, tmp_path)[0] == 0


def test_only_old_folders_of_results_that_no_row_speaks_of_are_leftovers(
    database: Database, tmp_path: Path
) -> None:
    job = an_encoded_job(database, tmp_path, study=DONE)
    root = tmp_path / "results"
    change(database, update(JobRow).values(state="DELIVERED"))
    change(database, text("UPDATE results SET path = replace(path, '/', '/2/')"))
    lost, named = root / str(job.job_id) / "1", root / str(job.job_id) / "2"
    young = root / "5b4a3d1e-0000-4000-8000-000000000000" / "1"
    strange = root / "lost+found" / "1"
    for folder in (lost, named, young, strange):
        folder.mkdir(parents=True)
        os.utime(folder, times=(NOW.timestamp(), NOW.timestamp()))
    os.utime(young, times=(OLD.timestamp(), OLD.timestamp()))
    assert Housekeeper(database, settings(tmp_path, None)).run(OLD).leftovers == 1
    assert [one.exists() for one in (lost, named, young, strange)] == [False, True, True, True]


def test_a_folder_of_an_open_job_is_no_leftover(database: Database, tmp_path: Path) -> None:
    job = a_queued_job(database, tmp_path / "spool")
    folder = tmp_path / "results" / str(job.job_id) / "1"
    folder.mkdir(parents=True)
    os.utime(folder, times=(NOW.timestamp(), NOW.timestamp()))
    assert Housekeeper(database, settings(tmp_path, None)).run(OLD).leftovers == 0
    assert folder.exists()


def test_a_database_that_refuses_ends_the_pass_and_nothing_else(
    database: Database, database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    owner = Database(database_urls.owner)
    change(owner, text("REVOKE EXECUTE ON FUNCTION carina_make_partitions() FROM carina"))
    owner.dispose()
    house = Housekeeper(database, settings(tmp_path))
    assert house.step(OLD) is False
    assert house.last is not None
    assert house.last.fault == "ProgrammingError"


def test_leftovers_are_looked_for_at_once_when_the_disk_runs_low(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    incoming = tmp_path / "spool" / "incoming"
    incoming.mkdir(parents=True)
    house = Housekeeper(database, settings(tmp_path, None))
    house.run(OLD)
    half = incoming / "half.dcm"
    half.write_bytes(b"")
    os.utime(half, times=(OLD.timestamp() - 900, OLD.timestamp() - 900))
    folder = tmp_path / "results" / "5b4a3d1e-0000-4000-8000-000000000000" / "1"
    folder.mkdir(parents=True)
    os.utime(folder, times=(NOW.timestamp(), NOW.timestamp()))
    later = OLD + timedelta(minutes=2)
    house.step(later)
    assert folder.exists()
    monkeypatch.setattr(spool, "free_bytes", lambda _: 0)
    house.step(later + timedelta(minutes=2))
    assert not folder.exists()
    assert not half.exists()


def test_a_disk_that_refuses_ends_the_pass_and_keeps_the_rows(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivered(database, tmp_path)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(30, "read-only")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        done = Housekeeper(database, settings(tmp_path)).run(OLD)
    assert (done.studies, done.fault) == (0, "PermissionError")
    with database.begin() as session:
        assert session.scalar(select(func.count()).select_from(InstanceRow)) == 1


def test_a_study_whose_replaced_draft_is_still_in_an_archive_stays(
    database: Database, tmp_path: Path
) -> None:
    delivered(database, tmp_path)
    change(
        database,
        text(
            "INSERT INTO retirements (job_id, destination, successor_job_id, state,"
            " next_attempt_at, opened_at)"
            " SELECT job_id, 'pacs', job_id, 'OPEN', queued_at, queued_at FROM jobs"
        ),
    )
    assert let_go(database, tmp_path) == retention.STILL_THERE


def test_a_withdrawal_that_stands_is_kept_longer_and_then_goes_with_the_study(
    database: Database, tmp_path: Path
) -> None:
    delivered(database, tmp_path)
    change(
        database,
        text(
            "INSERT INTO withdrawals (study_instance_uid, withdrawn_at, withdrawn_by, reason)"
            " SELECT study_instance_uid, now(), 'DR', 'wrong side' FROM studies"
        ),
    )
    assert let_go(database, tmp_path, failed_days=60) == retention.LONGER
    assert isinstance(let_go(database, tmp_path, NOW + 61 * DAY, failed_days=60), Gone)
    assert left(database, tmp_path) == (0, [])


def test_every_table_with_a_study_in_it_is_known(database: Database) -> None:
    with database.begin() as session:
        columns = session.execute(
            text(
                "SELECT table_name FROM information_schema.columns"
                " WHERE column_name IN ('study_instance_uid', 'job_id', 'result_id')"
                " AND table_schema = 'public' AND table_name NOT LIKE 'audit_%'"
            )
        )
        tables = set(columns.scalars())
    # A person's correction may come before the study, and stays when the study goes.
    assert {name for name in tables if not belonging.is_of_a_study(name)} == {"patient_corrections"}
