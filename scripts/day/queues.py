"""Queues to compare: first come first served, lanes as defined, lanes as the database claims."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from sqlalchemy import insert, update

from scripts.day.arrivals import Arrival
from service import order
from service.db.tables import JobRow, StudyRow
from service.lane_rules import CAPS
from service.values import JobCause, JobState, StudyState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.db.engine import Database

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A study in a queue, as :func:`service.order.choose` looks at it."""

    arrival: Arrival
    lane: int
    next_attempt_at: datetime
    overdue_at: datetime


def waiting(arrival: Arrival) -> Waiting:
    """Return an arrival as it stands in a queue."""
    queued_at = moment(arrival.at_s)
    return Waiting(arrival, int(arrival.lane), queued_at, queued_at + CAPS[arrival.lane])


def moment(seconds: float) -> datetime:
    """Return the moment so many seconds after midnight."""
    return MIDNIGHT + timedelta(seconds=seconds)


class Queue(Protocol):
    """What workers claim from."""

    def put(self, arrivals: "Sequence[Arrival]") -> None:
        """Add what has come."""

    def claim(self, limit: int, now_s: float) -> "list[Arrival]":
        """Take up to ``limit`` of what waits."""


class FirstCome:
    """First come, first served: the baseline."""

    def __init__(self) -> None:
        self._waiting: list[Arrival] = []

    def put(self, arrivals: "Sequence[Arrival]") -> None:
        """Add what has come."""
        self._waiting.extend(arrivals)

    def claim(self, limit: int, now_s: float) -> "list[Arrival]":  # noqa: ARG002  (the protocol)
        """Take the longest waiting."""
        taken, self._waiting = self._waiting[:limit], self._waiting[limit:]
        return taken


class Lanes:
    """The order as it is defined, in memory."""

    def __init__(self) -> None:
        self._waiting: list[Waiting] = []
        self._turn = 0

    def put(self, arrivals: "Sequence[Arrival]") -> None:
        """Add what has come."""
        self._waiting.extend(map(waiting, arrivals))

    def claim(self, limit: int, now_s: float) -> "list[Arrival]":
        """Take what :func:`service.order.choose` says."""
        self._turn += 1
        taken = order.choose(self._waiting, limit, moment(now_s), self._turn)
        gone = {one.arrival.number for one in taken}
        self._waiting = [one for one in self._waiting if one.arrival.number not in gone]
        return [one.arrival for one in taken]


class InDatabase:
    """The order as the database claims: the query of the service, on a real Postgres.

    The day's clock is handed in. Rows are put in by plain SQL, and what is claimed ends at once:
    only the order is of interest here.
    """

    def __init__(self, database: "Database") -> None:
        self._database = database
        self._known: dict[UUID, Arrival] = {}

    def put(self, arrivals: "Sequence[Arrival]") -> None:
        """Add what has come."""
        jobs = [(UUID(int=one.number + 1), one, waiting(one)) for one in arrivals]
        self._known |= {job_id: one for job_id, one, _ in jobs}
        with self._database.begin() as session:
            session.execute(insert(StudyRow), [_study(one) for one in arrivals])
            session.execute(insert(JobRow), [_job(job_id, row) for job_id, _, row in jobs])

    def claim(self, limit: int, now_s: float) -> "list[Arrival]":
        """Take what :func:`service.order.lock_next` says."""
        with self._database.begin() as session:
            taken = [row.job_id for row in order.lock_next(session, limit, moment(now_s))]
            session.execute(
                update(JobRow)
                .where(JobRow.job_id.in_(taken))
                .values(state=JobState.SKIPPED.value)
                .execution_options(synchronize_session=False)
            )
        return [self._known[job_id] for job_id in taken]


def _uid(arrival: Arrival) -> str:
    return f"1.2.{arrival.number}"


def _study(arrival: Arrival) -> "dict[str, object]":
    now = moment(arrival.at_s)
    return {
        "study_instance_uid": _uid(arrival),
        "state": StudyState.CLOSED.value,
        "revision": 1,
        "first_received_at": now,
        "last_received_at": now,
        "quiet_until": now,
        "lane": int(arrival.lane),
    }


def _job(job_id: UUID, row: Waiting) -> "dict[str, object]":
    return {
        "job_id": job_id,
        "study_instance_uid": _uid(row.arrival),
        "revision": 1,
        "cause": JobCause.NEW_STUDY.value,
        "state": JobState.QUEUED.value,
        "next_attempt_at": row.next_attempt_at,
        "queued_at": row.next_attempt_at,
        "changed_at": row.next_attempt_at,
        "lane": row.lane,
        "overdue_at": row.overdue_at,
    }
