"""What the database says about how things stand: counts, ages, what waits and why.

Each query touches open rows, or an index, never all of history; counts by state of what has ended
look at one day.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import func, select

from service import pulse
from service.db import queries
from service.db.tables import OPEN, AuditEventRow, AuditPendingRow, AuditSealRow, JobRow, StudyRow
from service.destinations import Standing
from service.pulse import ProcessSeen
from service.values import JobState, Lane, StudyState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import Session

RECENT = timedelta(days=1)
SHOWN = 20

WAITING_FOR = {
    JobState.QUEUED: "waiting for a worker",
    JobState.RUNNING: "being read",
    JobState.ENCODED: "waiting for the deliverer",
    JobState.SENDING: "being sent",
    JobState.SENT: "sent; the archive has not confirmed it yet",
}


@dataclass(frozen=True, slots=True)
class OpenJob:
    """A draft that is not where it should be yet, and why."""

    job_id: UUID
    state: JobState
    queued_at: datetime
    is_late: bool
    why: str
    lane: str = ""


@dataclass(frozen=True, slots=True)
class LaneOverview:
    """One lane: how many wait for a worker, since when, how many of its drafts are late."""

    lane: str
    waiting: int = 0
    oldest_at: datetime | None = None
    late: int = 0


@dataclass(frozen=True, slots=True)
class AuditOverview:
    """How far the audit trail is sealed; ``oldest_unsealed_at`` is None when it all is."""

    sealed: int = 0
    sealed_at: datetime | None = None
    unsealed: int = 0
    oldest_unsealed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything at one moment. Ended jobs are counted over ``RECENT``.

    ``open_jobs`` are the oldest few; ``late`` counts all that are older than the site allows.
    """

    studies: "Mapping[str, int]" = field(default_factory=dict)
    jobs: "Mapping[str, int]" = field(default_factory=dict)
    oldest_open_at: datetime | None = None
    open_jobs: tuple[OpenJob, ...] = ()
    late: int = 0
    lanes: tuple[LaneOverview, ...] = ()
    audit: AuditOverview = field(default_factory=AuditOverview)
    bundle: str | None = None
    last_received_at: datetime | None = None
    last_delivered_at: datetime | None = None
    processes: tuple[ProcessSeen, ...] = ()
    destinations: tuple[Standing, ...] = ()


def overview(session: "Session", now: datetime, late_after: "Mapping[Lane, timedelta]") -> Overview:
    """Return how things stand; a draft is late when it was queued ``late_after`` ago."""
    still_open = _open_jobs(session, now, late_after)
    late = queries.late(session, now, late_after)
    return Overview(
        studies=_studies(session, now),
        jobs=_jobs(session, now),
        oldest_open_at=min((job.queued_at for job in still_open), default=None),
        open_jobs=still_open,
        late=len(late),
        lanes=_lanes(session, Counter(one.lane for one in late)),
        audit=_audit(session),
        bundle=_newest_bundle(session),
        last_received_at=session.scalar(select(func.max(StudyRow.last_received_at))),
        last_delivered_at=session.scalar(
            select(func.max(JobRow.delivered_at)).where(JobRow.changed_at > now - RECENT)
        ),
        processes=pulse.seen(session, now),
    )


def _studies(session: "Session", now: datetime) -> dict[str, int]:
    by_state = select(StudyRow.state, func.count()).group_by(StudyRow.state)
    recent = StudyRow.last_received_at > now - RECENT
    counts = Counter(dict(session.execute(by_state.where(recent)).all()))
    # Each by its own index; one question for both, or with "or", would read the whole table.
    for state in (StudyState.COLLECTING, StudyState.HELD):
        older = by_state.where(StudyRow.state == state, ~recent)
        counts.update(dict(session.execute(older).all()))
    return {state.value: counts[state.value] for state in StudyState}


def _jobs(session: "Session", now: datetime) -> dict[str, int]:
    by_state = select(JobRow.state, func.count()).group_by(JobRow.state)
    recent = JobRow.changed_at > now - RECENT
    counts = Counter(dict(session.execute(by_state.where(recent)).all()))
    older = by_state.where(JobRow.state.in_(OPEN), ~recent)
    counts.update(dict(session.execute(older).all()))
    return {state.value: counts[state.value] for state in JobState}


def _lanes(session: "Session", late: "Counter[Lane]") -> tuple[LaneOverview, ...]:
    found = session.execute(
        select(JobRow.lane, func.count(), func.min(JobRow.queued_at))
        .where(JobRow.state == JobState.QUEUED)
        .group_by(JobRow.lane)
    )
    waiting = {lane: (number, oldest) for lane, number, oldest in found}
    told = []
    for lane in Lane:
        number, oldest = waiting.get(lane, (0, None))
        told.append(LaneOverview(str(lane), number, oldest, late[lane]))
    return tuple(told)


def _open_jobs(
    session: "Session", now: datetime, late_after: "Mapping[Lane, timedelta]"
) -> tuple[OpenJob, ...]:
    rows = session.scalars(
        select(JobRow).where(JobRow.state.in_(OPEN)).order_by(JobRow.queued_at).limit(SHOWN)
    )
    return tuple(
        OpenJob(
            job_id=row.job_id,
            state=JobState(row.state),
            queued_at=row.queued_at,
            is_late=row.queued_at < now - late_after[Lane(row.lane)],
            why=why_open(row, now),
            lane=str(Lane(row.lane)),
        )
        for row in rows
    )


def why_open(row: JobRow, now: datetime) -> str:
    """Return in words why a job has not ended yet."""
    words = WAITING_FOR.get(JobState(row.state), "ended")
    if row.reason:
        words = f"{words}; {row.reason}"
    if row.next_attempt_at > now:
        words = f"{words}; next try in {(row.next_attempt_at - now).total_seconds():.0f} s"
    return words


def _audit(session: "Session") -> AuditOverview:
    newest = session.execute(
        select(AuditSealRow.position, AuditSealRow.sealed_at)
        .order_by(AuditSealRow.position.desc())
        .limit(1)
    ).one_or_none()
    unsealed = session.scalar(select(func.count(AuditPendingRow.event_id))) or 0
    oldest = session.scalar(
        select(AuditEventRow.event_date_time)
        .join(AuditPendingRow, AuditPendingRow.event_id == AuditEventRow.id)
        .order_by(AuditEventRow.id)
        .limit(1)
    )
    return AuditOverview(
        sealed=0 if newest is None else newest.position,
        sealed_at=None if newest is None else newest.sealed_at,
        unsealed=unsealed,
        oldest_unsealed_at=oldest,
    )


def _newest_bundle(session: "Session") -> str | None:
    return session.scalar(
        select(JobRow.bundle)
        .where(JobRow.bundle.is_not(None))
        .order_by(JobRow.changed_at.desc())
        .limit(1)
    )
