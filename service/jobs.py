"""Open, claim, move and end jobs: the only writer of a job's state.

Who works on a job holds a :class:`service.values.Fence`; every write checks it under a row lock.
Whoever lost the race, or fell silent too long, gets ``FenceLost`` and has changed nothing.
"""

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, or_, select, tuple_, update

from service import audit, consignments, lanes, lifecycle, order, stopping, stretches, tracing
from service.db import locks
from service.db.tables import UNSENT, JobRow, ResultRow
from service.errors import IllegalTransition, UnknownStudy
from service.values import EventType, Fence, Job, JobFacts, JobState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path
    from uuid import UUID

    from sqlalchemy.orm import Session

    from dicom.values import KeptResult
    from service.values import JobCause

SENT_STATES = (JobState.SENDING, JobState.SENT, JobState.DELIVERED)
SYSTEM = "carina"
EXPIRE_AT_ONCE = 500
POISON = JobFacts(
    reason_code="POISON",
    reason="the worker was lost each time it read this study; a person must look at it",
)


def open_for(
    session: "Session",
    study_instance_uid: str,
    cause: "JobCause",
    now: "datetime",
    replaces: "UUID | None" = None,
) -> Job:
    """Open the next revision of a study; whatever has not been sent yet is superseded by it.

    ``replaces`` names the job whose draft the new one replaces; left out, it is the newest one
    that (at least partly) reached the archive.

    Raises
    ------
    UnknownStudy
        If there is no such study.
    """
    study = locks.study(session, study_instance_uid)
    if study is None:
        raise UnknownStudy("no such study")
    supersede(session, study_instance_uid, now, JobFacts(reason_code="NEWER_REVISION"))
    stopping.overtaken(session, study_instance_uid, now)
    study.revision += 1
    row = JobRow(
        job_id=uuid.uuid4(),
        study_instance_uid=study_instance_uid,
        revision=study.revision,
        cause=cause.value,
        state=JobState.QUEUED.value,
        attempt=0,
        delivery_attempts=0,
        next_attempt_at=now,
        queued_at=now,
        changed_at=now,
        replaces_job_id=replaces or _last_sent(session, study_instance_uid),
        lane=int(lanes.of(study)),
        overdue_at=lanes.overdue_at(study, now),
    )
    session.add(row)
    session.flush()
    tracing.tell_after_commit(session, stretches.of_opening(study, row, now))
    detail = {"revision": row.revision, "cause": row.cause, **lanes.told(study)}
    audit.record(session, lifecycle.about(row, EventType.JOB_OPENED, SYSTEM, detail), now)
    return lifecycle.to_value(row)


