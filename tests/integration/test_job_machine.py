"""Whatever workers, sweep, senders and people do in whatever order, a job's life stays legal."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from postgres import shared
from rows import LEASE, NOW, QUIET, SECOND, STUDY, a_result, accept, an_instance
from sqlalchemy import select, text

from service import consignments, deliveries, jobs, lifecycle, replay, studies
from service.consignments import Outbox
from service.db.engine import Database
from service.db.tables import AuditEventRow, JobRow
from service.errors import FenceLost, IllegalTransition, NothingToDeliver, NothingToRead
from service.values import LEGAL_MOVES, Fence, JobState

pytestmark = pytest.mark.integration

REFUSALS = (FenceLost, IllegalTransition, NothingToDeliver, NothingToRead)
HARD_LIMIT = timedelta(seconds=200)


class JobMachine(RuleBasedStateMachine):
    """One study; fences, also outdated ones, are kept and used at random."""

    database: Database
    folder: Path

    def __init__(self) -> None:
        super().__init__()
        with self.database.begin() as session:
            session.execute(text("DELETE FROM deliveries"))
            session.execute(text("DELETE FROM consignments"))
            session.execute(text("DELETE FROM results"))
            session.execute(text("DELETE FROM jobs"))
            session.execute(text("DELETE FROM instances"))
            session.execute(text("DELETE FROM studies"))
        self.now = NOW
        self.fences: list[Fence] = []
        accept(self.database, self.folder, an_instance(self.folder), self.now)
        with self.database.begin() as session:
            newest = select(AuditEventRow.id).order_by(AuditEventRow.id.desc()).limit(1)
            self.before = session.scalars(newest).one()

    @rule(seconds=st.sampled_from([1, 11, 61, 301]))
    def time_passes(self, seconds: int) -> None:
        self.now += SECOND * seconds

    @rule()
    def the_sweep_comes_by(self) -> None:
        with self.database.begin() as session:
            studies.close_quiet(session, self.now)
            jobs.expire(session, self.now, 3)

    @rule(view=st.sampled_from(["LL", "LL", "PA"]))
    def something_arrives(self, view: str) -> None:
        accept(self.database, self.folder, an_instance(self.folder, view_position=view), self.now)

    @rule()
    def a_worker_claims_a_quiet_study(self) -> None:
        self.now += QUIET
        with self.database.begin() as session:
            studies.close_quiet(session, self.now)
            claimed = jobs.claim(session, "worker", 2, self.now, LEASE)
        self.fences += [fence for _, fence in claimed]

    @rule(moves=st.integers(0, 3))
    def a_worker_keeps_results_and_a_sender_goes_on(self, moves: int) -> None:
        self.a_worker_claims_a_quiet_study()
        if self.fences:
            self.move(self.fences[-1], JobState.ENCODED, keep=True)
        self.now += SECOND * 5
        with self.database.begin() as session:
            claimed = deliveries.claim(session, "sender", self.now, LEASE, Outbox(self.folder))
        if claimed is not None:
            self.fences.append(claimed[1])
            for to in (JobState.SENDING, JobState.SENT, JobState.DELIVERED)[:moves]:
                self.move(claimed[1], to, keep=False)

    @precondition(lambda self: self.fences)
    @rule(data=st.data(), to=st.sampled_from(JobState))
    def a_holder_moves_anywhere(self, data: st.DataObject, to: JobState) -> None:
        self.move(data.draw(st.sampled_from(self.fences)), to, keep=False)

    @precondition(lambda self: self.fences)
    @rule(data=st.data())
    def a_holder_goes_on(self, data: st.DataObject) -> None:
        fence = self.fences[-1]
        with self.database.begin() as session:
            state = JobState(session.get_one(JobRow, fence.job_id).state)
        if LEGAL_MOVES[state]:
            self.move(fence, data.draw(st.sampled_from(sorted(LEGAL_MOVES[state]))), keep=True)

    def move(self, fence: Fence, to: JobState, *, keep: bool) -> None:
        try:
            with self.database.begin() as session:
                if keep and to is JobState.ENCODED:
                    job = lifecycle.to_value(session.get_one(JobRow, fence.job_id))
                    jobs.keep_results(session, fence, [a_result(self.folder, job)], self.folder)
                jobs.move(session, fence, to, self.now)
        except REFUSALS:
            return

    @precondition(lambda self: self.fences)
    @rule(data=st.data())
    def a_holder_lets_go(self, data: st.DataObject) -> None:
        fence = data.draw(st.sampled_from(self.fences))
        try:
            with self.database.begin() as session:
                jobs.charge(session, fence, self.now)
                jobs.give_back(session, fence, self.now, SECOND * 5)
        except REFUSALS:
            return

    @precondition(lambda self: self.fences)
    @rule(data=st.data())
    def a_holder_waits(self, data: st.DataObject) -> None:
        fence = data.draw(st.sampled_from(self.fences))
        try:
            with self.database.begin() as session:
                jobs.heartbeat(session, [fence], self.now, LEASE, HARD_LIMIT)
                consignments.retry_later(session, fence, self.now, SECOND * 5)
        except REFUSALS:
            return

    @rule(again=st.sampled_from([replay.replay, replay.redeliver]))
    def a_person_asks(self, again: Callable[..., object]) -> None:
        try:
            with self.database.begin() as session:
                again(session, STUDY, "operator", self.now)
        except REFUSALS:
            return

    @invariant()
    def the_life_of_every_job_is_legal(self) -> None:
        with self.database.begin() as session:
            events = session.execute(
                select(AuditEventRow.job_id, AuditEventRow.event_type, AuditEventRow.detail)
                .where(AuditEventRow.id > self.before, AuditEventRow.job_id.is_not(None))
                .order_by(AuditEventRow.id)
            ).all()
            rows = session.scalars(select(JobRow)).all()
        path: dict[object, JobState] = {}
        for job_id, event_type, detail in events:
            if event_type == "job_opened":
                path[job_id] = JobState.QUEUED
            elif "from" in detail:
                old, new = JobState(detail["from"]), JobState(detail["to"])
                assert path[job_id] is old
                assert new in LEGAL_MOVES[old]
                path[job_id] = new
        assert path == {row.job_id: row.state for row in rows}
        # Two drafts are never on their way to the first send, and only work has an owner.
        unsent = {JobState.QUEUED, JobState.RUNNING, JobState.ENCODED}
        assert sum(row.state in unsent for row in rows) <= 1
        at_work = unsent - {JobState.QUEUED} | {JobState.SENDING, JobState.SENT}
        assert all(row.owner is None for row in rows if row.state not in at_work)
        assert all((row.owner is None) == (row.lease_until is None) for row in rows)


def test_no_sequence_of_events_leaves_the_table_of_legal_moves(tmp_path: Path) -> None:
    server = shared()
    urls = server.migrated_database()
    JobMachine.database = Database(urls.service)
    JobMachine.folder = tmp_path
    try:
        run_state_machine_as_test(
            JobMachine,
            settings=settings(
                max_examples=12,
                stateful_step_count=30,
                deadline=None,
                derandomize=True,
                phases=[Phase.generate],  # shrinking takes minutes when every step is a commit
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        JobMachine.database.dispose()
        server.drop_database(urls.name)
