"""What a worker reads before it works: the instances of a study, and what a job left behind."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from dicom.values import InstanceRef, ResultKind
from service.db.tables import InstanceRow, JobRow, ResultRow

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path
    from uuid import UUID

    from sqlalchemy.orm import Session


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


def texts_of(session: "Session", job_id: "UUID") -> tuple[InstanceRef, ...]:
    """Return the text SRs of a job: what a draft that replaces it names as predecessors."""
    rows = session.scalars(
        select(ResultRow).where(
            ResultRow.job_id == job_id, ResultRow.kind == ResultKind.TEXT_SR.value
        )
    )
    return tuple(
        InstanceRef(
            row.study_instance_uid,
            row.series_instance_uid,
            row.sop_class_uid,
            row.sop_instance_uid,
        )
        for row in rows
    )


def record_of(session: "Session", job_id: "UUID") -> JobRecord:
    """Return what a job left behind."""
    row = session.get_one(JobRow, job_id)
    return JobRecord(row.sent_at, dict(row.summary or {}))
