"""The order in which consignments are claimed: that of jobs, each destination by itself.

The more urgent lane first, within a lane who is due longest; every
``service.order.OVERDUE_EVERY``-th claim of a destination takes the one that is longest overdue,
whatever its lane. The definition is :func:`service.order.choose` with a limit of one.

Each lane is asked for by itself, so that an index leads straight to what is due: thousands that
rest until an archive is back, in whatever lane, are not looked at. A turn is counted only when
something was found: who looks in vain writes nothing.
"""

from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from service import order
from service.db import queries
from service.db.outbox_tables import ConsignmentRow, DestinationRow, LineRow
from service.db.tables import DELIVERABLE, JobRow
from service.values import Lane

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Select
    from sqlalchemy.orm import Session

    Found = tuple[ConsignmentRow, JobRow]
    Query = Select[ConsignmentRow, JobRow]


def waiting(session: "Session") -> tuple[str, ...]:
    """Return the destinations that anything waits for, but for those that are suspended.

    One step along the index for each name, however much waits.
    """
    suspended = select(DestinationRow.name).where(
        DestinationRow.held_since.is_not(None), DestinationRow.drains.is_(False)
    )
    held = set(session.scalars(suspended))
    names: list[str] = []
    asked = select(func.min(ConsignmentRow.destination)).where(
        ConsignmentRow.state.in_(DELIVERABLE)
    )
    name = session.scalar(asked)
    while name is not None:
        names.append(name)
        name = session.scalar(asked.where(ConsignmentRow.destination > name))
    return tuple(name for name in names if name not in held)


def lock_next(session: "Session", names: "Sequence[str]", now: "datetime") -> "Found | None":
    """Lock and return what is next for any of these destinations; None when nothing is due.

    Rows that somebody else is taking are passed over. The turn, which is waited for, is counted
    after that: see :mod:`service.breaker` about who waits for whom.
    """
    first = _first(session, [by_lane(names, lane, now) for lane in Lane] if names else [])
    if first is None or not order.is_turn_of_overdue(_turn(session, first[0].destination)):
        return first
    return _first(session, [overdue(names, now)]) or first


def by_lane(names: "Sequence[str]", lane: Lane, now: "datetime") -> "Query":
    """Return the query of an ordinary turn; ``ix_consignments_lane`` answers it."""
    return (
        _due(names, now)
        .where(ConsignmentRow.lane == int(lane))
        .order_by(ConsignmentRow.next_attempt_at)
    )


def overdue(names: "Sequence[str]", now: "datetime") -> "Query":
    """Return the query of a turn of the overdue; ``ix_consignments_overdue`` answers it."""
    return (
        _due(names, now).where(ConsignmentRow.overdue_at <= now).order_by(ConsignmentRow.overdue_at)
    )


def _due(names: "Sequence[str]", now: "datetime") -> "Query":
    # One name is compared, not looked for in a list: then the order of the index is that asked for.
    destination = ConsignmentRow.destination
    here = destination == names[0] if len(names) == 1 else destination.in_(names)
    return (
        select(ConsignmentRow, JobRow)
        .join(JobRow, JobRow.job_id == ConsignmentRow.job_id)
        .where(here, queries.may_be_sent(now), JobRow.state.in_(DELIVERABLE))
        .limit(1)
        .with_for_update(skip_locked=True, of=(ConsignmentRow, JobRow))
    )


def _first(session: "Session", asked: "Sequence[Query]") -> "Found | None":
    for query in asked:
        found = session.execute(query).one_or_none()
        if found is not None:
            row, job = found
            return row, job
    return None


def _turn(session: "Session", destination: str) -> int:
    """Count one more claim of a destination and return the number of it."""
    counted: int = session.scalars(
        insert(LineRow)
        .values(destination=destination, turns=1)
        .on_conflict_do_update(
            index_elements=[LineRow.destination], set_={"turns": LineRow.turns + 1}
        )
        .returning(LineRow.turns)
    ).one()
    return counted
