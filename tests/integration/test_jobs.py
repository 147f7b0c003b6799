import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from postgres import DatabaseUrls
from rows import (
    LEASE,
    NOW,
    QUIET,
    SECOND,
    STUDY,
    a_queued_job,
    a_result,
    claimed,
)
from sqlalchemy import Connection, event, select, text
from sqlalchemy.orm import Session

from dicom.values import ResultKind
from service import consignments, deliveries, jobs, studies
from service.consignments import Outbox
from service.db import queries
from service.db.engine import Database
from service.db.tables import DELIVERABLE, AuditEventRow, JobRow
from service.errors import FenceLost, IllegalTransition, UnknownStudy
from service.values import EventType, Fence, JobCause, JobFacts, JobState, Lane

pytestmark = pytest.mark.integration

START = NOW + QUIET
HARD_LIMIT = timedelta(seconds=300)
MAX_ATTEMPTS = 3


def queue(database: Database, spool: Path, count: int) -> None:
    for number in range(count):
        a_queued_job(database, spool, study=f"1.2.{number}")


def job_row(database: Database, study: str = STUDY) -> JobRow:
    with database.begin() as session:
        return session.scalars(
            select(JobRow)
            .where(JobRow.study_instance_uid == study)
            .order_by(JobRow.revision.desc())
            .limit(1)
        ).one()


def charge(database: Database, fence: Fence) -> None:
    with database.begin() as session:
        jobs.charge(session, fence, START)


def expire(database: Database, now: datetime) -> list[JobState]:
    with database.begin() as session:
        return [job.state for job in jobs.expire(session, now, MAX_ATTEMPTS)]


def test_a_claim_takes_the_longest_waiting_up_to_its_limit(
    database: Database, tmp_path: Path
) -> None:
    queue(database, tmp_path, 3)
    taken = claimed(database, limit=2)
    assert [job.study_instance_uid for job, _ in taken] == ["1.2.0", "1.2.1"]
    assert all(job.state is JobState.RUNNING for job, _ in taken)
    assert [job.study_instance_uid for job, _ in claimed(database, limit=2)] == ["1.2.2"]
    assert claimed(database) == ()


def test_a_job_that_is_not_due_is_left_alone(database: Database, tmp_path: Path) -> None:
    a_queued_job(database, tmp_path)
    ((_, fence),) = claimed(database)
    with database.begin() as session:
        jobs.give_back(session, fence, START, timedelta(seconds=30))
    assert claimed(database, now=START + SECOND * 29) == ()
    assert len(claimed(database, now=START + SECOND * 30)) == 1


