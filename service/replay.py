"""What a person may ask for: read a study again, or send the same results again."""

from typing import TYPE_CHECKING

from sqlalchemy import select

from service import audit, consignments, jobs, lifecycle, studies, withdrawing
from service.db.tables import JobRow, ResultRow
from service.errors import NothingToDeliver, NothingToRead, StudyHeld
from service.values import (
    AuditEvent,
    EventType,
    Job,
    JobCause,
    JobFacts,
    JobState,
    StudyState,
)

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from service.db.tables import StudyRow

REDELIVERABLE = (JobState.DELIVERED, JobState.FAILED)


def replay(session: "Session", study_instance_uid: str, user_id: str, now: "datetime") -> Job:
    """Open a new job for a study: new UIDs, the next revision; it names what it replaces.

    A job of which nothing has been sent is superseded by it.

    Raises
    ------
    UnknownStudy
        If there is no such study.
    StudyHeld
        If two patients, or changed pixels, stand in the way.
    NothingToRead
        If nothing in it is of a class that is read.
    """
    study = studies.lock(session, study_instance_uid)
    if study.state == StudyState.HELD:
        raise StudyHeld(study.held_reason or "the study is held")
    if not studies.has_film(session, study):
        raise NothingToRead("nothing in this study is of a class that is read")
    _tell(session, study, EventType.REPLAY_REQUESTED, user_id, now)
    withdrawing.lift(session, study_instance_uid, now)
    # Whatever was still being waited for is in it now.
    study.state = StudyState.CLOSED.value
    study.corrected_after_sending = False
    session.flush()
    return jobs.open_for(session, study_instance_uid, JobCause.REPLAY, now)


def redeliver(session: "Session", study_instance_uid: str, user_id: str, now: "datetime") -> Job:
    """Send the newest kept results again, byte for byte.

    What was delivered goes to all its destinations again, what failed only to those that failed.

    Raises
    ------
    UnknownStudy
        If there is no such study.
    StudyHeld
        If two patients, or changed pixels, stand in the way.
    NothingToDeliver
        If the newest draft has no kept results, or is on its way as it is.
    """
    study = studies.lock(session, study_instance_uid)
    if study.state == StudyState.HELD:
        raise StudyHeld(study.held_reason or "the study is held")
    row = session.scalars(
        select(JobRow)
        .where(
            JobRow.study_instance_uid == study_instance_uid,
            JobRow.state != JobState.SUPERSEDED,
            select(ResultRow.id).where(ResultRow.job_id == JobRow.job_id).exists(),
        )
        .order_by(JobRow.revision.desc())
        .limit(1)
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise NothingToDeliver("there are no kept results that could be sent again")
    if row.state not in REDELIVERABLE:
        raise NothingToDeliver(f"the newest results are {row.state}")
    _tell(session, study, EventType.REDELIVERY_REQUESTED, user_id, now)
    row.delivery_attempts = 0
    consignments.reopen(session, row, now)
    lifecycle.put(session, row, JobState.SENDING, now, (user_id, JobFacts()))
    row.next_attempt_at = now
    session.flush()
    return lifecycle.to_value(row)


def _tell(
    session: "Session", study: "StudyRow", event_type: EventType, user_id: str, now: "datetime"
) -> None:
    event = AuditEvent(
        event_type=event_type,
        event_action_code="E",
        event_outcome_indicator=0,
        user_id=user_id,
        study_instance_uid=study.study_instance_uid,
    )
    audit.record(session, event, now)
