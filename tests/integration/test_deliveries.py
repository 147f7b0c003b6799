from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from rows import LEASE, NOW, QUIET, SECOND, STUDY, a_queued_job, accept, an_encoded_job, an_instance
from sqlalchemy import select

from dicom.values import KeptResult, StoreOutcome
from service import consignments, deliveries, jobs, replay, studies
from service.consignments import Outbox
from service.db.engine import Database
from service.db.outbox_tables import DeliveryRow
from service.db.tables import AuditEventRow
from service.errors import NothingToDeliver, NothingToRead, StudyHeld, UnknownStudy
from service.values import EventType, Fence, Job, JobCause, JobState

pytestmark = pytest.mark.integration

START = NOW + QUIET
PACS = "ORTHANC@127.0.0.1:4242"
Claimed = tuple[Job, Fence, tuple[KeptResult, ...]]


def claim(database: Database, home: Path, now: datetime = START) -> Claimed:
    with database.begin() as session:
        found = deliveries.claim(session, "sender", now, LEASE, Outbox(home / "results"))
    assert found is not None
    return found


def send(database: Database, claimed: Claimed, status: int | None = 0) -> None:
    """Send everything, with one answer for all, up to SENT."""
    job, fence, kept = claimed
    outcomes = [StoreOutcome(one.ref.sop_instance_uid, status, None) for one in kept]
    with database.begin() as session:
        if job.state is JobState.ENCODED:
            jobs.move(session, fence, JobState.SENDING, START)
        deliveries.record(session, fence, PACS, outcomes, START)
        jobs.move(session, fence, JobState.SENT if status == 0 else JobState.FAILED, START)


def prove(database: Database, claimed: Claimed) -> frozenset[str]:
    _, fence, kept = claimed
    uids = [one.ref.sop_instance_uid for one in kept]
    with database.begin() as session:
        return deliveries.prove(session, fence, PACS, uids, START)


def deliver(database: Database, home: Path) -> Claimed:
    claimed = claim(database, home)
    send(database, claimed)
    assert prove(database, claimed) == frozenset()
    with database.begin() as session:
        jobs.move(session, claimed[1], JobState.DELIVERED, START)
    return claimed


def test_masks_come_before_the_text(database: Database, tmp_path: Path) -> None:
    an_encoded_job(database, tmp_path)
    _, _, kept = claim(database, tmp_path)
    assert [one.kind for one in kept] == ["findings", "text"]
    assert all(one.path.read_bytes() == b"result" for one in kept)


def test_nobody_else_gets_a_delivery_that_is_being_worked_on(
    database: Database, tmp_path: Path
) -> None:
    an_encoded_job(database, tmp_path)
    _, fence, _ = claim(database, tmp_path)
    with database.begin() as session:
        assert deliveries.claim(session, "other", START, LEASE, Outbox(tmp_path)) is None
        consignments.retry_later(session, fence, START, SECOND * 30)
        too_early = START + SECOND * 29
        assert deliveries.claim(session, "other", too_early, LEASE, Outbox(tmp_path)) is None
    assert claim(database, tmp_path, START + SECOND * 30)[0].delivery_attempts == 2


def test_every_answer_is_written_down_with_its_event(database: Database, tmp_path: Path) -> None:
    an_encoded_job(database, tmp_path)
    _, fence, kept = claim(database, tmp_path)
    mask, report = (one.ref.sop_instance_uid for one in kept)
    outcomes = [
        StoreOutcome(mask, None, None, taken=False),
        StoreOutcome(report, 0xA700, "no room for DOE^JOHN\0"),
    ]
    with database.begin() as session:
        deliveries.record(session, fence, PACS, outcomes, START)
        lines = session.scalars(select(DeliveryRow).order_by(DeliveryRow.result_id)).all()
        events = session.scalars(select(AuditEventRow).order_by(AuditEventRow.id)).all()
    # The text SR was kept first and sent last.
    assert [(line.status, line.not_taken, line.sent_at) for line in lines] == [
        (0xA700, False, None),
        (None, True, None),
    ]
    assert lines[0].error_comment == "no room for DOE^JOHN"
    assert [row.event_type for row in events[-2:]] == [
        EventType.OBJECT_NOT_TAKEN,
        EventType.SENDING_FAILED,
    ]
    # An archive may quote the patient: the audit trail must not.
    assert not [row for row in events if "DOE" in str(row.detail)]


