"""Take old partitions of the audit trail out of the database, so that the rest still verifies.

A partition goes as a file of JSON lines, one event each with its place and link in the chain. The
links themselves (:class:`service.db.tables.AuditSealRow`) stay in the database for ever: they are
the anchor that the file hangs on, and the chain over what remains is never cut. That a partition
was taken out, and the SHA-256 of its file, is an event of the trail, sealed like any other; the
newest such event names every file there is.

Only the role that owns the tables can do this. A crash leaves the file, or the file and the
detached table gone, never neither: the file is on the disk and read back before anything is
dropped, and the dropping and its event are one transaction.
"""

import hashlib
import json
import os
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select, text
from sqlalchemy.orm import aliased

from service import audit, chain, heads
from service.db import partitions
from service.db.tables import AuditEventRow, AuditSealRow
from service.errors import AuditBroken
from service.files import OWNER_ONLY, private_folder, sync_folder
from service.values import AuditEvent, EventType

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy.orm import Session

    from service.db.engine import Database
    from service.db.partitions import Partition

READ_AT_ONCE: Final = 2000
MEBIBYTE: Final = 1 << 20
LOCK_TIMEOUT: Final = "10s"
_TOLD: Final = (
    select(AuditEventRow.detail)
    .where(AuditEventRow.event_type == EventType.AUDIT_ARCHIVED.value)
    .order_by(AuditEventRow.id.desc())
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class Archive:
    """One file that was taken out: events from number ``first`` on, up to and without ``ends``."""

    file: str
    sha256: str
    first: int
    ends: int
    events: int

    def holds(self, event_id: int) -> bool:
        """Return whether an event of this number lies in the file."""
        return self.first <= event_id < self.ends


def known(session: "Session") -> tuple[Archive, ...]:
    """Return every archive that the trail itself speaks of, by a sealed event."""
    sealed = _TOLD.join(AuditSealRow, AuditSealRow.event_id == AuditEventRow.id)
    return _named(session.scalars(sealed).one_or_none())


def _named(detail: "Mapping[str, Any] | None") -> tuple[Archive, ...]:
    return () if detail is None else tuple(Archive(**one) for one in detail["archives"])


def due(session: "Session", before: "datetime", proven_to: int) -> "tuple[Partition, ...]":
    """Return the partitions that may go: full, every event older, sealed and proven outside."""
    newest = session.scalar(select(func.max(AuditEventRow.id))) or 0
    found = []
    for one in partitions.all_of(session):
        if one.ends > newest:
            break
        inside = (AuditEventRow.id >= one.first, AuditEventRow.id < one.ends)
        events, last = session.execute(
            select(func.count(), func.max(AuditEventRow.event_date_time)).where(*inside)
        ).one()
        sealed = session.scalar(
            select(func.count())
            .select_from(AuditSealRow)
            .join(AuditEventRow, AuditEventRow.id == AuditSealRow.event_id)
            .where(*inside, AuditSealRow.position <= proven_to)
        )
        if not events or last >= before or sealed != events:
            break
        found.append(one)
    return tuple(found)


def take_out(
    owner: "Database", heads_path: "Path", folder: "Path", before: "datetime", now: "datetime"
) -> tuple[Archive, ...]:
    """Archive every partition whose events are all older than ``before``; return what went.

    Raises
    ------
    AuditBroken
        If an event is not what was sealed: what is broken stays where it is.
    OSError
        If a file cannot be written: its partition stays.
    """
    proven = heads.last(heads_path)
    with owner.begin() as session:
        session.execute(text("SET LOCAL statement_timeout = 0"))
        going = due(session, before, 0 if proven is None else proven.position)
    private_folder(folder)
    went = []
    for partition in going:
        made = _write(owner, partition, folder)
        with owner.begin() as session:
            _drop(session, partition, made, now)
        went.append(made)
    return tuple(went)


def _write(owner: "Database", partition: "Partition", folder: "Path") -> Archive:
    """Write one partition to its file, durably; every link is computed again on the way."""
    path = folder / f"audit-{partition.first:015d}-{partition.ends:015d}.jsonl"
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    events = 0
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        with owner.begin() as session:
            session.execute(text("SET LOCAL statement_timeout = 0"))
            with closing(_lines(session, partition)) as lines:
                for line in lines:
                    file.write(json.dumps(line, sort_keys=True) + "\n")
                    events += 1
        file.flush()
        os.fsync(descriptor)
    scratch.replace(path)
    sync_folder(folder)
    return Archive(path.name, digest(path), partition.first, partition.ends, events)


def _lines(session: "Session", partition: "Partition") -> "Generator[dict[str, Any], None, None]":
    before = aliased(AuditSealRow)
    rows = session.execute(
        select(
            AuditSealRow.position,
            AuditSealRow.chain_sha256,
            before.chain_sha256.label("previous_sha256"),
            *AuditEventRow.__table__.columns,
        )
        .join(AuditSealRow, AuditSealRow.event_id == AuditEventRow.id)
        .outerjoin(before, before.position == AuditSealRow.position - 1)
        .where(AuditEventRow.id >= partition.first, AuditEventRow.id < partition.ends)
        .order_by(AuditEventRow.id)
        .execution_options(yield_per=READ_AT_ONCE)
    )
    with closing(rows):
        for row in rows:
            previous = row.previous_sha256 or chain.GENESIS
            if chain.link(previous, row) != row.chain_sha256:
                raise AuditBroken(f"event {row.id} is not what was sealed: nothing is archived")
            yield chain.fields(row) | {
                "position": row.position,
                "previous_sha256": previous,
                "chain_sha256": row.chain_sha256,
            }


def _drop(session: "Session", partition: "Partition", made: Archive, now: "datetime") -> None:
    """Detach and drop a partition, and say so in the trail, all or nothing."""
    name = partition.name
    session.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
    earlier = _named(session.scalars(_TOLD).one_or_none())  # it may not be sealed yet
    session.execute(text(f"ALTER TABLE {partitions.PARENT} DETACH PARTITION {name}"))
    there = session.execute(text(f"SELECT count(*) FROM {name}")).scalar_one()  # noqa: S608
    if there != made.events:
        raise AuditBroken(f"{name} has changed since it was written out: nothing is archived")
    session.execute(text(f"DROP TABLE {name}"))
    event = AuditEvent(
        event_type=EventType.AUDIT_ARCHIVED,
        event_action_code="D",
        event_outcome_indicator=0,
        user_id="carina",
        detail={"archives": [asdict(one) for one in (*earlier, made)]},
    )
    audit.record(session, event, now)


def faults_of(session: "Session", folder: "Path") -> "Iterator[tuple[str, str]]":
    """Compare every archive with the trail; give a code and words for each that does not hold."""
    for one in known(session):
        path = folder / one.file
        if not path.exists():
            yield "ARCHIVE_MISSING", f"{one.file}, with {one.events} events, is not there"
        elif digest(path) != one.sha256:
            yield "ARCHIVE_CHANGED", f"{one.file} is not the file that was written"
        else:
            yield from _broken_links(session, path)


def _broken_links(session: "Session", path: "Path") -> "Iterator[tuple[str, str]]":
    for batch in _batches(path):
        positions = [line["position"] for line in batch]
        rows = session.execute(
            select(AuditSealRow.position, AuditSealRow.chain_sha256).where(
                AuditSealRow.position.in_(positions)
            )
        )
        sealed = {row.position: row.chain_sha256 for row in rows}
        for line in batch:
            fields = dict(line)
            position, link = fields.pop("position"), fields.pop("chain_sha256")
            computed = chain.link_of(fields.pop("previous_sha256"), fields)
            if not computed == link == sealed.get(position):
                words = f"{path.name}: event {line['id']} does not hang on link {position}"
                yield "ARCHIVE_CHANGED", words


def _batches(path: "Path") -> "Iterator[Sequence[dict[str, Any]]]":
    with path.open(encoding="utf-8") as file:
        while lines := [line for line, _ in zip(file, range(READ_AT_ONCE), strict=False)]:
            yield [json.loads(line) for line in lines]


def digest(path: "Path") -> str:
    """Return the SHA-256 of a file."""
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(MEBIBYTE):
            sha256.update(chunk)
    return sha256.hexdigest()
