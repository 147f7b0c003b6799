"""What becomes of objects that were replaced or withdrawn, archive by archive.

Nothing is taken away before its successor is proven to be in that archive: a row is opened in the
very transaction that says so. One row is one job at one archive; it has its own fence.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, and_, or_, select, true
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased

from dicom.values import ResultKind
from service import audit, sources
from service.consignments import DEFAULT, STRAYS, Outbox
from service.db import withdrawal_queries
from service.db.outbox_tables import ConsignmentRow, DeliveryRow
from service.db.tables import JobRow, ResultRow
from service.db.withdrawal_tables import RetirementRow
from service.errors import FenceLost
from service.replaced import Replaced, RetirementState
from service.stopping import BEGUN
from service.values import AuditEvent, EventType, JobState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta
    from typing import Any
    from uuid import UUID

    from sqlalchemy.orm import Session

    from dicom.values import ReplacedResult
    from service.values import Destination, Fence

MAY_HOLD = (*BEGUN, JobState.FAILED, JobState.WITHDRAWN)

EVENT_OF: "Mapping[RetirementState, EventType]" = {
    RetirementState.REJECTED: EventType.OBJECTS_REJECTED,
    RetirementState.DELETED: EventType.OBJECTS_DELETED,
    RetirementState.FAILED: EventType.OBJECTS_NOT_RETIRED,
}


@dataclass(frozen=True, slots=True)
class Retirement:
    """One claimed row: the objects of one job that one archive is to hide or delete.

    ``header`` is the kept text of the successor, whose patient and study are those of now.
    ``summary`` is the successor's. ``words`` say why, for a person.
    """

    job_id: "UUID"
    study_instance_uid: str
    revision: int
    destination: str
    attempt: int
    tries: int
    objects: "tuple[ReplacedResult, ...]"
    is_withdrawn: bool
    words: str
    successor_job_id: "UUID"
    header: Path
    summary: "Mapping[str, Any]"
    opened_at: "datetime"


def open_for(session: "Session", fence: "Fence", archive: "Destination", now: "datetime") -> None:
    """Let older drafts of a study retire at an archive, one draft of it having just arrived there.

    The successor is the newest that is proven there, whichever arrived last. Opening twice is
    opening once.
    """
    study = select(JobRow.study_instance_uid).where(JobRow.job_id == fence.job_id)
    newest = session.execute(
        select(JobRow.job_id, JobRow.revision, JobRow.study_instance_uid)
        .join(ConsignmentRow, ConsignmentRow.job_id == JobRow.job_id)
        .where(
            JobRow.study_instance_uid == study.scalar_subquery(),
            ConsignmentRow.destination == archive.name,
            ConsignmentRow.state == JobState.DELIVERED,
        )
        .order_by(JobRow.revision.desc())
        .limit(1)
    ).one_or_none()
    if newest is None:
        return
    older = session.scalars(
        select(JobRow.job_id)
        .join(ConsignmentRow, ConsignmentRow.job_id == JobRow.job_id)
        .where(
            JobRow.study_instance_uid == newest.study_instance_uid,
            JobRow.revision < newest.revision,
            ConsignmentRow.destination == archive.name,
            ConsignmentRow.state.in_(MAY_HOLD),
        )
        .order_by(JobRow.revision)
    )
    is_left = archive.replaced is Replaced.LEAVE
    for job_id in older:
        row = insert(RetirementRow).values(
            job_id=job_id,
            destination=archive.name,
            successor_job_id=newest.job_id,
            state=(RetirementState.LEFT if is_left else RetirementState.OPEN).value,
            next_attempt_at=now,
            opened_at=now,
            ended_at=now if is_left else None,
        )
        session.execute(row.on_conflict_do_nothing())


def reopen(session: "Session", study_instance_uid: str, user_id: str, now: "datetime") -> int:
    """Try again what an archive did not do, or was not asked to; return how many rows. Audited.

    For a site that has configured the archive, or the setting, since.
    """
    jobs = select(JobRow.job_id).where(JobRow.study_instance_uid == study_instance_uid)
    rows = session.scalars(
        select(RetirementRow)
        .where(
            RetirementRow.job_id.in_(jobs),
            RetirementRow.state.in_((RetirementState.FAILED, RetirementState.LEFT)),
        )
        .with_for_update()
    ).all()
    for row in rows:
        row.state, row.tries, row.next_attempt_at = RetirementState.OPEN.value, 0, now
        row.ended_at = row.reason = None
    session.flush()
    event = AuditEvent(
        event_type=EventType.RETIREMENT_REQUESTED,
        event_action_code="E",
        event_outcome_indicator=0,
        user_id=user_id,
        study_instance_uid=study_instance_uid,
        detail={"count": len(rows)},
    )
    audit.record(session, event, now)
    return len(rows)


def claim(
    session: "Session", owner: str, now: "datetime", lease: "timedelta", outbox: Outbox
) -> Retirement | None:
    """Take the row that waits longest; None when none is due.

    A draft that is still on its way there is waited for: what arrives later would stay.
    """
    row = session.scalars(
        select(RetirementRow)
        .where(withdrawal_queries.may_retire(now), _served(outbox))
        .order_by(RetirementRow.next_attempt_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).one_or_none()
    if row is None:
        return None
    row.attempt += 1
    row.tries += 1
    row.owner, row.lease_until = owner, now + lease
    session.flush()
    return _value(session, row, outbox.root)


def later(
    session: "Session", one: Retirement, why: tuple[str, str], now: "datetime", delay: "timedelta"
) -> None:
    """Leave it open, due again after ``delay``; ``why`` is who says so and the reason.

    Raises
    ------
    FenceLost
        If somebody else has it now.
    """
    owner, reason = why
    row = _fenced(session, one, owner)
    row.owner = row.lease_until = None
    row.next_attempt_at, row.reason = now + delay, reason
    session.flush()


def finish(
    session: "Session", one: Retirement, to: RetirementState, why: tuple[str, str], now: "datetime"
) -> None:
    """End it, with its audit event; ``why`` is who did it and the reason, "" for none.

    Raises
    ------
    FenceLost
        If somebody else has it now.
    """
    owner, reason = why
    row = _fenced(session, one, owner)
    row.owner = row.lease_until = None
    row.state, row.ended_at, row.reason = to.value, now, reason or None
    session.flush()
    if to not in EVENT_OF:
        return
    event = AuditEvent(
        event_type=EVENT_OF[to],
        event_action_code="D" if to is RetirementState.DELETED else "U",
        event_outcome_indicator=8 if to is RetirementState.FAILED else 0,
        user_id=owner,
        study_instance_uid=one.study_instance_uid,
        job_id=one.job_id,
        detail={
            "destination": one.destination,
            "revision": one.revision,
            "successor": str(one.successor_job_id),
            "objects": [each.ref.sop_instance_uid for each in one.objects],
            "reason": reason or None,
        },
    )
    audit.record(session, event, now)


def _fenced(session: "Session", one: Retirement, owner: str) -> RetirementRow:
    row = session.get(
        RetirementRow, (one.job_id, one.destination), with_for_update=True, populate_existing=True
    )
    if row is None or (row.attempt, row.owner) != (one.attempt, owner):
        raise FenceLost(f"job {one.job_id}: somebody else retires it at {one.destination} now")
    return row


def _value(session: "Session", row: RetirementRow, root: Path) -> Retirement:
    job = session.get_one(JobRow, row.job_id)
    successor = session.get_one(JobRow, row.successor_job_id)
    text = session.scalars(
        select(ResultRow).where(
            ResultRow.job_id == row.successor_job_id, ResultRow.kind == ResultKind.TEXT_SR.value
        )
    ).one()
    is_withdrawn = job.state == JobState.WITHDRAWN
    replaced = f"Replaced by revision {successor.revision} of the AI draft."
    return Retirement(
        job_id=row.job_id,
        study_instance_uid=job.study_instance_uid,
        revision=job.revision,
        destination=row.destination,
        attempt=row.attempt,
        tries=row.tries,
        objects=_objects(session, job, row.destination),
        is_withdrawn=is_withdrawn,
        words=f"Withdrawn: {job.reason}" if is_withdrawn else replaced,
        successor_job_id=row.successor_job_id,
        header=root / text.path,
        summary=dict(successor.summary or {}),
        opened_at=row.opened_at,
    )


def _objects(session: "Session", job: JobRow, destination: str) -> "tuple[ReplacedResult, ...]":
    """Return what may be there: all but what the archive did not take or refused."""
    answer = aliased(DeliveryRow)
    refused = and_(answer.sent_at.is_(None), answer.status.is_not(None))
    rows = session.scalars(
        select(ResultRow)
        .outerjoin(
            answer, and_(answer.result_id == ResultRow.id, answer.destination == destination)
        )
        .where(
            ResultRow.job_id == job.job_id,
            or_(answer.result_id.is_(None), ~or_(answer.not_taken, refused)),
        )
        .order_by(ResultRow.id)
    )
    return tuple(sources.as_replaced(row, job.revision) for row in rows)


def _served(outbox: Outbox) -> ColumnElement[bool]:
    if outbox.only is None:
        return true()
    if outbox.only == STRAYS:
        return RetirementRow.destination.not_in(outbox.destinations or (DEFAULT,))
    return RetirementRow.destination == outbox.only
