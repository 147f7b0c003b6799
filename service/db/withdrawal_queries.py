"""Named questions about withdrawals, and about objects that are to be rejected or deleted."""

from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, and_, func, or_, select

from service.db.outbox_tables import ConsignmentRow
from service.db.queries import Due, held_back
from service.db.tables import DELIVERABLE
from service.db.withdrawal_tables import RetirementRow, WithdrawalRow
from service.replaced import RetirementState

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

WORDS = {
    RetirementState.OPEN: "old objects are to go",
    RetirementState.LEFT: "old objects are left as they are",
    RetirementState.REJECTED: "old objects are rejected",
    RetirementState.DELETED: "old objects are deleted",
    RetirementState.FAILED: "old objects are still there, a person must act",
}


def is_withdrawn(session: "Session", study_instance_uid: str) -> bool:
    """Return whether a person has withdrawn the drafts of a study, and nobody asked for new."""
    found = session.scalars(
        select(WithdrawalRow.id).where(
            WithdrawalRow.study_instance_uid == study_instance_uid,
            WithdrawalRow.lifted_at.is_(None),
        )
    )
    return found.first() is not None


def may_retire(now: "datetime") -> ColumnElement[bool]:
    """Return the condition that old objects may be rejected or deleted now.

    Not while a part of them is still on its way there.
    """
    arriving = select(ConsignmentRow.job_id).where(
        ConsignmentRow.job_id == RetirementRow.job_id,
        ConsignmentRow.destination == RetirementRow.destination,
        ConsignmentRow.state.in_(DELIVERABLE),
    )
    return and_(
        RetirementRow.state == RetirementState.OPEN,
        RetirementRow.next_attempt_at <= now,
        or_(RetirementRow.owner.is_(None), RetirementRow.lease_until < now),
        ~arriving.exists(),
        ~held_back(RetirementRow),
    )


def retirements_due(session: "Session", before: "datetime", limit: int) -> tuple[Due, ...]:
    """Return jobs whose objects should be rejected or deleted somewhere since before a moment."""
    rows = session.execute(
        select(RetirementRow.job_id, RetirementRow.next_attempt_at)
        .where(may_retire(before))
        .order_by(RetirementRow.next_attempt_at)
        .limit(limit)
    )
    return tuple(Due(*row) for row in rows)


def not_retired(session: "Session") -> dict[str, int]:
    """Return, by destination, how many drafts have old objects there that did not go."""
    rows = session.execute(
        select(RetirementRow.destination, func.count())
        .where(RetirementRow.state == RetirementState.FAILED)
        .group_by(RetirementRow.destination)
    )
    return dict(rows.all())


def retired(session: "Session", job_id: "UUID") -> tuple[str, ...]:
    """Return in words what became of a job's objects, one line for each archive."""
    rows = session.scalars(
        select(RetirementRow)
        .where(RetirementRow.job_id == job_id)
        .order_by(RetirementRow.destination)
    )
    return tuple(
        f"{row.destination}: {WORDS[RetirementState(row.state)]}"
        + (f" ({row.reason})" if row.reason else "")
        for row in rows
    )
