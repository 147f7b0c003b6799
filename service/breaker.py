"""The circuit breaker of each destination: when its line keeps breaking, all that waits rests.

It lives in the rows, so every deliverer on every machine sees it: after ``TRIES`` failures in a row
of one consignment, whatever else waits for that destination is not due before that one's next try.
That try is the probe; the pauses double up to a cap. When the line holds again, all that rested is
due at once. What becomes ready meanwhile has its own first try.
"""

from typing import TYPE_CHECKING, Final

import structlog
from sqlalchemy import select, tuple_, update

from service.db.outbox_tables import ConsignmentRow
from service.values import JobState

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

    from service.values import Fence

TRIES: Final = 3
UNSENT: Final = (JobState.ENCODED, JobState.SENDING)

log = structlog.get_logger(__name__)


def rest(session: "Session", fence: "Fence", tries: int, until: "datetime") -> int:
    """Let everything else for this destination wait; return how many that were.

    ``tries`` is how often the line broke for the consignment of ``fence``; fewer than ``TRIES``
    change nothing.
    """
    if tries < TRIES:
        return 0
    others = ConsignmentRow.job_id != fence.job_id
    resting = _due_by(session, fence.destination, until, others & _is_before(until))
    if resting:
        log.warning("destination_rests", destination=fence.destination, waiting=resting)
    return resting


def wake(session: "Session", fence: "Fence", tries: int, now: "datetime") -> int:
    """Make all that rested due; ``tries`` says whether the probe had broken often enough."""
    if tries <= TRIES:
        return 0
    woken = _due_by(session, fence.destination, now, ~_is_before(now))
    log.info("destination_answers", destination=fence.destination, waiting=woken)
    return woken


def _is_before(moment: "datetime") -> "ColumnElement[bool]":
    return ConsignmentRow.next_attempt_at < moment


def _due_by(
    session: "Session", destination: str, moment: "datetime", which: "ColumnElement[bool]"
) -> int:
    """Move what nobody works on; rows that somebody is taking are passed over, never waited for."""
    key = (ConsignmentRow.job_id, ConsignmentRow.destination)
    free = (
        select(*key)
        .where(
            ConsignmentRow.destination == destination,
            ConsignmentRow.state.in_(UNSENT),
            ConsignmentRow.owner.is_(None),
            which,
        )
        .with_for_update(skip_locked=True)
    )
    moved = session.execute(
        update(ConsignmentRow)
        .where(tuple_(*key).in_(free))
        .values(next_attempt_at=moment)
        .returning(ConsignmentRow.job_id)
        .execution_options(synchronize_session=False)
    )
    return len(moved.all())
