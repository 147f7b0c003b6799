"""Deliveries go by lane, nobody starves, and what rests costs the others nothing."""

import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from rows import LEASE, NOW, QUIET, SECOND, an_encoded_job
from sqlalchemy import insert, select, text, update

from service import consignments, delivery_order, destinations, lanes, order
from service.consignments import Outbox
from service.db.engine import Database
from service.db.outbox_tables import ConsignmentRow, LineRow
from service.db.tables import JobRow, StudyRow
from service.destinations import Switch
from service.lane_rules import CAPS, Placement
from service.processes import wait_until
from service.values import JobState, Lane

pytestmark = pytest.mark.integration

START = NOW + QUIET
ONLY = ("pacs",)
STAT = Placement(Lane.STAT, lanes.BY_HAND, CAPS[Lane.STAT])


@dataclass(frozen=True)
class Waits:
    """A consignment, as the order sees it."""

    job_id: UUID
    lane: int
    next_attempt_at: datetime
    overdue_at: datetime


def claim(
    database: Database, home: Path, now: datetime = START, outbox: Outbox | None = None
) -> UUID | None:
    with database.begin() as session:
        found = consignments.claim(
            session, "sender", now, LEASE, outbox or Outbox(home / "results", ONLY)
        )
    return None if found is None else found[0].job_id


def put_in_lane(database: Database, job_id: UUID, lane: Lane, waited: timedelta) -> None:
    """Let a job that is not consigned yet have waited so long."""
    since = START - waited
    with database.begin() as session:
        session.execute(
            update(JobRow)
            .where(JobRow.job_id == job_id)
            .values(lane=int(lane), next_attempt_at=since, overdue_at=since + CAPS[lane])
        )


def encoded(database: Database, home: Path, wanted: Sequence[tuple[Lane, float]]) -> list[UUID]:
    """Return encoded jobs that have waited so many minutes in these lanes."""
    made = []
    for number, (lane, minutes) in enumerate(wanted):
        job = an_encoded_job(database, home, study=f"1.2.{number}")
        put_in_lane(database, job.job_id, lane, timedelta(minutes=minutes))
        made.append(job.job_id)
    return made


def test_a_stat_draft_goes_out_before_old_ones_that_wait_for_longer(
    database: Database, tmp_path: Path
) -> None:
    wanted = [(Lane.BACKFILL, 50.0), (Lane.ROUTINE, 20.0), (Lane.URGENT, 2.0), (Lane.STAT, 0.1)]
    jobs = encoded(database, tmp_path, wanted)
    assert [claim(database, tmp_path) for _ in range(4)] == jobs[::-1]
    assert claim(database, tmp_path) is None


def shuffled(database: Database, seed: int) -> list[Waits]:
    dice = random.Random(seed)
    seconds = dice.sample(range(-40_000, 600), 200)
    with database.begin() as session:
        for row in session.scalars(select(ConsignmentRow).order_by(ConsignmentRow.job_id)):
            row.lane = dice.randrange(4)
            row.next_attempt_at = START + seconds.pop() * SECOND
            row.overdue_at = START + seconds.pop() * SECOND
        session.flush()
        row = ConsignmentRow
        found = session.execute(select(row.job_id, row.lane, row.next_attempt_at, row.overdue_at))
        return [Waits(*one) for one in found]


@pytest.mark.parametrize("seed", range(2))
def test_the_database_claims_in_the_order_that_is_defined_in_plain_words(
    database: Database, tmp_path: Path, seed: int
) -> None:
    encoded(database, tmp_path, [(Lane.ROUTINE, 1.0)] * 16)
    with database.begin() as session:
        consignments._open(session, ONLY, START)
    waiting = shuffled(database, seed)
    for turn in range(1, 18):
        expected = order.choose(waiting, 1, START, turn)
        taken = claim(database, tmp_path)
        assert taken == (expected[0].job_id if expected else None)
        waiting = [one for one in waiting if one.job_id != taken]
    assert all(one.next_attempt_at > START for one in waiting)


def test_what_is_overdue_is_sent_however_much_that_is_urgent_keeps_coming(
    database: Database, tmp_path: Path
) -> None:
    wanted = [(Lane.BACKFILL, 60 * 7.0), *[(Lane.STAT, 0.1)] * 8]
    old, *_ = encoded(database, tmp_path, wanted)
    taken = [claim(database, tmp_path) for _ in range(order.OVERDUE_EVERY)]
    assert taken.index(old) == order.OVERDUE_EVERY - 1


def test_turns_are_counted_for_each_destination_and_only_when_something_was_found(
    database: Database, tmp_path: Path
) -> None:
    names = ("pacs", "research")
    encoded(database, tmp_path, [(Lane.ROUTINE, 1.0)] * 3)
    both = tmp_path / "results"
    for name in ("pacs", "pacs", "research", "pacs", "pacs", "pacs"):
        claim(database, tmp_path, outbox=Outbox(both, names, name))
    with database.begin() as session:
        turns = dict(session.execute(select(LineRow.destination, LineRow.turns)).all())
    assert turns == {"pacs": 3, "research": 1}


