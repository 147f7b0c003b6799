"""One place that changes a job's state, checks the table of legal moves and leaves the event."""

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from service import audit, stretches, tracing
from service.db.tables import JobRow
from service.errors import FenceLost, IllegalTransition
from service.values import (
    LEGAL_MOVES,
    AuditEvent,
    EventType,
    Fence,
    Job,
    JobCause,
    JobFacts,
    JobState,
    Lane,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from sqlalchemy.orm import Session

    from service.db.outbox_tables import ConsignmentRow
    from service.values import EventOutcome

EVENT_OF: "Mapping[JobState, EventType]" = {
    JobState.QUEUED: EventType.JOB_GIVEN_BACK,
    JobState.RUNNING: EventType.JOB_CLAIMED,
    JobState.ENCODED: EventType.RESULTS_ENCODED,
    JobState.SENDING: EventType.SENDING_STARTED,
    JobState.SENT: EventType.RESULTS_SENT,
    JobState.DELIVERED: EventType.DELIVERY_PROVEN,
    JobState.SKIPPED: EventType.JOB_SKIPPED,
    JobState.FAILED: EventType.JOB_FAILED,
    JobState.SHADOW: EventType.JOB_SHADOWED,
    JobState.SUPERSEDED: EventType.JOB_SUPERSEDED,
    JobState.WITHDRAWN: EventType.JOB_WITHDRAWN,
}

OUTCOME_OF: "Mapping[EventType, EventOutcome]" = {
    EventType.JOB_GIVEN_BACK: 4,
    EventType.LEASE_EXPIRED: 4,
    EventType.SENDING_FAILED: 4,
    EventType.JOB_FAILED: 8,
}

STAYS_OWNED = frozenset({JobState.RUNNING, JobState.SENDING, JobState.SENT})
"""States that the same worker goes on from; every other move gives up the fence."""

STARTS_AFRESH = frozenset({JobState.RUNNING, JobState.SENDING})
"""What stood in the way before is over."""

STAMP_OF = {
    JobState.ENCODED: "encoded_at",
    JobState.SENT: "sent_at",
    JobState.DELIVERED: "delivered_at",
}


def fenced(session: "Session", fence: Fence) -> JobRow:
    """Return the job's row, locked, if the fence still holds.

    Raises
    ------
    FenceLost
        If it does not.
    """
    row = session.scalars(
        select(JobRow)
        .where(
            JobRow.job_id == fence.job_id,
            JobRow.attempt == fence.attempt,
            JobRow.owner == fence.owner,
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if row is None:
        raise FenceLost(f"job {fence.job_id}: attempt {fence.attempt} is no longer the latest")
    return row


def take(row: "JobRow | ConsignmentRow", owner: str, now: "datetime", lease: "timedelta") -> Fence:
    """Put an owner on a locked row; every older fence is worthless from here on."""
    row.attempt += 1
    row.owner = owner
    row.claimed_at = now
    row.lease_until = now + lease
    return Fence(row.job_id, row.attempt, owner)


def release(row: "JobRow | ConsignmentRow") -> None:
    """Take the owner off a locked row."""
    row.owner = None
    row.lease_until = None


def put(
    session: "Session", row: JobRow, to: JobState, now: "datetime", why: "tuple[str, JobFacts]"
) -> None:
    """Move a locked row; ``why`` is who did it and what the move leaves behind.

    Raises
    ------
    IllegalTransition
        If the table does not know the move.
    """
    user_id, facts = why
    old = JobState(row.state)
    if to not in LEGAL_MOVES[old]:
        raise IllegalTransition(row.job_id, old, to)
    if to in STARTS_AFRESH:
        row.reason_code = row.reason = None
    row.state = to.value
    row.changed_at = now
    if to in STAMP_OF:
        setattr(row, STAMP_OF[to], now)
    if to not in STAYS_OWNED:
        release(row)
        row.next_attempt_at = now
    _leave(row, facts)
    session.flush()
    tracing.tell_after_commit(session, *stretches.of_move(row, old, now, facts))
    detail = {
        "from": old.value,
        "to": to.value,
        "revision": row.revision,
        **_words(facts),
        **facts.detail,
    }
    audit.record(session, about(row, EVENT_OF[to], user_id, detail), now)


def about(
    row: JobRow,
    event_type: EventType,
    user_id: str,
    detail: "Mapping[str, Any]",
    sop_instance_uid: str | None = None,
) -> AuditEvent:
    """Return an audit event about a job."""
    return AuditEvent(
        event_type=event_type,
        event_action_code="C" if event_type is EventType.JOB_OPENED else "U",
        event_outcome_indicator=OUTCOME_OF.get(event_type, 0),
        user_id=user_id,
        study_instance_uid=row.study_instance_uid,
        sop_instance_uid=sop_instance_uid,
        job_id=row.job_id,
        detail=detail,
    )


def to_value(row: JobRow) -> Job:
    """Return the row as a value."""
    return Job(
        job_id=row.job_id,
        study_instance_uid=row.study_instance_uid,
        revision=row.revision,
        cause=JobCause(row.cause),
        state=JobState(row.state),
        attempt=row.attempt,
        queued_at=row.queued_at,
        replaces_job_id=row.replaces_job_id,
        reason=row.reason,
        delivery_attempts=row.delivery_attempts,
        sent_at=row.sent_at,
        lane=Lane(row.lane),
    )


def _leave(row: JobRow, facts: JobFacts) -> None:
    for name in ("reason_code", "reason", "bundle"):
        value = getattr(facts, name)
        if value is not None:
            setattr(row, name, value)
    if facts.stage_seconds is not None:
        row.stage_seconds = dict(facts.stage_seconds)
    if facts.summary is not None:
        row.summary = dict(facts.summary)


def _words(facts: JobFacts) -> dict[str, str]:
    named = {name: getattr(facts, name) for name in ("reason_code", "reason", "bundle")}
    return {name: value for name, value in named.items() if value is not None}
