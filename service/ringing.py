"""Which jobs to ring for: each once when it falls due, and again while nobody comes."""

from datetime import timedelta
from typing import TYPE_CHECKING

from service.db import queries, withdrawal_queries

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from service.db.queries import Due
    from service.values import Job, JobState

GRACE = timedelta(seconds=2)
"""Who made the job rings for it; only what was not heard by then is rung here."""

AGAIN_AFTER = timedelta(seconds=30)
AGAIN_AT_MOST = timedelta(minutes=10)
AT_ONCE = 50


class Ringer:
    """Rings for the jobs of some states; remembers for which it has.

    While nobody comes the pauses double, so that a day without workers fills no broker.
    """

    def __init__(
        self, ring: "Callable[[Iterable[UUID]], bool]", states: "Collection[JobState]"
    ) -> None:
        self._ring = ring
        self._states = states
        self._rung: dict[UUID, datetime] = {}
        self._pause = AGAIN_AFTER
        self._again_at: datetime | None = None

    def due(
        self, session: "Session", now: "datetime", opened: "Collection[Job]" = ()
    ) -> "tuple[UUID, ...]":
        """Return the jobs to ring for now; ``opened`` were made just before and not rung yet."""
        waiting = self._waiting(session, now - GRACE)
        fresh = [one for one in waiting if self._rung.get(one.job_id) != one.since]
        if fresh or not waiting:
            self._pause, self._again_at = AGAIN_AFTER, now + AGAIN_AFTER
        elif self._again_at is not None and now >= self._again_at:
            self._pause = min(AGAIN_AT_MOST, self._pause * 2)
            self._again_at = now + self._pause
            fresh = list(waiting)
        self._remember(now, waiting, opened)
        return (*(job.job_id for job in opened), *(one.job_id for one in fresh))

    def ring(self, job_ids: "Collection[UUID]") -> None:
        """Ring; what the broker did not take is rung in the next round."""
        if job_ids and not self._ring(job_ids):
            for job_id in job_ids:
                self._rung.pop(job_id, None)

    def _waiting(self, session: "Session", before: "datetime") -> "tuple[Due, ...]":
        return queries.due(session, self._states, before, AT_ONCE)

    def _remember(self, now: "datetime", waiting: "Iterable[Due]", opened: "Iterable[Job]") -> None:
        """Keep what still waits, and what was rung so lately that it does not count as waiting."""
        self._rung = {job: since for job, since in self._rung.items() if since > now - GRACE}
        self._rung |= {one.job_id: one.since for one in waiting}
        self._rung |= {job.job_id: job.queued_at for job in opened}


class RetirementRinger(Ringer):
    """Rings for objects that should be rejected or deleted: deliverers do that too."""

    def __init__(self, ring: "Callable[[Iterable[UUID]], bool]") -> None:
        super().__init__(ring, ())

    def _waiting(self, session: "Session", before: "datetime") -> "tuple[Due, ...]":
        return withdrawal_queries.retirements_due(session, before, AT_ONCE)
