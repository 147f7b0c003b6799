"""Seal the audit trail: chain every committed event, and write each head outside the database.

One sealer works at a time. Events that commit late simply get a later place in the chain.
"""

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from dicom import failpoints
from dicom.failpoints import Failpoint
from service import chain, heads
from service.db.locks import SEALER, held
from service.db.tables import AuditEventRow, AuditPendingRow, AuditSealRow
from service.errors import AuditBroken
from service.heads import Head

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path
    from typing import Any

    from service.db.engine import Database

BATCH = 1000


class Sealer:
    """Seals one database's trail; ``heads_path`` is the file of heads."""

    def __init__(self, database: "Database", heads_path: "Path") -> None:
        self._database = database
        self._heads_path = heads_path

    def seal_once(self, now: "datetime") -> int:
        """Seal everything committed so far; return how many events. 0 when another one seals.

        Raises
        ------
        AuditBroken
            If the database no longer holds what the file of heads proves: nothing is sealed on
            top of a broken trail.
        """
        sealed = 0
        with held(self._database, SEALER) as connection:
            if connection is None:
                return 0
            with Session(connection, expire_on_commit=False) as session:
                while True:
                    count = self._seal_batch(session, now)
                    sealed += count
                    if count < BATCH:
                        return sealed

    def _seal_batch(self, session: Session, now: "datetime") -> int:
        proven, was_there = self._proven(), self._heads_path.exists()
        with session.begin():
            top = _top(session)
            if proven is not None:
                _check(session, proven)
            elif top is None:
                # An empty file from the beginning on: a missing one is then a lost one.
                heads.begin(self._heads_path)
            events = _pending(session)
            links = list(_links(events, top, now))
            if links:
                session.execute(insert(AuditSealRow), links)
                done = AuditPendingRow.event_id.in_([event.id for event in events])
                session.execute(delete(AuditPendingRow).where(done))
        # What stood there when the file was lost cannot be proven afterwards: a new file begins
        # behind it, and the verification says so.
        lost = top.position if top is not None and not was_there else 0
        self._write_head(session, proven.position if proven else lost, now)
        return len(events)

    def _proven(self) -> Head | None:
        try:
            return heads.last(self._heads_path)
        except ValueError as error:
            raise AuditBroken(str(error)) from error

    def _write_head(self, session: Session, proven_to: int, now: "datetime") -> None:
        """Prove what the file does not prove yet, also links of a sealer that died in between."""
        with session.begin():
            top = _top(session)
        if top is not None and top.position > proven_to:
            head = Head(proven_to + 1, top.position, top.chain_sha256, now.isoformat())
            failpoints.reach(Failpoint.BEFORE_HEAD)
            heads.append(self._heads_path, head)
            failpoints.reach(Failpoint.AFTER_HEAD)


def _top(session: Session) -> AuditSealRow | None:
    newest = select(AuditSealRow).order_by(AuditSealRow.position.desc()).limit(1)
    return session.scalars(newest).one_or_none()


def _check(session: Session, proven: Head) -> None:
    found = session.scalars(
        select(AuditSealRow.chain_sha256).where(AuditSealRow.position == proven.position)
    ).one_or_none()
    if found != proven.chain_sha256:
        raise AuditBroken(f"link {proven.position} of the audit trail is not the one proven")


def _pending(session: Session) -> "Sequence[AuditEventRow]":
    return session.scalars(
        select(AuditEventRow)
        .join(AuditPendingRow, AuditPendingRow.event_id == AuditEventRow.id)
        .order_by(AuditEventRow.id)
        .limit(BATCH)
    ).all()


def _links(
    events: "Sequence[AuditEventRow]", top: AuditSealRow | None, now: "datetime"
) -> "Iterator[dict[str, Any]]":
    position, sha256 = (top.position, top.chain_sha256) if top else (0, chain.GENESIS)
    for event in events:
        position, sha256 = position + 1, chain.link(sha256, event)
        yield {
            "position": position,
            "event_id": event.id,
            "chain_sha256": sha256,
            "sealed_at": now,
        }
