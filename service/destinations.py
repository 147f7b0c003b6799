"""The switches of the destinations: suspend, drain, resume, and how each one stands."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import false, func, select

from service import audit
from service.db import withdrawal_queries
from service.db.outbox_tables import ConsignmentRow, DestinationRow, LineRow
from service.db.tables import DELIVERABLE, JobRow
from service.errors import UnknownDestination
from service.values import AuditEvent, EventType, JobState

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

    from service.values import Destination

    Ended = Mapping[str, tuple[int, datetime | None]]


class Switch(StrEnum):
    """What an operator decided about a destination."""

    OPEN = "open"
    SUSPENDED = "suspended"  # nothing is sent there
    DRAINING = "draining"  # what was ready before still goes out; what came later waits


_EVENT_OF: "Mapping[Switch, EventType]" = {
    Switch.OPEN: EventType.DESTINATION_RESUMED,
    Switch.SUSPENDED: EventType.DESTINATION_SUSPENDED,
    Switch.DRAINING: EventType.DESTINATION_DRAINED,
}


@dataclass(frozen=True, slots=True)
class Standing:
    """How one destination stands. Counts are of studies; times are aware UTC.

    ``address`` is "" for one that is not configured any more but still owes or is owed something.
    ``draining`` ones still have ``to_drain`` to send. ``oldest`` waits longest for its proof.
    ``resting_since``: the circuit breaker is open. ``not_retired``: drafts whose old objects are
    still there, since the archive did not hide or delete them.
    """

    name: str
    address: str
    proof: str
    switch: Switch
    waiting: int
    to_drain: int
    unproven: int
    failed: int
    oldest: "datetime | None"
    last_delivered: "datetime | None"
    reason: str
    resting_since: "datetime | None" = None
    not_retired: int = 0


def standings(
    session: "Session", archives: "Sequence[Destination]", since: "datetime | None" = None
) -> tuple[Standing, ...]:
    """Return every configured destination in its order, then those that are only remembered.

    What has failed and what was delivered last is looked up in all of history, or, for those who
    ask often, among the jobs that changed after ``since``.
    """
    switches = {row.name: row for row in session.scalars(select(DestinationRow))}
    waiting = select(ConsignmentRow.destination).where(ConsignmentRow.state.in_(DELIVERABLE))
    not_retired = withdrawal_queries.not_retired(session)
    resting = _resting(session)
    remembered = {*switches, *session.scalars(waiting.distinct()), *not_retired}
    known = dict.fromkeys((*(one.name for one in archives), *sorted(remembered)))
    configured = {one.name: one for one in archives}
    ended = _ended(session, since)
    return tuple(
        replace(
            _standing(session, (name, configured.get(name)), switches.get(name), ended),
            resting_since=resting.get(name),
            not_retired=not_retired.get(name, 0),
        )
        for name in known
    )


def switch(
    session: "Session", name: str, to: Switch, who: tuple[str, "datetime"], known: "Collection[str]"
) -> None:
    """Suspend, drain or resume a destination; ``who`` did it and when. Audited.

    Resuming makes everything that waited due at once.

    Raises
    ------
    UnknownDestination
        If no such destination is configured or remembered.
    """
    user_id, now = who
    row = session.get(DestinationRow, name, with_for_update=True)
    if row is None:
        if name not in known:
            raise UnknownDestination(f"no destination is called {name!r}: see CARINA_DESTINATIONS")
        row = DestinationRow(name=name)
        session.add(row)
    row.held_since = None if to is Switch.OPEN else now
    row.drains = to is Switch.DRAINING
    row.changed_at, row.changed_by = now, user_id
    session.flush()
    event = AuditEvent(_EVENT_OF[to], "E", 0, user_id, detail={"destination": name})
    audit.record(session, event, now)


def _resting(session: "Session") -> "dict[str, datetime]":
    """Return since when the lines rest that do."""
    asked = select(LineRow.destination, LineRow.resting_since)
    rows = session.execute(asked.where(LineRow.resting_since.is_not(None)))
    return {name: since for name, since in rows if since is not None}


def _ended(session: "Session", since: "datetime | None") -> "Ended":
    """Return, by destination, how many have failed and when one was delivered last."""
    state = ConsignmentRow.state
    asked = select(
        ConsignmentRow.destination,
        func.count().filter(state == JobState.FAILED),
        func.max(ConsignmentRow.delivered_at),
    ).where(state.in_((JobState.FAILED, JobState.DELIVERED)))
    if since is not None:
        recent = JobRow.job_id == ConsignmentRow.job_id
        asked = asked.join(JobRow, recent).where(JobRow.changed_at > since)
    rows = session.execute(asked.group_by(ConsignmentRow.destination))
    return {name: (failed, last) for name, failed, last in rows}


def _standing(
    session: "Session",
    known: "tuple[str, Destination | None]",
    row: DestinationRow | None,
    ended: "Ended",
) -> Standing:
    name, archive = known
    state, here = ConsignmentRow.state, ConsignmentRow.destination == name
    unsent = state.in_((JobState.ENCODED, JobState.SENDING))
    held_since = None if row is None else row.held_since
    ready = ConsignmentRow.opened_at <= held_since if held_since is not None else false()
    count = func.count()
    found = session.execute(
        select(
            count.filter(unsent),
            count.filter(unsent, ready),
            count.filter(state == JobState.SENT),
            func.min(ConsignmentRow.opened_at),
        ).where(here, state.in_(DELIVERABLE))
    ).one()
    failed, last_delivered = ended.get(name, (0, None))
    return Standing(
        name=name,
        address="" if archive is None else str(archive.to),
        proof="" if archive is None else archive.proof.value,
        switch=_switch_of(row),
        waiting=found[0],
        to_drain=found[1] if row is not None and row.drains else 0,
        unproven=found[2],
        failed=failed,
        oldest=found[3],
        last_delivered=last_delivered,
        reason=_reason(session, name),
    )


def _reason(session: "Session", name: str) -> str:
    """Return why the one that is due first has not been delivered yet."""
    found = session.scalar(
        select(ConsignmentRow.reason)
        .where(
            ConsignmentRow.destination == name,
            ConsignmentRow.state.in_(DELIVERABLE),
            ConsignmentRow.reason.is_not(None),
        )
        .order_by(ConsignmentRow.next_attempt_at)
        .limit(1)
    )
    return found or ""


def _switch_of(row: DestinationRow | None) -> Switch:
    if row is None or row.held_since is None:
        return Switch.OPEN
    return Switch.DRAINING if row.drains else Switch.SUSPENDED
