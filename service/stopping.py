"""Stop deliveries of what is withdrawn or overtaken, and say where something of it may be."""

from typing import TYPE_CHECKING

from sqlalchemy import and_, or_, select

from service import lifecycle, settling
from service.db.outbox_tables import ConsignmentRow, DeliveryRow
from service.db.tables import JobRow, ResultRow
from service.values import JobFacts, JobState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

SYSTEM = "carina"
BEGUN = (JobState.SENDING, JobState.SENT, JobState.DELIVERED)


def stop(
    session: "Session", job: JobRow, destinations: "Sequence[str]", now: "datetime"
) -> "dict[str, datetime]":
    """End every consignment of a locked job; return the archives that may hold something of it.

    With each, the time from which nobody sends there any more: a deliverer that is in the middle
    of it cannot be called back, so its lease is waited for. ``destinations`` are those in use, for
    a job that an older version sent without consignments.
    """
    if not job.consigned:
        return _of_an_older_version(session, job, destinations, now)
    held: dict[str, datetime] = {}
    rows = session.scalars(
        select(ConsignmentRow)
        .where(ConsignmentRow.job_id == job.job_id)
        .order_by(ConsignmentRow.destination)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    for row in rows:
        refused = row.state == JobState.FAILED
        if row.state in BEGUN or (refused and _may_hold(session, job.job_id, row.destination)):
            held[row.destination] = now if row.lease_until is None else row.lease_until
            row.state = JobState.WITHDRAWN.value
        elif row.state == JobState.ENCODED:
            row.state = JobState.SUPERSEDED.value
        lifecycle.release(row)
    session.flush()
    return held


def overtaken(session: "Session", study_instance_uid: str, now: "datetime") -> None:
    """End what has not been sent of drafts that are on their way to several archives.

    One that has reached a first archive goes on there; to those it has not begun with, only the
    newer draft goes.
    """
    unsent = ConsignmentRow.state == JobState.ENCODED
    jobs = session.scalars(
        select(JobRow)
        .where(
            JobRow.study_instance_uid == study_instance_uid,
            JobRow.state.in_((JobState.SENDING, JobState.SENT)),
            select(ConsignmentRow.job_id)
            .where(ConsignmentRow.job_id == JobRow.job_id, unsent)
            .exists(),
        )
        .order_by(JobRow.revision.desc())
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    for job in jobs:
        rows = session.scalars(
            select(ConsignmentRow)
            .where(ConsignmentRow.job_id == job.job_id, unsent)
            .with_for_update()
            .execution_options(populate_existing=True)
        ).all()
        for row in rows:
            row.state = JobState.SUPERSEDED.value
            lifecycle.release(row)
        session.flush()
        for row in rows:
            settling.settle(session, job, row, now, (SYSTEM, JobFacts()))


def _of_an_older_version(
    session: "Session", job: JobRow, destinations: "Sequence[str]", now: "datetime"
) -> "dict[str, datetime]":
    if job.state not in BEGUN:
        return {}
    job.consigned = True
    for name in destinations:
        session.add(
            ConsignmentRow(
                job_id=job.job_id,
                destination=name,
                state=JobState.WITHDRAWN.value,
                next_attempt_at=now,
                opened_at=now,
            )
        )
    session.flush()
    return dict.fromkeys(destinations, now)


def _may_hold(session: "Session", job_id: "UUID", destination: str) -> bool:
    """Return whether an archive that refused a draft took, or may have taken, a part of it."""
    unanswered = and_(DeliveryRow.status.is_(None), DeliveryRow.not_taken.is_(False))
    found = session.scalars(
        select(DeliveryRow.result_id)
        .join(ResultRow, ResultRow.id == DeliveryRow.result_id)
        .where(
            ResultRow.job_id == job_id,
            DeliveryRow.destination == destination,
            or_(DeliveryRow.sent_at.is_not(None), unanswered),
        )
        .limit(1)
    )
    return found.first() is not None
