import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from rows import (
    LEASE,
    NOW,
    QUIET,
    SECOND,
    STUDY,
    a_queued_job,
    an_instance,
    claimed,
    rules,
)
from sqlalchemy import select, text, update

from dicom.values import Origin, ReceivedInstance
from service import alarm, intake, jobs, lanes, order, story, studies
from service.db.engine import Database
from service.db.tables import AuditEventRow, JobRow, StudyRow
from service.errors import UnknownStudy
from service.lane_rules import CAPS, LaneRules, Placement
from service.settings import Settings
from service.values import EventType, JobFacts, JobState, Lane, Reception

pytestmark = pytest.mark.integration

START = NOW + QUIET
STAT = Placement(Lane.STAT, lanes.BY_HAND, CAPS[Lane.STAT])


def with_priority(received: ReceivedInstance, said: str) -> ReceivedInstance:
    origin = Origin(requested_procedure_priority=said)
    return replace(received, header=replace(received.header, origin=origin))


def accept(
    database: Database, spool: Path, received: ReceivedInstance, lanes_: LaneRules | None = None
) -> Reception:
    site = replace(rules(spool), lanes=lanes_ or LaneRules())
    return intake.accept(database, received, site, NOW)


def study_row(database: Database, uid: str = STUDY) -> StudyRow:
    with database.begin() as session:
        return session.get_one(StudyRow, uid)


def job_row(database: Database, uid: str = STUDY) -> JobRow:
    with database.begin() as session:
        return session.scalars(
            select(JobRow)
            .where(JobRow.study_instance_uid == uid)
            .order_by(JobRow.revision.desc())
            .limit(1)
        ).one()


def events(database: Database, event_type: EventType) -> list[AuditEventRow]:
    with database.begin() as session:
        return list(
            session.scalars(
                select(AuditEventRow)
                .where(AuditEventRow.event_type == event_type.value)
                .order_by(AuditEventRow.id)
            )
        )


def test_the_first_instance_decides_the_lane_and_the_job_and_its_event_have_it(
    database: Database, tmp_path: Path
) -> None:
    accept(database, tmp_path, with_priority(an_instance(tmp_path), "HIGH"))
    with database.begin() as session:
        (job,) = studies.close_quiet(session, START)
    assert job.lane is Lane.URGENT
    row = job_row(database)
    assert row.overdue_at - row.queued_at == CAPS[Lane.URGENT]
    (opened,) = events(database, EventType.JOB_OPENED)
    assert opened.detail["lane"] == "urgent"
    assert opened.detail["lane_rule"] == "priority high"
    with database.begin() as session:
        (line,) = story.studies(session, 10, START)
    assert (line.lane, line.lane_rule) == ("urgent", "priority high")


def test_a_later_instance_raises_the_lane_and_never_lowers_it(
    database: Database, tmp_path: Path
) -> None:
    for said, lane in (("ROUTINE", Lane.ROUTINE), ("STAT", Lane.STAT), ("HIGH", Lane.STAT)):
        accept(database, tmp_path, with_priority(an_instance(tmp_path), said))
        assert study_row(database).lane == lane
    (raised,) = events(database, EventType.LANE_RAISED)
    assert (raised.detail["from"], raised.detail["to"]) == ("routine", "stat")


def test_the_very_same_film_sent_again_with_haste_raises_its_waiting_job(
    database: Database, tmp_path: Path
) -> None:
    film = an_instance(tmp_path)
    accept(database, tmp_path, film)
    with database.begin() as session:
        studies.close_quiet(session, START)
    before = job_row(database)
    assert accept(database, tmp_path, with_priority(film, "STAT")) is Reception.IDENTICAL
    after = job_row(database)
    assert (before.lane, after.lane) == (Lane.ROUTINE, Lane.STAT)
    assert after.job_id == before.job_id
    assert after.overdue_at == after.queued_at + CAPS[Lane.STAT]


def test_a_stat_study_is_closed_after_its_own_quiet_period(
    database: Database, tmp_path: Path
) -> None:
    site = LaneRules(stat_quiet_period=SECOND)
    accept(database, tmp_path, with_priority(an_instance(tmp_path), "STAT"), site)
    accept(database, tmp_path, an_instance(tmp_path, study="1.2.4"), site)
    with database.begin() as session:
        closed = studies.close_quiet(session, NOW + SECOND)
    assert [job.study_instance_uid for job in closed] == [STUDY]


def test_hurrying_a_study_puts_its_job_before_all_others_and_is_audited(
    database: Database, tmp_path: Path
) -> None:
    for number in range(3):
        a_queued_job(database, tmp_path, study=f"1.2.{number}")
    with database.begin() as session:
        assert lanes.hurry(session, "1.2.2", STAT, "jdoe", START)
        assert not lanes.hurry(session, "1.2.2", STAT, "jdoe", START)
    assert [job.study_instance_uid for job, _ in claimed(database, limit=3)] == ["1.2.2"]
    (raised,) = events(database, EventType.LANE_RAISED)
    assert (raised.user_id, raised.study_instance_uid) == ("jdoe", "1.2.2")
    with database.begin() as session, pytest.raises(UnknownStudy):
        lanes.hurry(session, "9.9", STAT, "jdoe", START)


@dataclass(frozen=True)
class Waits:
    """A queued job, as the order sees it."""

    job_id: UUID
    lane: int
    next_attempt_at: datetime
    overdue_at: datetime


