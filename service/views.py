"""What an administrator sees of studies: one line each, or one study in full. No patient data."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import func, select

from dicom.values import ResultKind
from service.db.tables import DeliveryRow, InstanceRow, JobRow, ResultRow, StudyRow
from service.errors import UnknownStudy
from service.values import JobCause, JobState, Reception, StudyState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

WAITING = {
    StudyState.COLLECTING: "pending: waiting until nothing more comes",
    StudyState.NO_FILM: "not read: nothing in it is of a class that is read",
}
WORDS = {
    JobState.QUEUED: "pending: waiting for a worker",
    JobState.RUNNING: "pending: being read",
    JobState.ENCODED: "pending: draft made, waiting to be sent",
    JobState.SENDING: "pending: being sent",
    JobState.SENT: "pending: sent, waiting for proof from the archive",
    JobState.DELIVERED: "delivered",
    JobState.SKIPPED: "not read",
    JobState.FAILED: "failed",
    JobState.SHADOW: "kept, not sent (shadow)",
    JobState.SUPERSEDED: "overtaken by something newer",
    JobState.WITHDRAWN: "withdrawn",
}


@dataclass(frozen=True, slots=True)
class StudyLine:
    """One study. ``job_state`` is of its newest job; ``why`` says in words where it stands."""

    study_instance_uid: str
    state: StudyState
    revision: int
    first_received_at: "datetime"
    last_received_at: "datetime"
    instances: int
    films: int
    job_state: JobState | None
    why: str
    corrected_after_sending: bool


@dataclass(frozen=True, slots=True)
class InstanceLine:
    """One version of one instance."""

    sop_instance_uid: str
    version: int
    sop_class_uid: str
    transfer_syntax_uid: str
    reception: Reception
    is_current: bool
    size_bytes: int
    calling_ae_title: str
    received_at: "datetime"


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    """What one destination answered for one result; times are None until it happened."""

    destination: str
    status: int | None
    error_comment: str | None
    attempts: int
    not_taken: bool
    sent_at: "datetime | None"
    proven_at: "datetime | None"


@dataclass(frozen=True, slots=True)
class ResultLine:
    """One result object; ``path`` is relative to the folder of kept results."""

    kind: ResultKind
    number: int
    sop_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    path: str
    size_bytes: int
    deliveries: tuple[DeliveryLine, ...]


@dataclass(frozen=True, slots=True)
class JobDetail:
    """One job and what it left. ``summary`` is the draft in words, as the worker wrote it."""

    job_id: UUID
    revision: int
    cause: JobCause
    state: JobState
    why: str
    attempt: int
    queued_at: "datetime"
    encoded_at: "datetime | None"
    sent_at: "datetime | None"
    delivered_at: "datetime | None"
    reason_code: str | None
    replaces_job_id: UUID | None
    bundle: str | None
    stage_seconds: "Mapping[str, float]" = field(default_factory=dict)
    summary: "Mapping[str, Any]" = field(default_factory=dict)
    results: tuple[ResultLine, ...] = ()


@dataclass(frozen=True, slots=True)
class StudyDetail:
    """Everything about one study but its audit events; jobs are newest first."""

    line: StudyLine
    instances: tuple[InstanceLine, ...]
    jobs: tuple[JobDetail, ...]


def studies(session: "Session", limit: int) -> tuple[StudyLine, ...]:
    """Return the studies that something arrived in last, newest first."""
    rows = session.scalars(
        select(StudyRow).order_by(StudyRow.last_received_at.desc()).limit(limit)
    ).all()
    return _lines(session, rows)


def study(session: "Session", study_instance_uid: str) -> StudyDetail:
    """Return one study in full.

    Raises
    ------
    UnknownStudy
        If there is no such study.
    """
    row = session.get(StudyRow, study_instance_uid)
    if row is None:
        raise UnknownStudy("no such study")
    (line,) = _lines(session, [row])
    instances = session.scalars(
        select(InstanceRow)
        .where(InstanceRow.study_instance_uid == study_instance_uid)
        .order_by(InstanceRow.id)
    )
    found = session.scalars(
        select(JobRow)
        .where(JobRow.study_instance_uid == study_instance_uid)
        .order_by(JobRow.revision.desc())
    ).all()
    return StudyDetail(
        line=line,
        instances=tuple(map(_instance, instances)),
        jobs=tuple(_job(session, one) for one in found),
    )


def why(study: StudyRow, job: JobRow | None) -> str:
    """Return in words where a study stands: pending, not read because, failed because."""
    state = StudyState(study.state)
    if state is StudyState.HELD:
        return f"held: {study.held_reason}"
    if state in WAITING or job is None:
        return WAITING.get(state, "pending")
    return why_job(job)


def why_job(job: JobRow) -> str:
    """Return in words where a job stands."""
    words = WORDS[JobState(job.state)]
    return f"{words}: {job.reason}" if job.reason else words


def _lines(session: "Session", rows: "Sequence[StudyRow]") -> tuple[StudyLine, ...]:
    uids = [row.study_instance_uid for row in rows]
    counted = session.execute(
        select(
            InstanceRow.study_instance_uid,
            func.count(),
            func.count().filter(InstanceRow.candidate),
        )
        .where(InstanceRow.study_instance_uid.in_(uids), InstanceRow.current)
        .group_by(InstanceRow.study_instance_uid)
    )
    counts = {uid: (int(instances), int(films)) for uid, instances, films in counted}
    newest = {
        job.study_instance_uid: job
        for job in session.scalars(
            select(JobRow)
            .where(JobRow.study_instance_uid.in_(uids))
            .order_by(JobRow.study_instance_uid, JobRow.revision)
        )
    }
    return tuple(_line(row, newest.get(row.study_instance_uid), counts) for row in rows)


def _line(row: StudyRow, job: JobRow | None, counts: "Mapping[str, tuple[int, int]]") -> StudyLine:
    instances, films = counts.get(row.study_instance_uid, (0, 0))
    return StudyLine(
        study_instance_uid=row.study_instance_uid,
        state=StudyState(row.state),
        revision=row.revision,
        first_received_at=row.first_received_at,
        last_received_at=row.last_received_at,
        instances=instances,
        films=films,
        job_state=JobState(job.state) if job else None,
        why=why(row, job),
        corrected_after_sending=row.corrected_after_sending,
    )


def _instance(row: InstanceRow) -> InstanceLine:
    return InstanceLine(
        sop_instance_uid=row.sop_instance_uid,
        version=row.version,
        sop_class_uid=row.sop_class_uid,
        transfer_syntax_uid=row.transfer_syntax_uid,
        reception=Reception(row.reception),
        is_current=row.current,
        size_bytes=row.size_bytes,
        calling_ae_title=row.calling_ae_title,
        received_at=row.received_at,
    )


def _job(session: "Session", row: JobRow) -> JobDetail:
    return JobDetail(
        job_id=row.job_id,
        revision=row.revision,
        cause=JobCause(row.cause),
        state=JobState(row.state),
        why=why_job(row),
        attempt=row.attempt,
        queued_at=row.queued_at,
        encoded_at=row.encoded_at,
        sent_at=row.sent_at,
        delivered_at=row.delivered_at,
        reason_code=row.reason_code,
        replaces_job_id=row.replaces_job_id,
        bundle=row.bundle,
        stage_seconds=row.stage_seconds or {},
        summary=row.summary or {},
        results=_results(session, row.job_id),
    )


def _results(session: "Session", job_id: UUID) -> tuple[ResultLine, ...]:
    rows = session.scalars(select(ResultRow).where(ResultRow.job_id == job_id)).all()
    answers = session.scalars(
        select(DeliveryRow)
        .where(DeliveryRow.result_id.in_([row.id for row in rows]))
        .order_by(DeliveryRow.destination)
    ).all()
    order = list(ResultKind)
    lines = [
        ResultLine(
            kind=ResultKind(row.kind),
            number=row.number,
            sop_instance_uid=row.sop_instance_uid,
            series_instance_uid=row.series_instance_uid,
            sop_class_uid=row.sop_class_uid,
            path=row.path,
            size_bytes=row.size_bytes,
            deliveries=tuple(_delivery(one) for one in answers if one.result_id == row.id),
        )
        for row in rows
    ]
    return tuple(sorted(lines, key=lambda line: (order.index(line.kind), line.number)))


def _delivery(row: DeliveryRow) -> DeliveryLine:
    return DeliveryLine(
        destination=row.destination,
        status=row.status,
        error_comment=row.error_comment,
        attempts=row.attempts,
        not_taken=row.not_taken,
        sent_at=row.sent_at,
        proven_at=row.proven_at,
    )
