"""A destination whose line keeps breaking rests as a whole, is probed, and wakes as a whole."""

from pathlib import Path

import orthanc
import pytest
import unreliable_archive
from sqlalchemy import select
from ward import Ward

from dicom.values import PacsNode, ResultKind
from service import breaker, destinations
from service.db.engine import Database
from service.db.outbox_tables import ConsignmentRow
from service.db.tables import AuditEventRow
from service.values import EventType, Job, JobState
from workers.context import WorkerContext
from workers.deliver_step import deliver

pytestmark = pytest.mark.integration

TEXT = ResultKind.TEXT_SR


def tried(ward: Ward) -> dict[object, int]:
    with ward.database.begin() as session:
        return dict(session.execute(select(ConsignmentRow.job_id, ConsignmentRow.tries)).all())


def deliver_all(context: WorkerContext) -> int:
    return sum(1 for _ in iter(lambda: deliver(context), None))


def encoded(ward: Ward, count: int) -> list[Job]:
    return [ward.an_encoded_job(TEXT, study=f"1.2.{one}")[0] for one in range(count)]


def test_a_broken_line_is_tried_by_one_and_wakes_all_when_it_holds(
    database: Database, tmp_path: Path
) -> None:
    ward = Ward(database, tmp_path)
    gone = PacsNode("GONE", "127.0.0.1", orthanc.free_port())
    nobody = ward.context(gone)
    first, *others = encoded(ward, 3)
    for pause in (2.1, 4.1):  # two failures each: no rest yet
        assert deliver_all(nobody) == 3
        ward.clock.turn(pause)
    assert set(tried(ward).values()) == {2}
    # The third failure of the first lets the others rest before their own third try.
    assert deliver_all(nobody) == 1
    assert sorted(tried(ward).values()) == [2, 2, 3]
    ward.clock.turn(5)
    assert deliver_all(nobody) == 0
    ward.clock.turn(4)
    with unreliable_archive.running() as archive:
        assert deliver_all(ward.context(archive.node)) == 3
        assert len(archive.kept) == 3
    assert {ward.state(job) for job in (first, *others)} == {JobState.DELIVERED}


def test_what_another_deliverer_holds_is_passed_over(database: Database, tmp_path: Path) -> None:
    ward = Ward(database, tmp_path)
    encoded(ward, 2)
    gone = PacsNode("GONE", "127.0.0.1", orthanc.free_port())
    assert deliver_all(ward.context(gone)) == 2
    with database.begin() as holder:
        held = holder.scalars(select(ConsignmentRow).with_for_update().limit(1)).one()
        with database.begin() as session:
            until = ward.clock.now.replace(year=2099)
            moved = breaker._due_by(session, "pacs", until, breaker._is_before(until))
        assert moved == 1
        assert held.next_attempt_at < until


def told(ward: Ward, event_type: EventType) -> list[AuditEventRow]:
    with ward.database.begin() as session:
        asked = select(AuditEventRow).where(AuditEventRow.event_type == event_type)
        return list(session.scalars(asked.order_by(AuditEventRow.id)))


def rests(ward: Ward) -> bool:
    with ward.database.begin() as session:
        found = destinations.standings(
            session, ward.context(PacsNode("A", "h", 1)).settings.archives
        )
        (standing,) = found
        return standing.resting_since is not None


def test_that_a_line_rests_and_answers_again_is_audited_once_each(
    database: Database, tmp_path: Path
) -> None:
    ward = Ward(database, tmp_path)
    gone = PacsNode("GONE", "127.0.0.1", orthanc.free_port())
    nobody = ward.context(gone)
    encoded(ward, 2)
    for pause in (2.1, 4.1, 9.0, 17.0):
        deliver_all(nobody)
        ward.clock.turn(pause)
    (rested,) = told(ward, EventType.DESTINATION_RESTS)
    assert rested.detail == {"destination": "pacs", "waiting": 1}
    assert rested.event_outcome_indicator == 4
    assert rests(ward)
    assert told(ward, EventType.DESTINATION_ANSWERS) == []
    ward.clock.turn(40)
    with unreliable_archive.running() as archive:
        deliver_all(ward.context(archive.node))
    (answered,) = told(ward, EventType.DESTINATION_ANSWERS)
    assert answered.detail["destination"] == "pacs"
    assert answered.detail["rested_s"] == pytest.approx(66.0, abs=1.0)
    assert not rests(ward)


def test_a_new_draft_that_gets_through_wakes_all_that_rest(
    database: Database, tmp_path: Path
) -> None:
    ward = Ward(database, tmp_path)
    nobody = ward.context(PacsNode("GONE", "127.0.0.1", orthanc.free_port()))
    old = encoded(ward, 2)
    for _ in range(5):
        deliver_all(nobody)
        ward.clock.turn(40)
    assert rests(ward)
    deliver_all(nobody)  # due again in a minute or more
    new, _ = ward.an_encoded_job(TEXT, study="1.2.9")
    with unreliable_archive.running() as archive:
        assert deliver_all(ward.context(archive.node)) == 3
    assert {ward.state(job) for job in (*old, new)} == {JobState.DELIVERED}
