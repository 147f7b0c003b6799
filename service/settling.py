"""What the consignments of a job make of the job as a whole."""

from typing import TYPE_CHECKING

from sqlalchemy import select

from service import audit, lifecycle
from service.db.outbox_tables import ConsignmentRow
from service.db.tables import DELIVERABLE
from service.values import LEGAL_MOVES, EventType, JobFacts, JobState

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

    from service.db.tables import JobRow

_TOLD: "Mapping[JobState, EventType]" = {
    JobState.DELIVERED: EventType.DESTINATION_DELIVERED,
    JobState.FAILED: EventType.DESTINATION_FAILED,
}


def settle(
    session: "Session",
    job: "JobRow",
    moved: ConsignmentRow,
    now: "datetime",
    why: tuple[str, JobFacts],
) -> None:
    """Let a locked job follow its consignments, one of which has just ``moved``.

    ``why`` is who moved it and what that left. With one destination the job simply does what its
    consignment does; with several it is as far as the one that is furthest behind, and every end
    at one destination leaves an event of its own.
    """
    user_id, facts = why
    rows = session.scalars(
        select(ConsignmentRow)
        .where(ConsignmentRow.job_id == job.job_id)
        .order_by(ConsignmentRow.destination)
    ).all()
    if len(rows) > 1 and moved.state in _TOLD:
        detail = {"destination": moved.destination, "reason": moved.reason}
        told = lifecycle.about(job, _TOLD[JobState(moved.state)], user_id, detail)
        audit.record(session, told, now)
    code, reason = _words(rows)
    left = JobFacts(reason_code=code, reason=reason, detail=facts.detail)
    for state in path(JobState(job.state), aim([JobState(row.state) for row in rows])):
        lifecycle.put(session, job, state, now, (user_id, left))
    job.reason_code, job.reason = code, reason
    schedule(job, rows)
    session.flush()


def aim(states: "Collection[JobState]") -> JobState:
    """Return where the job as a whole stands when its consignments stand so."""
    if any(state in {JobState.ENCODED, JobState.SENDING} for state in states):
        begun = {JobState.SENDING, JobState.SENT, JobState.DELIVERED}
        return JobState.SENDING if begun & set(states) else JobState.ENCODED
    for state, instead in (
        # While a proof is outstanding elsewhere, a refusal does not end the job yet.
        (JobState.SENT, JobState.SENDING if JobState.FAILED in states else JobState.SENT),
        (JobState.FAILED, JobState.FAILED),
        (JobState.DELIVERED, JobState.DELIVERED),
    ):
        if state in states:
            return instead
    return JobState.SHADOW


def path(old: JobState, to: JobState) -> tuple[JobState, ...]:
    """Return the legal moves from one state to another, () where it stays as it is."""
    if to is old:
        return ()
    if to in LEGAL_MOVES[old]:
        return (to,)
    for between in (JobState.SENT, JobState.SENDING):
        if between in LEGAL_MOVES[old] and to in LEGAL_MOVES[between]:
            return between, to
    return ()


def schedule(job: "JobRow", rows: "Sequence[ConsignmentRow]") -> None:
    """Note on the job when its next consignment is due, for whoever rings."""
    times = [row.lease_until or row.next_attempt_at for row in rows if row.state in DELIVERABLE]
    if times:
        job.next_attempt_at = min(times)


def _words(rows: "Sequence[ConsignmentRow]") -> tuple[str | None, str | None]:
    """Return code and reason of the job: with several destinations each is named."""
    spoken = sorted(
        (row for row in rows if row.reason), key=lambda row: row.state != JobState.FAILED
    )
    if not spoken:
        return None, None
    if len(rows) == 1:
        return spoken[0].reason_code, spoken[0].reason
    return spoken[0].reason_code, "; ".join(f"{row.destination}: {row.reason}" for row in spoken)
