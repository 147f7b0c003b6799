"""Take one message: on the disk and in the database before it is answered.

The same message again (same sender, control id and bytes) is answered as before and changes
nothing. One that was answered with an error is looked at anew: what stood in its way may be gone.
"""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from service import audit, corrections
from service.adt import message
from service.adt.acknowledge import ACCEPTED, acknowledgement
from service.corrections import Origin
from service.db.patient_tables import PatientMessageRow
from service.errors import CorrectionRefused, MessageRefused
from service.files import private_folder, write_private_bytes
from service.values import AuditEvent, EventType

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy import Select
    from sqlalchemy.orm import Session

    from service.adt.message import Heading, Message
    from service.db.engine import Database

MESSAGES: Final = "messages"
NOT_FOR_US: Final = "nothing here concerns this message"


@dataclass(frozen=True, slots=True)
class TakingRules:
    """``root`` is the folder of corrections; ``with_updates``: A08 and A31 count."""

    root: "Path"
    with_updates: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a message; ``news`` counts the corrections it brought."""

    answer: str
    reason: str
    content: bytes
    news: int = 0


def take(
    database: "Database", content: bytes, peer_address: str, rules: TakingRules, now: "datetime"
) -> Taken:
    """Take a message and return the answer to it.

    Raises
    ------
    SQLAlchemyError, OSError
        If it cannot be kept: nothing may be answered then; the sender tries again.
    """
    heading: Heading | None = None
    try:
        heading = message.heading_of(content)
        known = _known(database, heading, content)
        if known is not None:
            return _taken(heading, ACCEPTED, "", now)
        told = message.read(content, with_updates=rules.with_updates)
        if not told.changes:
            return _taken(heading, ACCEPTED, NOT_FOR_US, now)
        news = _keep(database, told, content, (peer_address, rules.root), now)
        return _taken(heading, ACCEPTED, "", now, news)
    except MessageRefused as refusal:
        answer, reason = refusal.answer, refusal.reason
    except CorrectionRefused as refusal:
        answer, reason = message.APPLICATION_ERROR, str(refusal)
    with database.begin() as session:
        if heading is not None:
            write = _row(session, heading, content, peer_address, now)
            write.answer, write.reason = answer, reason
            _file(rules.root, content)
        _tell(session, heading, (peer_address, answer, reason), now)
    return _taken(heading, answer, reason, now)


def _keep(
    database: "Database",
    told: "Message",
    content: bytes,
    where: "tuple[str, Path]",
    now: "datetime",
) -> int:
    peer_address, root = where
    _file(root, content)
    with database.begin() as session:
        row = _row(session, told.heading, content, peer_address, now)
        row.answer, row.reason = ACCEPTED, ""
        session.flush()
        origin = Origin(made_by=f"hl7 {told.heading.sender}", message_id=row.id)
        kept = [corrections.keep(session, one, origin, root, now) for one in told.changes]
        news = [str(one) for one in kept if one is not None]
        _tell(session, told.heading, (peer_address, ACCEPTED, ""), now, news)
    return len(news)


def _file(root: "Path", content: bytes) -> str:
    relative = f"{MESSAGES}/{_digest(content)}.hl7"
    path = root / relative
    if not path.exists():
        private_folder(path.parent)
        write_private_bytes(path, content)
    return relative


def _row(
    session: "Session", heading: "Heading", content: bytes, peer_address: str, now: "datetime"
) -> PatientMessageRow:
    """Return the row of a message, locked, made if need be."""
    digest = _digest(content)
    new = insert(PatientMessageRow).values(
        sender=heading.sender,
        control_id=heading.control_id,
        event=heading.event,
        sha256=digest,
        path=f"{MESSAGES}/{digest}.hl7",
        peer_address=peer_address,
        received_at=now,
        answer=message.APPLICATION_ERROR,
        reason="",
    )
    session.execute(new.on_conflict_do_nothing())
    row: PatientMessageRow = session.scalars(_same(heading, content).with_for_update()).one()
    return row


def _known(database: "Database", heading: "Heading", content: bytes) -> PatientMessageRow | None:
    """Return the row of a message that was accepted before."""
    with database.begin() as session:
        accepted = PatientMessageRow.answer == ACCEPTED
        return session.scalars(_same(heading, content).where(accepted)).one_or_none()


def _same(heading: "Heading", content: bytes) -> "Select[PatientMessageRow]":
    return select(PatientMessageRow).where(
        PatientMessageRow.sender == heading.sender,
        PatientMessageRow.control_id == heading.control_id,
        PatientMessageRow.sha256 == _digest(content),
    )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _taken(
    heading: "Heading | None", answer: str, reason: str, now: "datetime", news: int = 0
) -> Taken:
    return Taken(answer, reason, acknowledgement(heading, answer, reason, now), news)


def _tell(
    session: "Session",
    heading: "Heading | None",
    how: tuple[str, str, str],
    now: "datetime",
    news: "list[str] | None" = None,
) -> None:
    peer_address, answer, reason = how
    event = AuditEvent(
        event_type=EventType.PATIENT_MESSAGE,
        event_action_code="C",
        event_outcome_indicator=0 if answer == ACCEPTED else 4,
        user_id=f"hl7 {heading.sender}" if heading else "hl7",
        detail={
            "event": heading.event if heading else "",
            "control_id": heading.control_id if heading else "",
            "peer_address": peer_address,
            "answer": answer,
            "reason": reason,
            "corrections": news or [],
        },
    )
    audit.record(session, event, now)