def test_what_was_never_offered_is_not_owed(database: Database, tmp_path: Path) -> None:
    an_encoded_job(database, tmp_path)
    _, fence, kept = claim(database, tmp_path)
    mask, report = (one.ref.sop_instance_uid for one in kept)
    outcomes = [StoreOutcome(mask, None, None, taken=False), StoreOutcome(report, 0, None)]
    with database.begin() as session:
        deliveries.record(session, fence, PACS, outcomes, START)
        assert deliveries.prove(session, fence, PACS, (), START) == {report}
        assert deliveries.prove(session, fence, PACS, [report, "9.9"], START) == frozenset()


def test_proof_by_one_archive_is_none_for_another(database: Database, tmp_path: Path) -> None:
    an_encoded_job(database, tmp_path)
    claimed = claim(database, tmp_path)
    send(database, claimed)
    prove(database, claimed)
    with database.begin() as session:
        assert len(deliveries.prove(session, claimed[1], "OTHER@h:1", (), START)) == 2


def test_redeliver_sends_the_same_objects_and_asks_for_proof_again(
    database: Database, tmp_path: Path
) -> None:
    an_encoded_job(database, tmp_path)
    first = deliver(database, tmp_path)
    with database.begin() as session:
        job = replay.redeliver(session, STUDY, "operator", START)
    assert job.state is JobState.SENDING
    again = claim(database, tmp_path)
    assert again[2] == first[2]
    send(database, again)
    with database.begin() as session:
        owed = deliveries.prove(session, again[1], PACS, (), START)
    assert owed == {one.ref.sop_instance_uid for one in again[2]}


def test_redeliver_brings_a_dead_letter_back(database: Database, tmp_path: Path) -> None:
    an_encoded_job(database, tmp_path)
    send(database, claim(database, tmp_path), status=0x0124)
    with database.begin() as session:
        replay.redeliver(session, STUDY, "operator", START)
    assert claim(database, tmp_path)[0].state is JobState.SENDING


def test_redeliver_without_kept_results_or_on_the_way_is_refused(
    database: Database, tmp_path: Path
) -> None:
    a_queued_job(database, tmp_path / "spool", study="1.2.4")
    with pytest.raises(NothingToDeliver), database.begin() as session:
        replay.redeliver(session, "1.2.4", "operator", START)
    with database.begin() as session:
        studies.locked(session, [STUDY], NOW, QUIET)
    with database.begin() as session:
        jobs.supersede(session, "1.2.4", START, jobs.POISON)
    an_encoded_job(database, tmp_path)
    with pytest.raises(NothingToDeliver, match="ENCODED"), database.begin() as session:
        replay.redeliver(session, STUDY, "operator", START)


def test_replay_is_a_new_job_that_names_what_it_replaces(
    database: Database, tmp_path: Path
) -> None:
    old = an_encoded_job(database, tmp_path)
    deliver(database, tmp_path)
    with database.begin() as session:
        new = replay.replay(session, STUDY, "operator", START)
    assert new.job_id != old.job_id
    assert (new.revision, new.cause, new.replaces_job_id) == (2, JobCause.REPLAY, old.job_id)
    with database.begin() as session:
        asked = select(AuditEventRow.user_id).where(
            AuditEventRow.event_type == EventType.REPLAY_REQUESTED
        )
        assert session.scalars(asked).all() == ["operator"]


@pytest.mark.parametrize("again", [replay.replay, replay.redeliver])
def test_nothing_is_done_again_for_an_unknown_or_a_held_study(
    database: Database, tmp_path: Path, again: Callable[..., object]
) -> None:
    with pytest.raises(UnknownStudy), database.begin() as session:
        again(session, "9.9", "operator", START)
    a_queued_job(database, tmp_path)
    with database.begin() as session:
        study = studies.lock(session, STUDY)
        studies.hold(session, study, studies.PIXELS_DIFFER, START)
    with pytest.raises(StudyHeld), database.begin() as session:
        again(session, STUDY, "operator", START)


def test_replay_without_anything_to_read_is_refused(database: Database, tmp_path: Path) -> None:
    accept(database, tmp_path, an_instance(tmp_path, candidate=False))
    with pytest.raises(NothingToRead), database.begin() as session:
        replay.replay(session, STUDY, "operator", START)
