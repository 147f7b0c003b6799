"""A destination whose line keeps breaking rests as a whole, is probed, and wakes as a whole."""

from pathlib import Path

import orthanc
import pytest
import unreliable_archive
from sqlalchemy import select
from ward import Ward

from dicom.values import PacsNode, ResultKind
from service import breaker
from service.db.engine import Database
from service.db.outbox_tables import ConsignmentRow
from service.values import Job, JobState
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