def test_two_claimers_at_once_never_take_the_same_job(database: Database, tmp_path: Path) -> None:
    queue(database, tmp_path, 12)
    taken: list[str] = []
    barrier = threading.Barrier(4)

    def work(owner: str) -> None:
        barrier.wait()
        while batch := claimed(database, owner, limit=2):
            taken.extend(job.study_instance_uid for job, _ in batch)

    workers = [threading.Thread(target=work, args=(f"worker-{n}",)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    # A claimer may find every row locked by others and go home: what matters is no row twice.
    assert len(taken) == len(set(taken))
    taken.extend(job.study_instance_uid for job, _ in claimed(database, limit=12))
    assert sorted(taken) == sorted(f"1.2.{n}" for n in range(12))


def test_a_row_that_another_is_claiming_is_passed_over(database: Database, tmp_path: Path) -> None:
    queue(database, tmp_path, 2)
    with database.begin() as slow:
        assert len(jobs.claim(slow, "slow", 1, START, LEASE)) == 1
        assert [job.study_instance_uid for job, _ in claimed(database)] == ["1.2.1"]


def test_a_job_that_was_in_the_network_before_is_claimed_alone(
    database: Database, tmp_path: Path
) -> None:
    queue(database, tmp_path, 3)
    first, second, third = claimed(database, limit=3)
    charge(database, second[1])
    with database.begin() as session:
        for _, fence in (first, second, third):
            jobs.give_back(session, fence, START, timedelta(0))
    batches = [[job.study_instance_uid for job, _ in claimed(database, limit=3)] for _ in "ab"]
    assert sorted(batches) == [["1.2.0", "1.2.2"], ["1.2.1"]]


def test_a_graceful_stop_takes_its_charge_back(database: Database, tmp_path: Path) -> None:
    a_queued_job(database, tmp_path)
    ((_, fence),) = claimed(database)
    charge(database, fence)
    with database.begin() as session:
        jobs.give_back(session, fence, START, timedelta(0), blameless=True)
    assert job_row(database).charged == 0


def test_the_older_fence_loses_every_right(database: Database, tmp_path: Path) -> None:
    job = a_queued_job(database, tmp_path)
    ((_, old),) = claimed(database)
    assert expire(database, START + LEASE + SECOND) == [JobState.QUEUED]
    ((_, new),) = claimed(database, "worker-2", START + LEASE + SECOND * 2)
    kept = [a_result(tmp_path, job)]
    for write in (
        lambda session: jobs.charge(session, old, START),
        lambda session: jobs.move(session, old, JobState.ENCODED, START),
        lambda session: jobs.give_back(session, old, START, timedelta(0)),
        lambda session: jobs.keep_results(session, old, kept, tmp_path),
        lambda session: deliveries.record(session, old, "PACS", (), START),
        lambda session: consignments.retry_later(session, old, START, timedelta(0)),
        lambda session: deliveries.prove(session, old, "PACS", (), START),
    ):
        with pytest.raises(FenceLost), database.begin() as session:
            write(session)
    with database.begin() as session:
        assert jobs.heartbeat(session, [old, new], START + LEASE, LEASE, HARD_LIMIT) == (new,)
        jobs.move(session, new, JobState.ENCODED, START + LEASE)
    assert job_row(database).state == JobState.ENCODED


def test_a_heartbeat_prolongs_the_lease_but_not_beyond_the_hard_limit(
    database: Database, tmp_path: Path
) -> None:
    a_queued_job(database, tmp_path)
    ((_, fence),) = claimed(database)
    for now, held, until in (
        (START + SECOND * 50, (fence,), START + SECOND * 110),
        (START + SECOND * 290, (fence,), START + HARD_LIMIT),
        (START + SECOND * 300, (), START + HARD_LIMIT),
    ):
        with database.begin() as session:
            assert jobs.heartbeat(session, [fence], now, LEASE, HARD_LIMIT) == held
        assert job_row(database).lease_until == until
    assert expire(database, START + HARD_LIMIT + SECOND) == [JobState.QUEUED]


def test_a_job_that_kills_its_worker_each_time_fails_with_a_reason(
    database: Database, tmp_path: Path
) -> None:
    a_queued_job(database, tmp_path)
    now = START
    ends = []
    for _ in range(MAX_ATTEMPTS):
        ((_, fence),) = claimed(database, now=now)
        charge(database, fence)
        now += LEASE + SECOND
        ends += expire(database, now)
    assert ends == [JobState.QUEUED, JobState.QUEUED, JobState.FAILED]
    assert job_row(database).reason_code == "POISON"
    assert claimed(database, now=now) == ()


def test_a_job_that_dies_beside_the_poison_is_not_blamed(
    database: Database, tmp_path: Path
) -> None:
    queue(database, tmp_path, 2)
    now = START
    (_, poison), (_, _) = claimed(database, limit=2)
    charge(database, poison)
    now += LEASE + SECOND
    expire(database, now)
    seen = []
    for _ in range(MAX_ATTEMPTS):
        for job, fence in claimed(database, now=now, limit=2):
            seen.append(job.study_instance_uid)
            with database.begin() as session:
                if job.job_id == poison.job_id:
                    jobs.charge(session, fence, now)
                else:
                    jobs.move(session, fence, JobState.SKIPPED, now)
        now += LEASE + SECOND
        expire(database, now)
    assert job_row(database, "1.2.0").state == JobState.FAILED
    assert job_row(database, "1.2.1").state == JobState.SKIPPED
    assert seen.count("1.2.1") == 1


def test_a_job_whose_workers_die_before_the_network_ends_as_well(
    database: Database, tmp_path: Path
) -> None:
    a_queued_job(database, tmp_path)
    now, ends = START, []
    for _ in range(MAX_ATTEMPTS + 1):
        assert len(claimed(database, now=now)) == 1
        now += LEASE + SECOND
        ends += expire(database, now)
    assert ends == [JobState.QUEUED] * MAX_ATTEMPTS + [JobState.FAILED]


def test_a_delivery_whose_worker_died_keeps_its_state_and_is_due_at_once(
    database: Database, tmp_path: Path
) -> None:
    a_queued_job(database, tmp_path)
    ((_, fence),) = claimed(database)
    with database.begin() as session:
        jobs.move(session, fence, JobState.ENCODED, START)
        found = deliveries.claim(session, "sender", START, LEASE, Outbox(tmp_path))
        assert found is not None
        jobs.move(session, found[1], JobState.SENDING, START)
    later = START + LEASE + SECOND
    assert expire(database, later) == [JobState.SENDING]
    with database.begin() as session:
        again = deliveries.claim(session, "sender-2", later, LEASE, Outbox(tmp_path))
    assert again is not None
    assert again[0].state is JobState.SENDING


@pytest.mark.parametrize("to", [JobState.SENDING, JobState.DELIVERED, JobState.SHADOW])
def test_a_move_that_the_table_does_not_know_changes_nothing(
    database: Database, tmp_path: Path, to: JobState
) -> None:
    a_queued_job(database, tmp_path)
    ((_, fence),) = claimed(database)
    with pytest.raises(IllegalTransition), database.begin() as session:
        jobs.move(session, fence, to, START)
    assert job_row(database).state == JobState.RUNNING


def test_every_move_leaves_its_event_with_who_and_why(database: Database, tmp_path: Path) -> None:
    job = a_queued_job(database, tmp_path)
    ((_, fence),) = claimed(database)
    facts = JobFacts(reason_code="LATERAL", reason="a lateral view", detail={"films": 1})
    with database.begin() as session:
        jobs.move(session, fence, JobState.SKIPPED, START, facts)
    with database.begin() as session:
        rows = session.scalars(
            select(AuditEventRow).where(AuditEventRow.job_id == job.job_id).order_by("id")
        ).all()
    assert [row.event_type for row in rows] == [
        EventType.JOB_OPENED,
        EventType.JOB_CLAIMED,
        EventType.JOB_SKIPPED,
    ]
    assert rows[-1].user_id == "worker-1"
    assert rows[-1].detail | {"reason": "a lateral view", "films": 1} == rows[-1].detail


def test_what_a_move_leaves_on_the_job_is_read_back(database: Database, tmp_path: Path) -> None:
    a_queued_job(database, tmp_path)
    ((_, fence),) = claimed(database)
    facts = JobFacts(bundle="anatomy-mini 1", stage_seconds={"look": 0.5}, summary={"a": ["b"]})
    with database.begin() as session:
        jobs.move(session, fence, JobState.ENCODED, START, facts)
    row = job_row(database)
    assert (row.bundle, row.stage_seconds, row.summary) == (
        "anatomy-mini 1",
        {"look": 0.5},
        {"a": ["b"]},
    )
    assert row.encoded_at == START
    assert (row.owner, row.lease_until) == (None, None)


def test_a_new_job_supersedes_what_has_not_been_sent_and_names_what_has(
    database: Database, tmp_path: Path
) -> None:
    first = a_queued_job(database, tmp_path)
    ((_, fence),) = claimed(database)
    with database.begin() as session:
        jobs.move(session, fence, JobState.ENCODED, START)
        found = deliveries.claim(session, "sender", START, LEASE, Outbox(tmp_path))
        assert found is not None
        jobs.move(session, found[1], JobState.SENDING, START)
        second = jobs.open_for(session, STUDY, JobCause.NEW_ACQUISITION, START)
        third = jobs.open_for(session, STUDY, JobCause.REPLAY, START)
        states = dict(session.execute(select(JobRow.revision, JobRow.state)).all())
    assert states == {1: JobState.SENDING, 2: JobState.SUPERSEDED, 3: JobState.QUEUED}
    assert second.replaces_job_id == third.replaces_job_id == first.job_id


def test_a_job_for_no_study_is_refused(database: Database) -> None:
    with pytest.raises(UnknownStudy), database.begin() as session:
        jobs.open_for(session, "9.9", JobCause.NEW_STUDY, NOW)


def test_results_outside_their_folder_are_not_kept(database: Database, tmp_path: Path) -> None:
    job = a_queued_job(database, tmp_path)
    ((_, fence),) = claimed(database)
    kept = [a_result(tmp_path / "elsewhere", job, ResultKind.TEXT_SR)]
    with pytest.raises(ValueError, match="subpath"), database.begin() as session:
        jobs.keep_results(session, fence, kept, tmp_path / "results")


@pytest.fixture
def plans(database: Database, database_urls: DatabaseUrls) -> Iterator[list[str]]:
    """Among 20,000 jobs that have ended and five that have not: the plans of what is asked."""
    with database.begin() as session:
        session.execute(
            text(
                "INSERT INTO studies (study_instance_uid, state, first_received_at,"
                " last_received_at, quiet_until) SELECT '9.' || n, 'CLOSED', now(), now(), now()"
                " FROM generate_series(1, 20000) n"
            )
        )
        session.execute(
            text(
                "INSERT INTO jobs (job_id, study_instance_uid, revision, cause, state,"
                " next_attempt_at, queued_at, changed_at) SELECT gen_random_uuid(), '9.' || n, 1,"
                " 'NEW_STUDY', CASE WHEN n <= 5 THEN 'QUEUED' ELSE 'DELIVERED' END,"
                " now(), now(), now() FROM generate_series(1, 20000) n"
            )
        )
        session.execute(
            text(
                "INSERT INTO consignments (job_id, destination, state, next_attempt_at, opened_at)"
                " SELECT job_id, 'pacs', state, now(), now() FROM jobs WHERE state = 'DELIVERED'"
            )
        )
    owner = Database(database_urls.owner)
    with owner.begin() as session:
        session.execute(text("ANALYZE"))
    owner.dispose()
    found: list[str] = []

    def explain(connection: Connection, cursor: object, statement: str, *rest: Any) -> None:
        if statement.startswith("SELECT"):
            # The very statement with its parameters, as it is about to be run.
            with closing(connection.connection.cursor()) as asking:
                asking.execute(f"EXPLAIN {statement}", rest[0])
                found.append("\n".join(str(line[0]) for line in asking.fetchall()))

    event.listen(database.engine, "before_cursor_execute", explain)
    yield found
    event.remove(database.engine, "before_cursor_execute", explain)


@pytest.mark.parametrize(
    "ask",
    [
        lambda session: jobs.claim(session, "worker", 4, START, LEASE),
        lambda session: jobs.expire(session, START, MAX_ATTEMPTS),
        lambda session: deliveries.claim(session, "sender", START, LEASE, Outbox(Path())),
        lambda session: studies.close_quiet(session, START),
        lambda session: queries.due(session, (JobState.QUEUED,), START, 50),
        lambda session: queries.due(session, DELIVERABLE, START, 50),
        lambda session: queries.late(session, START, dict.fromkeys(Lane, LEASE)),
        queries.next_quiet,
    ],
    ids=["claim", "expire", "deliver", "close", "due", "due deliveries", "late", "next quiet"],
)
def test_what_is_asked_every_second_reads_open_rows_only(
    database: Database, plans: list[str], ask: Callable[[Session], object]
) -> None:
    with database.begin() as session:
        ask(session)
    assert plans
    # Of the switches of destinations there are as many rows as an operator ever set.
    read = "\n".join(plans).replace("Seq Scan on destinations", "")
    assert "Seq Scan" not in read
