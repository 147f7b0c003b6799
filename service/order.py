"""In which order waiting jobs are claimed: the more urgent lane first, and nobody starves.

Within a lane the one due longest goes first. A job that has waited beyond the cap of its lane is
*overdue*; every ``OVERDUE_EVERY``-th claim takes the longest overdue ones, whatever their lane, and
so a job with ``p`` others overdue before it is claimed after at most ``OVERDUE_EVERY * (p + 1)``
claims, however much of higher rank keeps coming. The other claims go by rank alone, so that a
dump of old studies, once overdue, never holds up what is urgent for more than one claim in turn.

The order is written down twice: as SQL, which is what runs, and as :func:`choose`, which is what
can be reasoned about. Tests hold them equal.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from sqlalchemy import Select, select

from service.db.tables import CLAIM_TURNS, JobRow
from service.values import JobState, Lane

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy.orm import Session

OVERDUE_EVERY: Final = 4

W = TypeVar("W", bound="Waiting")


class Waiting(Protocol):
    """What the order looks at; rows of jobs have it too."""

    @property
    def lane(self) -> int:
        """A :class:`service.values.Lane`."""

    @property
    def next_attempt_at(self) -> datetime:
        """Since when it may be taken."""

    @property
    def overdue_at(self) -> datetime:
        """From when on it has waited too long."""


def lock_next(session: "Session", limit: int, now: datetime) -> "Sequence[JobRow]":
    """Lock and return up to ``limit`` queued jobs that are due, in the order of claiming.

    Rows that somebody else is taking are passed over. Each call is one turn.
    """
    turn: int = session.scalars(select(CLAIM_TURNS.next_value())).one()
    if is_turn_of_overdue(turn) and (rows := session.scalars(overdue(limit, now)).all()):
        return rows
    return of_first_lane(session.scalars(by_lane(limit, now)).all())


def is_turn_of_overdue(turn: int) -> bool:
    """Return whether this claim belongs to whoever has waited too long."""
    return turn % OVERDUE_EVERY == 0


def by_lane(limit: int, now: datetime) -> Select[JobRow]:
    """Return the query of an ordinary turn; ``ix_jobs_lane`` answers it."""
    return _due(limit, now).order_by(JobRow.lane, JobRow.next_attempt_at)


def overdue(limit: int, now: datetime) -> Select[JobRow]:
    """Return the query of a turn of the overdue; ``ix_jobs_overdue`` answers it."""
    return _due(limit, now).where(JobRow.overdue_at <= now).order_by(JobRow.overdue_at)


def of_first_lane(rows: "Sequence[W]") -> "Sequence[W]":
    """Keep a STAT study's batch free of others: it waits for the slowest film it is read with."""
    if not rows or rows[0].lane != Lane.STAT:
        return rows
    return [row for row in rows if row.lane == Lane.STAT]


def choose(waiting: "Iterable[W]", limit: int, now: datetime, turn: int) -> list[W]:
    """Return what a claim takes, as plain Python: the definition of the order.

    Ties go by the order of ``waiting``; in the database they are nobody's promise.
    """
    due = [one for one in waiting if one.next_attempt_at <= now]
    if is_turn_of_overdue(turn):
        late = sorted((one for one in due if one.overdue_at <= now), key=lambda one: one.overdue_at)
        if late:
            return late[:limit]
    first = sorted(due, key=lambda one: (one.lane, one.next_attempt_at))[:limit]
    return list(of_first_lane(first))


def _due(limit: int, now: datetime) -> Select[JobRow]:
    return (
        select(JobRow)
        .where(JobRow.state == JobState.QUEUED, JobRow.next_attempt_at <= now)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
