"""The story of one study, and the list of studies, for ``carina show`` and ``carina studies``."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import func, select

from service import auditlog, lanes
from service.auditlog import AuditEntry, AuditQuery
from service.db import withdrawal_queries
from service.db.outbox_tables import DeliveryRow
from service.db.tables import (
    InstanceRow,
    JobRow,
    ResultRow,
    StudyRow,
)
from service.errors import UnknownStudy
from service.overview import why_open
from service.values import JobState, StudyState

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

ENDED = {
    JobState.DELIVERED: "delivered and confirmed by the archive",
    JobState.SHADOW: "kept, not sent",
    JobState.SKIPPED: "not read",
    JobState.FAILED: "failed",
    JobState.SUPERSEDED: "overtaken by a newer revision",
    JobState.WITHDRAWN: "withdrawn",
}


@dataclass(frozen=True, slots=True)
class StudyLine:
    """One study in a list; ``words`` say in one line where it stands and why."""

    study_instance_uid: str
    state: StudyState
    instances: int
    revision: int
    job_state: JobState | None
    last_received_at: datetime
    words: str
    lane: str = ""
    lane_rule: str = ""


@dataclass(frozen=True, slots=True)
class JobStory:
    """One job with what it made."""

    job_id: UUID
    revision: int
    cause: str
    state: JobState
    words: str
    queued_at: datetime
    encoded_at: datetime | None
    delivered_at: datetime | None
    bundle: str | None
    stage_seconds: Mapping[str, Any]
    summary: Mapping[str, Any]
    results: tuple["ResultStory", ...]
    retired: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ResultStory:
    """One result object and what the archive answered; None: nothing was answered yet."""

    kind: str
    number: int
    sop_instance_uid: str
    size_bytes: int
    destination: str | None
    status: str | None
    not_taken: bool
    sent_at: datetime | None
    proven_at: datetime | None


@dataclass(frozen=True, slots=True)
class Story:
    """One study: where it stands, its jobs (newest first), its events (oldest first)."""

    line: StudyLine
    jobs: tuple[JobStory, ...] = field(default=())
    events: tuple[AuditEntry, ...] = field(default=())


def studies(session: "Session", limit: int, now: datetime) -> tuple[StudyLine, ...]:
    """Return the studies that received something last, newest first."""
    rows = session.scalars(
        select(StudyRow).order_by(StudyRow.last_received_at.desc()).limit(limit)
    ).all()
    return tuple(_line(session, row, now) for row in rows)


def story(session: "Session", name: str, now: datetime) -> Story:
    """Return the story of a study, named by its UID or by the id of one of its jobs.

    Raises
    ------
    UnknownStudy
        If there is none.
    """
    uid = uid_of(session, name)
    row = session.get_one(StudyRow, uid)
    jobs = session.scalars(
        select(JobRow).where(JobRow.study_instance_uid == uid).order_by(JobRow.revision.desc())
    ).all()
    return Story(
        line=_line(session, row, now),
        jobs=tuple(_job(session, job, now) for job in jobs),
        events=tuple(auditlog.entries(session, AuditQuery(study_instance_uid=uid))),
    )


def uid_of(session: "Session", name: str) -> str:
    """Return the Study Instance UID of a study named by it, or by the id of one of its jobs.

    Raises
    ------
    UnknownStudy
        If there is none.
    """
    uid = _study_of_job(session, name) or name
    if session.get(StudyRow, uid) is None:
        raise UnknownStudy("no such study: `carina studies` lists the newest")
    return uid


def _study_of_job(session: "Session", name: str) -> str | None:
    try:
        job = session.get(JobRow, uuid.UUID(name))
    except ValueError:
        return None
    return None if job is None else job.study_instance_uid


def _line(session: "Session", row: StudyRow, now: datetime) -> StudyLine:
    uid = row.study_instance_uid
    job = session.scalars(
        select(JobRow)
        .where(JobRow.study_instance_uid == uid)
        .order_by(JobRow.revision.desc())
        .limit(1)
    ).one_or_none()
    instances = session.scalar(
        select(func.count())
        .select_from(InstanceRow)
        .where(InstanceRow.study_instance_uid == uid, InstanceRow.current)
    )
    return StudyLine(
        study_instance_uid=uid,
        state=StudyState(row.state),
        instances=instances or 0,
        revision=row.revision,
        job_state=None if job is None else JobState(job.state),
        last_received_at=row.last_received_at,
        words=_words(row, job, now),
        lane=str(lanes.of(row)),
        lane_rule=row.lane_rule or "",
    )


def _words(study: StudyRow, job: JobRow | None, now: datetime) -> str:
    if study.state == StudyState.HELD:
        return f"held: {study.held_reason}"
    if study.state == StudyState.COLLECTING:
        wait = max(0.0, (study.quiet_until - now).total_seconds())
        return f"pending: collecting, closes in {wait:.0f} s if nothing more comes"
    if study.state == StudyState.NO_FILM:
        return "not read because nothing in it is of a class that is read"
    return "pending: waiting for the sweep" if job is None else words_of(job, now)


def words_of(job: JobRow, now: datetime) -> str:
    """Return in one line where a job stands: delivered, pending because, not read because."""
    state = JobState(job.state)
    if state not in ENDED:
        return f"pending: {why_open(job, now)}"
    because = f" because {job.reason}" if job.reason else ""
    return f"{ENDED[state]}{because}"


def _job(session: "Session", row: JobRow, now: datetime) -> JobStory:
    found = session.execute(
        select(ResultRow, DeliveryRow)
        .outerjoin(DeliveryRow, DeliveryRow.result_id == ResultRow.id)
        .where(ResultRow.job_id == row.job_id)
        .order_by(ResultRow.id)
    ).all()
    return JobStory(
        job_id=row.job_id,
        revision=row.revision,
        cause=row.cause,
        state=JobState(row.state),
        words=words_of(row, now),
        queued_at=row.queued_at,
        encoded_at=row.encoded_at,
        delivered_at=row.delivered_at,
        bundle=row.bundle,
        stage_seconds=row.stage_seconds or {},
        summary=row.summary or {},
        results=tuple(_result(result, delivery) for result, delivery in found),
        retired=withdrawal_queries.retired(session, row.job_id),
    )


def _result(result: ResultRow, delivery: DeliveryRow | None) -> ResultStory:
    status = None if delivery is None else delivery.status
    return ResultStory(
        kind=result.kind,
        number=result.number,
        sop_instance_uid=result.sop_instance_uid,
        size_bytes=result.size_bytes,
        destination=None if delivery is None else delivery.destination,
        status=None if status is None else f"0x{status:04X}",
        not_taken=delivery is not None and delivery.not_taken,
        sent_at=None if delivery is None else delivery.sent_at,
        proven_at=None if delivery is None else delivery.proven_at,
    )
