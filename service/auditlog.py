"""Look into the audit trail, and take it out: JSON lines, or messages of PS3.15 A.5."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID
from xml.etree import ElementTree as ET

from sqlalchemy import select

from service import audit, chain
from service.db.tables import AuditEventRow, AuditSealRow
from service.values import AuditEvent, EventType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from sqlalchemy.orm import Session

READ_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """What to look for; None: anything. ``since`` is included, ``until`` is not."""

    study_instance_uid: str | None = None
    event_type: EventType | None = None
    user_id: str | None = None
    since: "datetime | None" = None
    until: "datetime | None" = None
    newest: int | None = None
    """Only so many, the newest ones; they still come oldest first."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One event as it stands; ``position`` is its place in the chain, None until it is sealed."""

    event_id: int
    position: int | None
    event_type: EventType
    event_action_code: str
    event_outcome_indicator: int
    event_date_time: "datetime"
    user_id: str
    study_instance_uid: str | None
    sop_instance_uid: str | None
    job_id: UUID | None
    duration_ms: float | None
    detail: "Mapping[str, Any]"


def entries(session: "Session", query: AuditQuery) -> "Iterator[AuditEntry]":
    """Give the events that match, oldest first."""
    for event, position in _rows(session, query):
        yield AuditEntry(
            event_id=event.id,
            position=position,
            event_type=EventType(event.event_type),
            event_action_code=event.event_action_code,
            event_outcome_indicator=event.event_outcome_indicator,
            event_date_time=event.event_date_time,
            user_id=event.user_id,
            study_instance_uid=event.study_instance_uid,
            sop_instance_uid=event.sop_instance_uid,
            job_id=event.job_id,
            duration_ms=event.duration_ms,
            detail=event.detail,
        )


def json_lines(session: "Session", query: AuditQuery) -> "Iterator[str]":
    """Give one JSON object per event, with its place and link in the chain."""
    for event, position in _rows(session, query):
        yield json.dumps({**chain.fields(event), "position": position}, sort_keys=True)


def messages(session: "Session", query: AuditQuery, source_id: str) -> "Iterator[str]":
    """Give one Audit Message (PS3.15 A.5.1) per event, as XML; ``source_id``: this system."""
    for event, _ in _rows(session, query):
        yield ET.tostring(_message(event, source_id), encoding="unicode")


def tell_of_export(session: "Session", user_id: str, form: str, now: "datetime") -> None:
    """Record that somebody took the trail out (PS3.15 A.5.3.2, Audit Log Used)."""
    event = AuditEvent(EventType.AUDIT_EXPORTED, "R", 0, user_id, detail={"form": form})
    audit.record(session, event, now)


def _rows(session: "Session", query: AuditQuery) -> "Iterator[tuple[AuditEventRow, int | None]]":
    wanted = {
        AuditEventRow.study_instance_uid: query.study_instance_uid,
        AuditEventRow.event_type: query.event_type,
        AuditEventRow.user_id: query.user_id,
    }
    chosen = select(AuditEventRow.id)
    for column, value in wanted.items():
        if value is not None:
            chosen = chosen.where(column == value)
    if query.since is not None:
        chosen = chosen.where(AuditEventRow.event_date_time >= query.since)
    if query.until is not None:
        chosen = chosen.where(AuditEventRow.event_date_time < query.until)
    if query.newest is not None:
        chosen = chosen.order_by(AuditEventRow.id.desc()).limit(query.newest)
    rows = session.execute(
        select(AuditEventRow, AuditSealRow.position)
        .outerjoin(AuditSealRow, AuditSealRow.event_id == AuditEventRow.id)
        .where(AuditEventRow.id.in_(chosen))
        .order_by(AuditEventRow.id)
        .execution_options(yield_per=READ_AT_ONCE)
    )
    try:
        yield from rows
    finally:
        rows.close()  # whoever stops half-way leaves no open cursor behind


