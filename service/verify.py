"""Find out whether the audit trail is what was once sealed, and say what is not."""

from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select, text

from service import archive, chain, heads
from service.db import partitions
from service.db.tables import AuditEventRow, AuditPendingRow, AuditSealRow
from service.proof import AuditFault as AuditFault  # noqa: PLC0414  (what a report is made of)
from service.proof import Proof
from service.verified import Verified

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path
    from typing import Any

    from sqlalchemy import Row
    from sqlalchemy.orm import Session

    from service.archive import Archive
    from service.db.engine import Database

UNSEALED_AFTER = timedelta(seconds=60)
"""An event older than this should long be sealed."""

FAULTS_MAX = 1000
READ_AT_ONCE = 5000
TRIGGERS = ("audit_events_append_only", "audit_seals_append_only")


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What a verification saw. ``proven`` is the last link that the file of heads speaks for.

    ``archived`` links have their event in a file outside, named by an event of the trail.
    """

    events: int
    sealed: int
    pending: int
    proven: int
    archived: int
    end: Verified | None
    faults: tuple[AuditFault, ...]

    @property
    def is_intact(self) -> bool:
        """Whether nothing was found."""
        return not self.faults


def verify(
    database: "Database",
    heads_path: "Path",
    now: "datetime",
    archives: "Path | None" = None,
    since: Verified | None = None,
) -> AuditReport:
    """Check every link, every event, the file of heads and the triggers.

    It reads one snapshot, so it may run beside everything else. The first thousand faults are
    listed. Files that were taken out of the trail are read too when their folder is given.
    ``since``: only what was sealed behind a mark that was found intact before; what somebody has
    changed in front of it is not seen, but that the mark itself still stands is.
    """
    faults: list[AuditFault] = []
    behind = since.position if since else 0
    # How far the file went before the snapshot: what is sealed meanwhile is not in that.
    told = heads.stream(heads_path, heads.size(heads_path), behind)
    with closing(told), database.begin() as session:
        session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        session.execute(text("SET LOCAL statement_timeout = 0"))
        proof = Proof(told, behind)
        walk = _Walk(proof, archive.known(session))
        faults += walk.run(session, since)
        faults += proof.end(walk.last_position)
        faults += _unsealed_faults(session, now, since.event_id if since else 0)
        faults += _trigger_faults(session)
        if archives is not None:
            faults += (AuditFault(*fault) for fault in archive.faults_of(session, archives))
        return AuditReport(
            events=_events(session, since.event_id if since else 0),
            sealed=walk.sealed,
            pending=session.scalar(select(func.count()).select_from(AuditPendingRow)) or 0,
            proven=proof.position,
            archived=walk.archived,
            end=walk.end,
            faults=tuple(faults[:FAULTS_MAX]),
        )


class _Walk:
    """Walks the chain once, in order."""

    def __init__(self, proof: Proof, archives: "Sequence[Archive]") -> None:
        self._proof = proof
        self._archives = archives
        self.archived = 0
        self.sealed = 0
        self.last_position = 0
        self.end: Verified | None = None

    def run(self, session: "Session", since: Verified | None) -> "Iterator[AuditFault]":
        previous = chain.GENESIS
        if since is not None:
            yield from _mark_faults(session, since)
            self.last_position, previous, self.end = since.position, since.chain_sha256, since
        # Columns, not objects: a million events are compared in minutes, not in an hour.
        rows = session.execute(
            select(
                AuditSealRow.position,
                AuditSealRow.event_id,
                AuditSealRow.chain_sha256,
                *AuditEventRow.__table__.columns,
            )
            .outerjoin(AuditEventRow, AuditEventRow.id == AuditSealRow.event_id)
            .where(AuditSealRow.position > self.last_position)
            .order_by(AuditSealRow.position)
            .execution_options(yield_per=READ_AT_ONCE)
        )
        for row in rows:
            yield from self._link_faults(row, previous)
            previous = row.chain_sha256
            self.sealed += 1
            self.last_position = row.position
            self.end = Verified(row.position, row.event_id, row.chain_sha256)

    def _link_faults(self, seal: "Row[Any]", previous: str) -> "Iterator[AuditFault]":
        where = {"event_id": seal.event_id, "position": seal.position}
        if seal.position != self.last_position + 1:
            words = f"links {self.last_position + 1} to {seal.position - 1} were removed"
            yield AuditFault("LINK_MISSING", words, **where)
        elif seal.id is None and any(one.holds(seal.event_id) for one in self._archives):
            self.archived += 1
        elif seal.id is None:
            yield AuditFault("EVENT_MISSING", f"event {seal.event_id} was removed", **where)
        elif chain.link(previous, seal) != seal.chain_sha256:
            words = f"event {seal.event_id}, or its link, is not what was sealed"
            yield AuditFault("EVENT_CHANGED", words, **where)
        yield from self._proof.compare(seal.position, seal.chain_sha256, seal.event_id)


def _mark_faults(session: "Session", since: Verified) -> "Iterator[AuditFault]":
    """Look whether the mark that everything before hangs on still stands."""
    link = select(AuditSealRow.chain_sha256).where(AuditSealRow.position == since.position)
    if session.scalar(link) != since.chain_sha256:
        words = f"link {since.position} is not the one that was verified before"
        yield AuditFault("CHAIN_REWRITTEN", words, position=since.position)


def _events(session: "Session", behind: int) -> int:
    counted = select(func.count()).where(AuditEventRow.id > behind)
    return session.scalar(counted) or 0


def _unsealed_faults(session: "Session", now: "datetime", behind: int) -> "Iterator[AuditFault]":
    unsealed = (
        select(func.count(), func.min(AuditEventRow.id))
        .outerjoin(AuditSealRow, AuditSealRow.event_id == AuditEventRow.id)
        .outerjoin(AuditPendingRow, AuditPendingRow.event_id == AuditEventRow.id)
        .where(AuditSealRow.event_id.is_(None), AuditEventRow.id > behind)
    )
    count, first = session.execute(unsealed.where(AuditPendingRow.event_id.is_(None))).one()
    if count:
        words = f"{count} events came in behind the sealer's back, or were unsealed"
        yield AuditFault("NEVER_SEALED", words, event_id=first)
    late = unsealed.where(
        AuditPendingRow.event_id.is_not(None),
        AuditEventRow.event_date_time < now - UNSEALED_AFTER,
    )
    count, first = session.execute(late).one()
    if count:
        words = f"{count} events wait to be sealed: is the sweep running?"
        yield AuditFault("BACKLOG", words, event_id=first)
    orphans = (
        select(func.count(), func.min(AuditPendingRow.event_id))
        .outerjoin(AuditEventRow, AuditEventRow.id == AuditPendingRow.event_id)
        .where(AuditEventRow.id.is_(None))
    )
    count, first = session.execute(orphans).one()
    if count:
        words = f"{count} events were removed before they were sealed"
        yield AuditFault("EVENT_MISSING", words, event_id=first)


def _trigger_faults(session: "Session") -> "Iterator[AuditFault]":
    divided = (f"{one.name}_append_only" for one in partitions.all_of(session))
    names = [*TRIGGERS, *divided]
    enabled = set(
        session.scalars(
            text("SELECT tgname FROM pg_trigger WHERE tgname = ANY(:names) AND tgenabled = 'O'"),
            {"names": names},
        )
    )
    for name in names:
        if name not in enabled:
            yield AuditFault("TRIGGER_OFF", f"the trigger {name} is switched off or gone")
