"""The queue of each destination: claim a consignment, move it on, give it back.

A consignment is one job on its way to one destination. Each has its own fence, lease and pause, so
that an archive that is down holds up nothing but itself. Always lock the job before its
consignments.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select, tuple_, update

from service import audit, delivery_order, lifecycle, settling, stretches, tracing
from service.db.outbox_tables import ConsignmentRow
from service.db.tables import DELIVERABLE, JobRow
from service.errors import FenceLost, IllegalTransition
from service.values import LEGAL_MOVES, EventType, Fence, Job, JobFacts, JobState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from sqlalchemy import Select
    from sqlalchemy.orm import Session

SYSTEM: Final = "carina"
OPENED_AT_ONCE: Final = 100
EXPIRED_AT_ONCE: Final = 500
REACHABLE: Final = frozenset(
    {JobState.SENDING, JobState.SENT, JobState.DELIVERED, JobState.FAILED, JobState.SHADOW}
)
ENDS_A_STRETCH: Final = frozenset({JobState.SENT, JobState.DELIVERED, JobState.FAILED})
DEFAULT: Final = "pacs"
STRAYS: Final = ""


@dataclass(frozen=True, slots=True)
class Outbox:
    """What one deliverer serves.

    ``root`` is the folder of kept results, ``destinations`` are the names a new job is consigned
    to. ``only`` is the one it serves itself: None for all, ``STRAYS`` for those that are not
    configured any more.
    """

    root: Path
    destinations: tuple[str, ...] = (DEFAULT,)
    only: str | None = None


def claim(
    session: "Session", owner: str, now: "datetime", lease: "timedelta", outbox: Outbox
) -> tuple[Job, Fence] | None:
    """Take the consignment that is next (:mod:`service.delivery_order`); None when none is due.

    The job returned is as it stands at that destination.
    """
    names = outbox.destinations or (DEFAULT,)
    _open(session, names, now)
    served = (outbox.only,) if outbox.only else delivery_order.waiting(session)
    if outbox.only == STRAYS:
        served = tuple(name for name in served if name not in names)
    found = delivery_order.lock_next(session, served, now)
    if found is None:
        return None
    row, job = found
    fence = replace(lifecycle.take(row, owner, now, lease), destination=row.destination)
    row.tries += 1
    job.delivery_attempts += 1
    settling.schedule(job, _of(session, job.job_id))
    session.flush()
    return _value(job, row), fence


def fenced(session: "Session", fence: Fence) -> tuple[JobRow, ConsignmentRow]:
    """Return the job and its consignment, both locked, if the fence still holds.

    Raises
    ------
    FenceLost
        If it does not, or the job has been overtaken or has ended.
    """
    job = session.get(JobRow, fence.job_id, with_for_update=True, populate_existing=True)
    row = session.scalars(
        select(ConsignmentRow)
        .where(
            ConsignmentRow.job_id == fence.job_id,
            ConsignmentRow.destination == fence.destination,
            ConsignmentRow.attempt == fence.attempt,
            ConsignmentRow.owner == fence.owner,
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if job is None or row is None or job.state not in DELIVERABLE:
        raise FenceLost(f"job {fence.job_id}: {fence.destination} is no longer ours to serve")
    return job, row


def move(
    session: "Session", fence: Fence, to: JobState, now: "datetime", facts: JobFacts | None = None
) -> Job:
    """Make one legal move; the job follows. An end gives up the fence.

    Raises
    ------
    FenceLost
        If somebody else serves it now.
    IllegalTransition
        If the table does not know the move.
    """
    job, row = fenced(session, fence)
    old, left = JobState(row.state), facts or JobFacts()
    if to not in LEGAL_MOVES[old] & REACHABLE:
        raise IllegalTransition(row.job_id, old, to)
    if to is JobState.SENDING:
        row.reason_code = row.reason = None
    row.state = to.value
    row.reason_code = left.reason_code or row.reason_code
    row.reason = left.reason or row.reason
    if to is JobState.SENT:
        row.sent_at = now
    elif to is JobState.DELIVERED:
        row.delivered_at = now
    if to not in lifecycle.STAYS_OWNED:
        lifecycle.release(row)
    session.flush()
    if to in ENDS_A_STRETCH:
        tracing.tell_after_commit(session, *stretches.of_consignment(job, row, now))
    settling.settle(session, job, row, now, (fence.owner, left))
    return _value(job, row)


def retry_later(session: "Session", fence: Fence, now: "datetime", delay: "timedelta") -> Job:
    """Leave the consignment in its state, due again after ``delay``; the fence is given up."""
    job, row = fenced(session, fence)
    lifecycle.release(row)
    row.next_attempt_at = now + delay
    session.flush()
    if row.state != JobState.SENT:
        tracing.tell_after_commit(session, *stretches.of_consignment(job, row, now))
    settling.schedule(job, _of(session, job.job_id))
    session.flush()
    return _value(job, row)


def heartbeat(
    session: "Session",
    fences: "Sequence[Fence]",
    now: "datetime",
    lease: "timedelta",
    hard_limit: "timedelta",
) -> frozenset[Fence]:
    """Prolong leases up to ``hard_limit`` after their claim; return the fences that still hold."""
    if not fences:
        return frozenset()
    row = ConsignmentRow
    asked = [(one.job_id, one.destination, one.attempt, one.owner) for one in fences]
    kept = session.execute(
        update(row)
        .where(
            tuple_(row.job_id, row.destination, row.attempt, row.owner).in_(asked),
            row.claimed_at > now - hard_limit,
        )
        .values(lease_until=func.least(now + lease, row.claimed_at + hard_limit))
        .returning(row.job_id, row.destination, row.attempt)
        .execution_options(synchronize_session=False)
    )
    ours = {tuple(values) for values in kept}
    return frozenset(one for one in fences if (one.job_id, one.destination, one.attempt) in ours)


def expire(session: "Session", now: "datetime") -> tuple[Job, ...]:
    """Free what a deliverer fell silent over: it keeps its state and is due at once."""
    silent = session.execute(
        select(ConsignmentRow, JobRow)
        .join(JobRow, JobRow.job_id == ConsignmentRow.job_id)
        .where(ConsignmentRow.lease_until < now)
        .limit(EXPIRED_AT_ONCE)
        .with_for_update(skip_locked=True)
    ).all()
    for row, job in silent:
        detail = {"owner": row.owner, "attempt": row.attempt, "destination": row.destination}
        event = lifecycle.about(job, EventType.LEASE_EXPIRED, SYSTEM, detail)
        audit.record(session, event, now)
        lifecycle.release(row)
        row.next_attempt_at = now
        if job.state in DELIVERABLE:
            job.next_attempt_at = now
    session.flush()
    return tuple(_value(job, row) for row, job in silent)


def supersede(session: "Session", job_ids: "Iterable[UUID]") -> None:
    """End what has not been sent of jobs that were overtaken."""
    session.execute(
        update(ConsignmentRow)
        .where(ConsignmentRow.job_id.in_(list(job_ids)), ConsignmentRow.state == JobState.ENCODED)
        .values(state=JobState.SUPERSEDED.value, owner=None, lease_until=None)
    )


def reopen(session: "Session", job: JobRow, now: "datetime") -> None:
    """Make a locked job that has ended due again where it ended so: redelivery."""
    session.execute(
        update(ConsignmentRow)
        .where(ConsignmentRow.job_id == job.job_id, ConsignmentRow.state == job.state)
        .values(
            state=JobState.SENDING.value,
            tries=0,
            reason_code=None,
            reason=None,
            next_attempt_at=now,
            lane=job.lane,
            overdue_at=job.overdue_at,
        )
    )


def _open(session: "Session", destinations: "Sequence[str]", now: "datetime") -> None:
    """Consign jobs that are new here to every destination; those of an older version go on."""
    jobs = session.scalars(unopened(now)).all()
    for job in jobs:
        job.consigned = True
        for name in destinations:
            row = ConsignmentRow(
                job_id=job.job_id,
                destination=name,
                state=job.state,
                attempt=0,
                tries=job.delivery_attempts,
                next_attempt_at=job.next_attempt_at,
                opened_at=job.encoded_at or now,
                sent_at=job.sent_at,
                lane=job.lane,
                overdue_at=job.overdue_at,
            )
            session.add(row)
    session.flush()


def unopened(now: "datetime") -> "Select[JobRow]":
    """Return the query for jobs that are not consigned yet; ``ix_jobs_unconsigned`` answers it."""
    return (
        select(JobRow)
        .where(
            JobRow.state.in_(DELIVERABLE),
            ~JobRow.consigned,  # in the words of the index, which does not know IS FALSE
            JobRow.next_attempt_at <= now,
            JobRow.owner.is_(None),
        )
        .order_by(JobRow.lane, JobRow.next_attempt_at)
        .limit(OPENED_AT_ONCE)
        .with_for_update(skip_locked=True)
    )


def _of(session: "Session", job_id: "UUID") -> "Sequence[ConsignmentRow]":
    return session.scalars(select(ConsignmentRow).where(ConsignmentRow.job_id == job_id)).all()


def _value(job: JobRow, row: ConsignmentRow) -> Job:
    return replace(
        lifecycle.to_value(job),
        state=JobState(row.state),
        attempt=row.attempt,
        reason=row.reason,
        delivery_attempts=row.tries,
        sent_at=row.sent_at,
    )