DCM: Final = "DCM"
OWN: Final = "99CARINA"
APPLICATION_ACTIVITY: Final = ("110100", "Application Activity")
AUDIT_LOG_USED: Final = ("110101", "Audit Log Used")
INSTANCES_ACCESSED: Final = ("110103", "DICOM Instances Accessed")
INSTANCES_TRANSFERRED: Final = ("110104", "DICOM Instances Transferred")
SECURITY_ALERT: Final = ("110113", "Security Alert")
PROCEDURE_RECORD: Final = ("110111", "Procedure Record")
STUDY_INSTANCE_UID: Final = ("110180", "Study Instance UID")
SYSTEM_OBJECT: Final = "2"
REPORT_ROLE: Final = "3"

EVENT_ID_OF: "Final[Mapping[EventType, tuple[str, str]]]" = {
    EventType.APPLICATION_STARTED: APPLICATION_ACTIVITY,
    EventType.APPLICATION_STOPPED: APPLICATION_ACTIVITY,
    EventType.ASSOCIATION_REJECTED: SECURITY_ALERT,
    EventType.INSTANCE_RECEIVED: INSTANCES_TRANSFERRED,
    EventType.INSTANCE_REFUSED: INSTANCES_TRANSFERRED,
    EventType.OBJECT_SENT: INSTANCES_TRANSFERRED,
    EventType.SENDING_FAILED: INSTANCES_TRANSFERRED,
    EventType.ANALYSED: INSTANCES_ACCESSED,
    EventType.STUDY_VIEWED: INSTANCES_ACCESSED,
    EventType.AUDIT_EXPORTED: AUDIT_LOG_USED,
    EventType.DEMO_OVERRIDE_USED: SECURITY_ALERT,
}
"""CID 400; everything else is a step of a procedure: Procedure Record."""


def _message(event: AuditEventRow, source_id: str) -> ET.Element:
    message = ET.Element("AuditMessage")
    what = ET.SubElement(
        message,
        "EventIdentification",
        EventActionCode=event.event_action_code,
        EventDateTime=event.event_date_time.isoformat(),
        EventOutcomeIndicator=str(event.event_outcome_indicator),
    )
    event_type = EventType(event.event_type)
    _code(what, "EventID", *EVENT_ID_OF.get(event_type, PROCEDURE_RECORD), DCM)
    _code(what, "EventTypeCode", event_type.value, event_type.value.replace("_", " "), OWN)
    who = {"UserID": event.user_id, "UserIsRequestor": "true"}
    if address := str(event.detail.get("peer_address") or ""):
        who |= {"NetworkAccessPointID": address, "NetworkAccessPointTypeCode": "2"}
    ET.SubElement(message, "ActiveParticipant", who)
    ET.SubElement(message, "AuditSourceIdentification", AuditSourceID=source_id)
    if event.study_instance_uid:
        _study(message, event)
    return message


def _study(message: ET.Element, event: AuditEventRow) -> None:
    study = ET.SubElement(
        message,
        "ParticipantObjectIdentification",
        ParticipantObjectID=event.study_instance_uid or "",
        ParticipantObjectTypeCode=SYSTEM_OBJECT,
        ParticipantObjectTypeCodeRole=REPORT_ROLE,
    )
    _code(study, "ParticipantObjectIDTypeCode", *STUDY_INSTANCE_UID, DCM)
    sop_class_uid = event.detail.get("sop_class_uid")
    if event.sop_instance_uid and sop_class_uid:
        described = ET.SubElement(study, "ParticipantObjectDescription")
        sop_class = ET.SubElement(
            described, "SOPClass", UID=str(sop_class_uid), NumberOfInstances="1"
        )
        ET.SubElement(sop_class, "Instance", UID=event.sop_instance_uid)


def _code(parent: ET.Element, name: str, code: str, meaning: str, scheme: str) -> None:
    attributes = {"csd-code": code, "codeSystemName": scheme, "originalText": meaning}
    ET.SubElement(parent, name, attributes)
