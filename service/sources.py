"""What a worker reads before it works: the instances of a study, and what a job left behind."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, select

from dicom.values import InstanceRef, ReplacedResult, ResultKind
from service.db.outbox_tables import DeliveryRow
from service.db.tables import InstanceRow, JobRow, ResultRow
from service.values import JobState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path
    from uuid import UUID

    from sqlalchemy.orm import Session

    from service.values import Job

MAY_BE_THERE = (JobState.SENDING, JobState.SENT, JobState.DELIVERED)


@dataclass(frozen=True, slots=True)
class SourceInstance:
    """One instance as it lies in the spool; ``path`` is absolute."""

    ref: InstanceRef
    version: int
    transfer_syntax_uid: str
    sha256: str
    path: "Path"
    candidate: bool


@dataclass(frozen=True, slots=True)
class JobRecord:
    """What a job left behind for those who come after; ``summary`` is the draft in words."""

    sent_at: "datetime | None"
    summary: "Mapping[str, Any]" = field(default_factory=dict)


def current(
    session: "Session", study_instance_uid: str, spool: "Path"
) -> tuple[SourceInstance, ...]:
    """Return the current version of every instance of a study, in order of arrival."""
    rows = session.scalars(
        select(InstanceRow)
        .where(InstanceRow.study_instance_uid == study_instance_uid, InstanceRow.current)
        .order_by(InstanceRow.received_at, InstanceRow.id)
    )
    return tuple(
        SourceInstance(
            ref=InstanceRef(
                row.study_instance_uid,
                row.series_instance_uid,
                row.sop_class_uid,
                row.sop_instance_uid,
            ),
            version=row.version,
            transfer_syntax_uid=row.transfer_syntax_uid,
            sha256=row.sha256,
            path=spool / row.spool_path,
            candidate=row.candidate,
        )
        for row in rows
    )


def replaced_by(session: "Session", job: "Job") -> tuple[ReplacedResult, ...]:
    """Return what a draft replaces: every object of an earlier revision that may be in an archive.

    Not only of the last one: where objects are left in the archive, all of them are still seen.
    """
    sent = select(DeliveryRow.result_id).where(
        DeliveryRow.result_id == ResultRow.id, DeliveryRow.sent_at.is_not(None)
    )
    rows = session.execute(
        select(ResultRow, JobRow.revision)
        .join(JobRow, JobRow.job_id == ResultRow.job_id)
        .where(
            JobRow.study_instance_uid == job.study_instance_uid,
            JobRow.revision < job.revision,
            or_(JobRow.state.in_(MAY_BE_THERE), sent.exists()),
        )
        .order_by(JobRow.revision, ResultRow.id)
    )
    return tuple(as_replaced(row, revision) for row, revision in rows)


def as_replaced(row: ResultRow, revision: int) -> ReplacedResult:
    """Return a result object as the thing that is replaced."""
    ref = InstanceRef(
        row.study_instance_uid, row.series_instance_uid, row.sop_class_uid, row.sop_instance_uid
    )
    return ReplacedResult(ref, ResultKind(row.kind), row.number, revision)


def record_of(session: "Session", job_id: "UUID") -> JobRecord:
    """Return what a job left behind."""
    row = session.get_one(JobRow, job_id)
    return JobRecord(row.sent_at, dict(row.summary or {}))