def test_hurrying_a_study_puts_its_waiting_draft_before_the_others(
    database: Database, tmp_path: Path
) -> None:
    first, second = encoded(database, tmp_path, [(Lane.ROUTINE, 9.0), (Lane.ROUTINE, 1.0)])
    with database.begin() as session:
        consignments._open(session, ONLY, START)
        lanes.hurry(session, "1.2.1", STAT, "jdoe", START)
    assert [claim(database, tmp_path), claim(database, tmp_path)] == [second, first]


def test_a_stat_draft_behind_more_than_is_opened_at_once_is_opened_first(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consignments, "OPENED_AT_ONCE", 2)
    wanted = [*[(Lane.BACKFILL, 30.0)] * 4, (Lane.STAT, 0.1)]
    jobs = encoded(database, tmp_path, wanted)
    assert claim(database, tmp_path) == jobs[-1]


def test_nothing_of_a_suspended_destination_is_taken_and_all_others_are(
    database: Database, tmp_path: Path
) -> None:
    names = ("pacs", "research")
    encoded(database, tmp_path, [(Lane.STAT, 1.0)])
    with database.begin() as session:
        destinations.switch(session, "pacs", Switch.SUSPENDED, ("root", START), names)
        consignments._open(session, names, START)
        assert delivery_order.waiting(session) == ("research",)
    everything = Outbox(tmp_path / "results", names)
    assert claim(database, tmp_path, outbox=everything) is not None
    assert claim(database, tmp_path, outbox=everything) is None


def fill(database: Database, waiting: int, ended: int) -> None:
    """Add consignments that rest until tomorrow, in every lane, and others that ended."""
    at, later = START, START + timedelta(days=1)
    with database.begin() as session:
        for number in range(waiting + ended):
            study, job_id = f"1.9.{number}", UUID(int=number)
            times = {"first_received_at": at, "last_received_at": at, "quiet_until": at}
            is_waiting = number < waiting
            state = JobState.SENDING if is_waiting else JobState.DELIVERED
            session.execute(
                insert(StudyRow).values(study_instance_uid=study, state="CLOSED", **times)
            )
            common = {"state": state.value, "next_attempt_at": later, "lane": number % 4}
            session.execute(
                insert(JobRow).values(
                    job_id=job_id,
                    study_instance_uid=study,
                    revision=1,
                    cause="NEW_STUDY",
                    queued_at=at,
                    changed_at=at,
                    consigned=True,
                    overdue_at=at - timedelta(days=1),
                    **common,
                )
            )
            session.execute(
                insert(ConsignmentRow).values(
                    job_id=job_id,
                    destination="pacs",
                    opened_at=at,
                    overdue_at=at - timedelta(days=1),
                    **common,
                )
            )
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(text("ANALYZE"))


def pages(database: Database, query: str) -> int:
    with database.begin() as session:
        plan = session.scalars(text(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}")).one()
    top = plan[0]["Plan"]
    return int(top["Shared Hit Blocks"]) + int(top["Shared Read Blocks"])


def test_what_rests_and_what_has_ended_costs_a_claim_nothing(
    database: Database, tmp_path: Path
) -> None:
    encoded(database, tmp_path, [(Lane.ROUTINE, 1.0)])
    with database.begin() as session:
        consignments._open(session, ONLY, START)
    asked = delivery_order.by_lane(ONLY, Lane.ROUTINE, START)
    words = str(asked.compile(database.engine, compile_kwargs={"literal_binds": True}))
    before = pages(database, words)
    fill(database, waiting=1000, ended=1000)
    assert pages(database, words) <= before + 6
    assert claim(database, tmp_path) is not None


def test_each_question_of_a_claim_is_answered_by_an_index_in_its_order(
    database: Database,
) -> None:
    for query, index in (
        (consignments.unopened(START), "ix_jobs_unconsigned"),
        (delivery_order.by_lane(ONLY, Lane.STAT, START), "ix_consignments_lane"),
        (delivery_order.overdue(ONLY, START), "ix_consignments_overdue"),
    ):
        with database.begin() as session:
            session.execute(text("SET LOCAL enable_seqscan = off"))
            session.execute(text("SET LOCAL enable_bitmapscan = off"))
            words = query.compile(database.engine, compile_kwargs={"literal_binds": True})
            plan = "\n".join(session.scalars(text(f"EXPLAIN {words}")))
        assert f"Index Scan using {index}" in plan
        assert "Sort" not in plan


def test_hurrying_a_study_waits_for_its_deliverer_and_not_he_for_it(
    database: Database, tmp_path: Path
) -> None:
    """A job that is changed twice has its study looked for: that must not be locked away."""
    encoded(database, tmp_path, [(Lane.ROUTINE, 1.0)])
    raised: list[bool] = []

    def hurry() -> None:
        with database.begin() as session:
            raised.append(lanes.hurry(session, "1.2.0", STAT, "jdoe", START))

    other = threading.Thread(target=hurry)
    with database.begin() as session:
        job = session.scalars(select(JobRow).with_for_update()).one()
        job.delivery_attempts += 1
        session.flush()
        other.start()
        waits = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        with database.engine.connect() as looking:
            looking.execution_options(isolation_level="AUTOCOMMIT")
            assert wait_until(lambda: looking.execute(waits).scalar_one() > 0, 30.0)
        job.next_attempt_at = START
        session.flush()
    other.join(30.0)
    assert raised == [True]
    with database.begin() as session:
        row = session.scalars(select(JobRow)).one()
        assert (row.lane, row.delivery_attempts) == (Lane.STAT, 1)