def supersede(
    session: "Session", study_instance_uid: str, now: "datetime", facts: JobFacts
) -> tuple[Job, ...]:
    """End every job of a study of which nothing has been sent yet; its worker loses the fence."""
    rows = session.scalars(
        select(JobRow)
        .where(
            JobRow.study_instance_uid == study_instance_uid,
            JobRow.state.in_(UNSENT),
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    for row in rows:
        lifecycle.put(session, row, JobState.SUPERSEDED, now, (SYSTEM, facts))
    consignments.supersede(session, [row.job_id for row in rows])
    return tuple(map(lifecycle.to_value, rows))


def claim(
    session: "Session", owner: str, limit: int, now: "datetime", lease: timedelta
) -> tuple[tuple[Job, Fence], ...]:
    """Take up to ``limit`` queued jobs that are due, in the order of :mod:`service.order`.

    A job that was in the network before, or whose worker fell silent, is taken alone: if it is
    the poison, nobody else dies with it. Rows that somebody else is taking are passed over.
    """
    rows = order.lock_next(session, limit, now)
    if rows and _is_suspect(rows[0]):
        rows = rows[:1]
    else:
        rows = [row for row in rows if not _is_suspect(row)]
    taken = []
    for row in rows:
        fence = lifecycle.take(row, owner, now, lease)
        detail = {"attempt": row.attempt, "waited_s": (now - row.queued_at).total_seconds()}
        lifecycle.put(session, row, JobState.RUNNING, now, (owner, JobFacts(detail=detail)))
        taken.append((lifecycle.to_value(row), fence))
    return tuple(taken)


def charge(session: "Session", fence: Fence, now: "datetime") -> None:
    """Note that the job goes into the network now; the poison rule counts these."""
    row = lifecycle.fenced(session, fence)
    row.charged += 1
    row.started_at = now
    session.flush()


def heartbeat(
    session: "Session",
    fences: "Sequence[Fence]",
    now: "datetime",
    lease: timedelta,
    hard_limit: timedelta,
) -> tuple[Fence, ...]:
    """Prolong the leases; return the fences that still hold.

    No lease goes past ``hard_limit`` after its claim: a hung worker that still beats loses its
    job all the same.
    """
    if not fences:
        return ()
    asked = [(one.job_id, one.attempt, one.owner) for one in fences]
    kept = session.execute(
        update(JobRow)
        .where(
            tuple_(JobRow.job_id, JobRow.attempt, JobRow.owner).in_(asked),
            JobRow.claimed_at > now - hard_limit,
        )
        .values(lease_until=func.least(now + lease, JobRow.claimed_at + hard_limit))
        .returning(JobRow.job_id, JobRow.attempt)
        .execution_options(synchronize_session=False)
    )
    ours = {tuple(row) for row in kept}
    return tuple(one for one in fences if (one.job_id, one.attempt) in ours)


def move(
    session: "Session", fence: Fence, to: JobState, now: "datetime", facts: JobFacts | None = None
) -> Job:
    """Make one legal move and leave its audit event.

    A move that hands the job on or ends it (ENCODED, SKIPPED, FAILED, SHADOW, SUPERSEDED,
    DELIVERED, WITHDRAWN, QUEUED) gives up the fence: write all else before it. A fence for one
    destination moves its consignment.

    Raises
    ------
    FenceLost
        If somebody else works on the job now.
    IllegalTransition
        If the table does not know the move.
    """
    if fence.destination:
        return consignments.move(session, fence, to, now, facts)
    row = lifecycle.fenced(session, fence)
    lifecycle.put(session, row, to, now, (fence.owner, facts or JobFacts()))
    return lifecycle.to_value(row)


def give_back(
    session: "Session",
    fence: Fence,
    now: "datetime",
    delay: timedelta,
    *,
    blameless: bool = False,
) -> Job:
    """Return a running job to the queue, due again after ``delay``.

    ``blameless``: the job is not the reason (a graceful stop); a charge for it is taken back.
    """
    row = lifecycle.fenced(session, fence)
    if blameless and row.started_at is not None and row.started_at >= (row.claimed_at or now):
        row.charged -= 1
        row.started_at = None
    detail = {"delay_s": delay.total_seconds(), "blameless": blameless}
    lifecycle.put(session, row, JobState.QUEUED, now, (fence.owner, JobFacts(detail=detail)))
    row.next_attempt_at = now + delay
    session.flush()
    return lifecycle.to_value(row)


def keep_results(
    session: "Session", fence: Fence, kept: "Sequence[KeptResult]", root: "Path"
) -> None:
    """Record the encoded results; call it before the move to ENCODED, in the same transaction.

    ``root`` is the folder of kept results: paths are stored relative to it.

    Raises
    ------
    FenceLost
        If somebody else works on the job now.
    IllegalTransition
        If the job is not running: results are kept once.
    ValueError
        If a path is not under ``root``.
    """
    row = lifecycle.fenced(session, fence)
    if row.state != JobState.RUNNING:
        raise IllegalTransition(row.job_id, JobState(row.state), JobState.ENCODED)
    for result in kept:
        session.add(
            ResultRow(
                job_id=fence.job_id,
                kind=result.kind.value,
                number=result.number,
                study_instance_uid=result.ref.study_instance_uid,
                series_instance_uid=result.ref.series_instance_uid,
                sop_class_uid=result.ref.sop_class_uid,
                sop_instance_uid=result.ref.sop_instance_uid,
                transfer_syntax_uid=result.transfer_syntax_uid,
                path=result.path.relative_to(root).as_posix(),
                sha256=result.sha256,
                size_bytes=result.path.stat().st_size,
            )
        )
    session.flush()


def expire(session: "Session", now: "datetime", max_attempts: int) -> tuple[Job, ...]:
    """Take back every job whose worker fell silent; end those that keep killing their workers.

    Poison is what went into the network ``max_attempts`` times, or whose workers fell silent more
    often than that before it got there. A delivery whose worker fell silent stays in its state
    and is due at once.
    """
    silent = session.scalars(
        select(JobRow)
        .where(JobRow.lease_until < now)
        .with_for_update(skip_locked=True)
        .limit(EXPIRE_AT_ONCE)
    ).all()
    for row in silent:
        detail = {"owner": row.owner, "attempt": row.attempt}
        event = lifecycle.about(row, EventType.LEASE_EXPIRED, SYSTEM, detail)
        audit.record(session, event, now)
        if row.state == JobState.RUNNING:
            row.lapses += 1
            lifecycle.put(session, row, JobState.QUEUED, now, (SYSTEM, JobFacts()))
        else:
            lifecycle.release(row)
            row.next_attempt_at = now
    session.flush()
    poison = session.scalars(
        select(JobRow)
        .where(
            JobRow.state == JobState.QUEUED,
            or_(JobRow.charged >= max_attempts, JobRow.lapses > max_attempts),
        )
        .with_for_update(skip_locked=True)
    ).all()
    for row in poison:
        lifecycle.put(session, row, JobState.FAILED, now, (SYSTEM, POISON))
    touched = {row.job_id: row for row in (*silent, *poison)}
    return (*map(lifecycle.to_value, touched.values()), *consignments.expire(session, now))


def _is_suspect(row: JobRow) -> bool:
    return row.charged > 0 or row.lapses > 0


def _last_sent(session: "Session", study_instance_uid: str) -> "UUID | None":
    return session.scalars(
        select(JobRow.job_id)
        .where(JobRow.study_instance_uid == study_instance_uid, JobRow.state.in_(SENT_STATES))
        .order_by(JobRow.revision.desc())
        .limit(1)
    ).first()
