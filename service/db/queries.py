"""Named questions to the database that more than one room asks. Each touches open rows only."""

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select

from service.db.outbox_tables import ConsignmentRow, DestinationRow
from service.db.tables import (
    DELIVERABLE,
    OPEN,
    InstanceRow,
    JobRow,
    StudyRow,
)
from service.values import JobState, Lane, StudyState

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime, timedelta

    from sqlalchemy.orm import Session

    from service.db.withdrawal_tables import RetirementRow


@dataclass(frozen=True, slots=True)
class Due:
    """A job that waits for a worker since ``since``."""

    job_id: UUID
    since: "datetime"


@dataclass(frozen=True, slots=True)
class Late:
    """A draft that has been on its way for too long, and where it hangs."""

    job_id: UUID
    study_instance_uid: str
    state: JobState
    queued_at: "datetime"
    reason: str | None
    lane: Lane = Lane.ROUTINE


def due(
    session: "Session", states: "Collection[JobState]", before: "datetime", limit: int
) -> tuple[Due, ...]:
    """Return jobs in these states that nobody works on and that were due before a moment.

    A job on its way to several destinations counts when one of them may be served.
    """
    consigned = ConsignmentRow.job_id == JobRow.job_id
    rows = session.execute(
        select(JobRow.job_id, JobRow.next_attempt_at)
        .where(
            JobRow.state.in_(states),
            JobRow.next_attempt_at <= before,
            JobRow.owner.is_(None),
            or_(
                JobRow.consigned.is_(False),
                select(consigned).where(consigned, may_be_sent(before)).exists(),
            ),
        )
        .order_by(JobRow.next_attempt_at)
        .limit(limit)
    )
    return tuple(Due(*row) for row in rows)


def may_be_sent(now: "datetime") -> ColumnElement[bool]:
    """Return the condition that a consignment waits for a deliverer and may be sent."""
    return and_(
        ConsignmentRow.state.in_(DELIVERABLE),
        ConsignmentRow.next_attempt_at <= now,
        ConsignmentRow.owner.is_(None),
        ~held_back(ConsignmentRow),
    )


def held_back(row: "type[ConsignmentRow | RetirementRow]") -> ColumnElement[bool]:
    """Return the condition that an operator keeps a row's destination from being served."""
    return (
        select(DestinationRow.name)
        .where(
            DestinationRow.name == row.destination,
            or_(
                and_(DestinationRow.held_since.is_not(None), ~DestinationRow.drains),
                DestinationRow.held_since < row.opened_at,
            ),
        )
        .exists()
    )


def late(
    session: "Session", now: "datetime", after: "Mapping[Lane, timedelta]"
) -> tuple[Late, ...]:
    """Return the drafts that were queued longer ago than their lane allows and are not delivered.

    The shortest of the times bounds what the index ``ix_jobs_open`` is read for.
    """
    rows = session.scalars(
        select(JobRow)
        .where(
            JobRow.state.in_(OPEN),
            JobRow.queued_at < now - min(after.values()),
            or_(
                *(
                    and_(JobRow.lane == int(lane), JobRow.queued_at < now - each)
                    for lane, each in after.items()
                )
            ),
        )
        .order_by(JobRow.queued_at)
    )
    return tuple(
        Late(
            row.job_id,
            row.study_instance_uid,
            JobState(row.state),
            row.queued_at,
            row.reason,
            Lane(row.lane),
        )
        for row in rows
    )


def next_quiet(session: "Session") -> "datetime | None":
    """Return when the next collecting study will have been quiet for long enough."""
    collecting = StudyRow.state == StudyState.COLLECTING
    return session.scalar(select(func.min(StudyRow.quiet_until)).where(collecting))


def unknown_paths(session: "Session", paths: "Collection[str]") -> frozenset[str]:
    """Return which of these paths, relative to the spool, no instance has."""
    known = session.scalars(select(InstanceRow.spool_path).where(InstanceRow.spool_path.in_(paths)))
    return frozenset(paths) - frozenset(known)
