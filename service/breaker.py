"""The circuit breaker of each destination: when its line keeps breaking, all that waits rests.

It lives in the rows, so every deliverer on every machine sees it: after ``TRIES`` failures in a row
of one consignment, whatever else waits for that destination is not due before that one's next try.
That try is the probe; the pauses double up to a cap. When the line holds again, for whichever of
them, all that rested is due at once. What becomes ready meanwhile has its own first try.

That it opened and closed is told once each, in the audit trail, and stands in ``lines``. The row of
a line is the last lock that a transaction waits for, so nobody waits in a circle.
"""

from typing import TYPE_CHECKING, Any, Final

import structlog
from sqlalchemy import select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from service import audit
from service.db.outbox_tables import ConsignmentRow, LineRow
from service.values import AuditEvent, EventType, JobState

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

    from service.values import Fence

TRIES: Final = 3
UNSENT: Final = (JobState.ENCODED, JobState.SENDING)

log = structlog.get_logger(__name__)


def rest(
    session: "Session", fence: "Fence", tries: int, now: "datetime", delay: "timedelta"
) -> int:
    """Let everything else for this destination wait ``delay``; return how many that were.

    ``tries`` is how often the line broke for the consignment of ``fence``; fewer than ``TRIES``
    change nothing. Nothing may be waited for after it in the same transaction.
    """
    if tries < TRIES:
        return 0
    until = now + delay
    others = ConsignmentRow.job_id != fence.job_id
    resting = _due_by(session, fence.destination, until, others & _is_before(until))
    if resting:
        log.warning("destination_rests", destination=fence.destination, waiting=resting)
    if _opens(session, fence.destination, now):
        _tell(session, EventType.DESTINATION_RESTS, fence, {"waiting": resting}, now)
    return resting


def wake(session: "Session", fence: "Fence", tries: int, now: "datetime") -> int:
    """Make all that rested due, since something got through; return how many that were.

    ``tries`` says whether this one was a probe that had broken often enough.
    """
    row = session.scalars(
        select(LineRow)
        .where(LineRow.destination == fence.destination, LineRow.resting_since.is_not(None))
        .with_for_update()
    ).one_or_none()
    if row is None and tries <= TRIES:
        return 0
    woken = _due_by(session, fence.destination, now, ~_is_before(now))
    log.info("destination_answers", destination=fence.destination, waiting=woken)
    if row is not None and row.resting_since is not None:
        rested_s = round((now - row.resting_since).total_seconds(), 1)
        row.resting_since = None
        session.flush()
        detail = {"waiting": woken, "rested_s": rested_s}
        _tell(session, EventType.DESTINATION_ANSWERS, fence, detail, now)
    return woken


def _opens(session: "Session", destination: str, now: "datetime") -> bool:
    """Note since when a line rests; False when it did already."""
    noted = session.execute(
        insert(LineRow)
        .values(destination=destination, resting_since=now)
        .on_conflict_do_update(
            index_elements=[LineRow.destination],
            set_={"resting_since": now},
            where=LineRow.resting_since.is_(None),
        )
        .returning(LineRow.destination)
    )
    return noted.one_or_none() is not None


def _tell(
    session: "Session",
    event_type: EventType,
    fence: "Fence",
    detail: "dict[str, Any]",
    now: "datetime",
) -> None:
    event = AuditEvent(
        event_type=event_type,
        event_action_code="E",
        event_outcome_indicator=4 if event_type is EventType.DESTINATION_RESTS else 0,
        user_id=fence.owner,
        detail={"destination": fence.destination, **detail},
    )
    audit.record(session, event, now)


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
