"""Several archives, each with its own queue, against a real database and real associations."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import orthanc
import pytest
import unreliable_archive
from kept_results import SOP_CLASSES
from sqlalchemy import select
from unreliable_archive import Manners, UnreliableArchive
from ward import Ward

from dicom.values import PacsNode, ResultKind
from service import destinations, jobs, replay
from service.db import queries
from service.db.engine import Database
from service.db.outbox_tables import ConsignmentRow
from service.db.tables import DELIVERABLE
from service.destinations import Standing, Switch
from service.errors import UnknownDestination
from service.values import Job, JobState
from workers.context import WorkerContext
from workers.deliver_step import deliver

pytestmark = pytest.mark.integration

TEXT = ResultKind.TEXT_SR
MASK = ResultKind.FINDING_SEG


@pytest.fixture
def ward(database: Database, tmp_path: Path) -> Ward:
    return Ward(database, tmp_path)


@pytest.fixture
def archives() -> Iterator[tuple[UnreliableArchive, UnreliableArchive]]:
    with ExitStack() as stack:
        first, second = (stack.enter_context(unreliable_archive.running()) for _ in range(2))
        yield first, second


def nobody() -> PacsNode:
    return PacsNode("GONE", "127.0.0.1", orthanc.free_port())


def a_context(ward: Ward, pacs: PacsNode, second: PacsNode) -> WorkerContext:
    return ward.context(pacs, destinations=f"research={second};proof=query")


def deliver_all(context: WorkerContext, only: str | None = None) -> int:
    return sum(1 for _ in iter(lambda: deliver(context, only), None))


def states(ward: Ward, job: Job) -> dict[str, str]:
    with ward.database.begin() as session:
        asked = select(ConsignmentRow.destination, ConsignmentRow.state)
        return dict(session.execute(asked.where(ConsignmentRow.job_id == job.job_id)).all())


def flip(ward: Ward, name: str, to: Switch) -> None:
    with ward.database.begin() as session:
        destinations.switch(session, name, to, ("operator", ward.clock.now), {"pacs", "research"})


def standing(ward: Ward, context: WorkerContext, name: str) -> Standing:
    with ward.database.begin() as session:
        found = destinations.standings(session, context.settings.archives)
    return next(one for one in found if one.name == name)


def test_a_draft_reaches_every_destination_with_the_same_bytes(
    ward: Ward, archives: tuple[UnreliableArchive, UnreliableArchive]
) -> None:
    job, _ = ward.an_encoded_job(MASK, TEXT)
    first, second = archives
    assert deliver_all(a_context(ward, first.node, second.node)) == 2
    assert ward.state(job) is JobState.DELIVERED
    assert first.kept == second.kept
    assert len(first.kept) == 2
    assert ward.events(job).count("destination_delivered") == 2
    assert ward.events(job)[-1] == "delivery_proven"


def test_a_dead_destination_holds_nobody_up(ward: Ward) -> None:
    with unreliable_archive.running() as archive:
        context = a_context(ward, nobody(), archive.node)
        drafts = [ward.an_encoded_job(TEXT, study=f"1.2.{number}")[0] for number in range(3)]
        deliver_all(context)
    assert len(archive.kept) == 3
    for job in drafts:
        assert states(ward, job) == {"pacs": "ENCODED", "research": "DELIVERED"}
        assert ward.state(job) is JobState.SENDING
    with unreliable_archive.running() as back:
        ward.clock.turn(2)
        deliver_all(a_context(ward, back.node, archive.node))
    assert {ward.state(job) for job in drafts} == {JobState.DELIVERED}
    assert back.kept == archive.kept


def test_a_lane_serves_its_own_destination_only(
    ward: Ward, archives: tuple[UnreliableArchive, UnreliableArchive]
) -> None:
    job, _ = ward.an_encoded_job(TEXT)
    first, second = archives
    context = a_context(ward, first.node, second.node)
    assert deliver_all(context, "research") == 1
    assert (len(first.kept), len(second.kept)) == (0, 1)
    assert deliver_all(context, "") == 0
    assert deliver_all(context, "pacs") == 1
    assert ward.state(job) is JobState.DELIVERED


def test_a_refusal_by_one_is_told_by_name_and_only_that_one_is_tried_again(
    ward: Ward, archives: tuple[UnreliableArchive, UnreliableArchive]
) -> None:
    job, _ = ward.an_encoded_job(TEXT)
    first, second = archives
    second.manners = Manners({SOP_CLASSES[TEXT]: 0xA900})
    context = a_context(ward, first.node, second.node)
    deliver_all(context)
    row = ward.job(job)
    assert (row.state, row.reason_code) == (JobState.FAILED, "STATUS_A900")
    assert row.reason == "research: text: the archive answered 0xA900"
    assert states(ward, job) == {"pacs": "DELIVERED", "research": "FAILED"}
    second.manners = Manners()
    with ward.database.begin() as session:
        replay.redeliver(session, job.study_instance_uid, "operator", ward.clock.now)
    deliver_all(context)
    assert ward.state(job) is JobState.DELIVERED
    assert (len(first.arrived), len(second.arrived)) == (1, 2)


def test_a_suspended_destination_gets_nothing_and_then_everything(
    ward: Ward, archives: tuple[UnreliableArchive, UnreliableArchive]
) -> None:
    first, second = archives
    context = a_context(ward, first.node, second.node)
    flip(ward, "research", Switch.SUSPENDED)
    drafts = [ward.an_encoded_job(TEXT, study=f"1.2.{number}")[0] for number in range(3)]
    deliver_all(context)
    assert (len(first.kept), len(second.kept)) == (3, 0)
    here = standing(ward, context, "research")
    assert (here.switch, here.waiting, here.unproven) == (Switch.SUSPENDED, 3, 0)
    with ward.database.begin() as session:  # nobody is rung for what must wait
        assert queries.due(session, DELIVERABLE, ward.clock.now, 50) == ()
    flip(ward, "research", Switch.OPEN)
    with ward.database.begin() as session:
        assert len(queries.due(session, DELIVERABLE, ward.clock.now, 50)) == 3
    deliver_all(context)
    assert len(second.kept) == 3
    assert {ward.state(job) for job in drafts} == {JobState.DELIVERED}


def test_draining_lets_out_what_was_ready_and_holds_back_the_rest(
    ward: Ward, archives: tuple[UnreliableArchive, UnreliableArchive]
) -> None:
    first, second = archives
    context = a_context(ward, first.node, second.node)
    before, _ = ward.an_encoded_job(TEXT, study="1.2.1")
    ward.clock.turn(1)
    flip(ward, "research", Switch.DRAINING)
    ward.clock.turn(1)
    after, _ = ward.an_encoded_job(TEXT, study="1.2.2")
    deliver_all(context)
    assert ward.state(before) is JobState.DELIVERED
    assert states(ward, after) == {"pacs": "DELIVERED", "research": "ENCODED"}
    here = standing(ward, context, "research")
    assert (here.switch, here.waiting, here.to_drain) == (Switch.DRAINING, 1, 0)
    flip(ward, "research", Switch.OPEN)
    deliver_all(context)
    assert ward.state(after) is JobState.DELIVERED


def test_a_switch_for_nobody_is_refused(ward: Ward) -> None:
    with pytest.raises(UnknownDestination, match="resaerch"):
        flip(ward, "resaerch", Switch.SUSPENDED)


def test_what_a_destination_was_not_sent_before_it_was_removed_is_kept_here(
    ward: Ward, archives: tuple[UnreliableArchive, UnreliableArchive]
) -> None:
    job, _ = ward.an_encoded_job(TEXT)
    first, second = archives
    assert deliver_all(a_context(ward, first.node, second.node), "pacs") == 1
    assert deliver_all(ward.context(first.node), "") == 1
    assert states(ward, job) == {"pacs": "DELIVERED", "research": "SHADOW"}
    assert ward.state(job) is JobState.DELIVERED
    assert "not configured any more" in str(ward.job(job).reason)


def test_a_newer_revision_stops_all_destinations(ward: Ward) -> None:
    job, _ = ward.an_encoded_job(TEXT)
    with unreliable_archive.running() as archive:
        context = a_context(ward, nobody(), nobody())
        deliver_all(context)
        with ward.database.begin() as session:
            jobs.supersede(session, job.study_instance_uid, ward.clock.now, jobs.POISON)
        ward.clock.turn(300)
        assert deliver_all(a_context(ward, archive.node, archive.node)) == 0
    assert archive.arrived == []
    assert states(ward, job) == {"pacs": "SUPERSEDED", "research": "SUPERSEDED"}


def test_a_silent_deliverer_gives_its_destination_free_and_no_other(ward: Ward) -> None:
    job, _ = ward.an_encoded_job(TEXT)
    with unreliable_archive.running() as archive:
        context = a_context(ward, archive.node, archive.node)

        def crash(*_: object) -> object:
            raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("dicom.send.associated", crash)
            with pytest.raises(KeyboardInterrupt):
                deliver(context, "research")
        assert deliver_all(context) == 1  # the other one goes on at once
        ward.clock.turn(61)
        with ward.database.begin() as session:
            jobs.expire(session, ward.clock.now, 3)
        deliver_all(context)
    assert ward.state(job) is JobState.DELIVERED
    assert "lease_expired" in ward.events(job)