def shuffle_into_lanes(database: Database, seed: int) -> list[Waits]:
    """Give every queued job a lane and times of its own, none equal; return them."""
    dice = random.Random(seed)
    seconds = dice.sample(range(-40_000, 600), 200)
    with database.begin() as session:
        for row in session.scalars(select(JobRow).order_by(JobRow.study_instance_uid)):
            row.lane = dice.randrange(4)
            row.next_attempt_at = START + seconds.pop() * SECOND
            row.overdue_at = START + seconds.pop() * SECOND
        session.flush()
        rows = session.execute(
            select(JobRow.job_id, JobRow.lane, JobRow.next_attempt_at, JobRow.overdue_at)
        )
        return [Waits(*row) for row in rows]


@pytest.mark.parametrize("seed", range(4))
def test_the_database_claims_in_the_order_that_is_defined_in_plain_words(
    database: Database, tmp_path: Path, seed: int
) -> None:
    for number in range(24):
        a_queued_job(database, tmp_path, study=f"1.2.{number}")
    waiting = shuffle_into_lanes(database, seed)
    limit = seed + 1
    for turn in range(1, 40):
        expected = [one.job_id for one in order.choose(waiting, limit, START, turn)]
        taken = [job.job_id for job, _ in claimed(database, limit=limit, now=START)]
        assert taken == expected
        waiting = [one for one in waiting if one.job_id not in taken]
    assert all(one.next_attempt_at > START for one in waiting)


def test_both_kinds_of_turn_are_answered_by_an_index_in_its_order(
    database: Database, tmp_path: Path
) -> None:
    a_queued_job(database, tmp_path)
    for query, index in (
        (order.by_lane(4, START), "ix_jobs_lane"),
        (order.overdue(4, START), "ix_jobs_overdue"),
    ):
        with database.begin() as session:
            session.execute(text("SET LOCAL enable_seqscan = off"))
            session.execute(text("SET LOCAL enable_bitmapscan = off"))
            words = query.compile(database.engine, compile_kwargs={"literal_binds": True})
            plan = "\n".join(session.scalars(text(f"EXPLAIN {words}")))
        assert f"Index Scan using {index}" in plan
        assert "Sort" not in plan


def late_settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, late_after_s=900, stat_late_after_s=120)


def look(database: Database, settings: Settings, now: datetime) -> int:
    with database.begin() as session:
        return alarm.raise_for_late(session, now, settings)


def test_a_draft_is_late_when_its_lane_says_so(database: Database, tmp_path: Path) -> None:
    settings = late_settings(tmp_path)
    a_queued_job(database, tmp_path, study="1.2.1")
    a_queued_job(database, tmp_path, study="1.2.2")
    with database.begin() as session:
        lanes.hurry(session, "1.2.2", STAT, "jdoe", START)
    assert look(database, settings, START + 119 * SECOND) == 0
    assert look(database, settings, START + 121 * SECOND) == 1
    assert look(database, settings, START + 901 * SECOND) == 2
    told = [
        (one.study_instance_uid, one.detail["lane"])
        for one in events(database, EventType.DRAFT_LATE)
    ]
    assert told == [("1.2.2", "stat"), ("1.2.1", "routine")]


def test_a_study_is_told_of_once_however_often_it_is_overtaken(
    database: Database, tmp_path: Path
) -> None:
    settings = late_settings(tmp_path)
    job = a_queued_job(database, tmp_path)
    hours = START + timedelta(hours=1)
    look(database, settings, hours)
    with database.begin() as session:
        jobs.open_for(session, job.study_instance_uid, job.cause, hours)
    assert look(database, settings, hours + SECOND) == 0
    assert look(database, settings, hours + timedelta(hours=1)) == 1
    assert len(events(database, EventType.DRAFT_LATE)) == 1
    assert events(database, EventType.DRAFT_LATE_ENDED) == []


@pytest.mark.parametrize("end", [JobState.SKIPPED, JobState.FAILED])
def test_the_alarm_ends_when_the_reading_has_and_rings_no_more(
    database: Database, tmp_path: Path, end: JobState
) -> None:
    settings = late_settings(tmp_path)
    a_queued_job(database, tmp_path)
    hours = START + timedelta(hours=1)
    look(database, settings, hours)
    ((_, fence),) = claimed(database, now=hours)
    with database.begin() as session:
        jobs.move(session, fence, end, hours + SECOND, JobFacts(reason="so"))
    look(database, settings, hours + 2 * SECOND)
    look(database, settings, hours + 3 * SECOND)
    (ended,) = events(database, EventType.DRAFT_LATE_ENDED)
    assert ended.detail["state"] == end
    assert ended.event_outcome_indicator == 4
    assert study_row(database).late_since is None


def test_a_delivered_draft_ends_the_alarm_well(database: Database, tmp_path: Path) -> None:
    a_queued_job(database, tmp_path)
    hours = START + timedelta(hours=1)
    look(database, late_settings(tmp_path), hours)
    with database.begin() as session:
        session.execute(update(JobRow).values(state=JobState.DELIVERED.value))
    look(database, late_settings(tmp_path), hours + SECOND)
    (ended,) = events(database, EventType.DRAFT_LATE_ENDED)
    assert (ended.event_outcome_indicator, ended.detail["late_s"]) == (0, 1.0)


def test_a_job_in_hand_keeps_its_fence_when_its_study_is_hurried(
    database: Database, tmp_path: Path
) -> None:
    a_queued_job(database, tmp_path)
    ((_, fence),) = claimed(database)
    with database.begin() as session:
        lanes.hurry(session, STUDY, STAT, "jdoe", START)
    with database.begin() as session:
        held = jobs.heartbeat(session, [fence], START + SECOND, LEASE, timedelta(minutes=5))
    assert held == (fence,)
