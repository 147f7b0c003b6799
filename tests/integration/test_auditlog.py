import json
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rows import NOW, SECOND, STUDY, a_queued_job, accept, an_instance

from service import auditlog
from service.auditlog import AuditQuery
from service.db.engine import Database
from service.seal import Sealer
from service.values import EventType

pytestmark = pytest.mark.integration


@pytest.fixture
def trail(database: Database, tmp_path: Path) -> Database:
    """The events of two studies; those of the first are sealed."""
    a_queued_job(database, tmp_path)
    Sealer(database, tmp_path / "heads.jsonl").seal_once(NOW)
    accept(database, tmp_path, an_instance(tmp_path, study="1.2.4"), NOW + timedelta(hours=1))
    return database


def types(database: Database, query: AuditQuery) -> list[EventType]:
    with database.begin() as session:
        return [entry.event_type for entry in auditlog.entries(session, query)]


OF_FIRST = [EventType.INSTANCE_RECEIVED, EventType.STUDY_CLOSED, EventType.JOB_OPENED]


def test_events_come_oldest_first_and_by_study(trail: Database) -> None:
    assert types(trail, AuditQuery()) == [*OF_FIRST, EventType.INSTANCE_RECEIVED]
    assert types(trail, AuditQuery(study_instance_uid=STUDY)) == OF_FIRST
    assert types(trail, AuditQuery(study_instance_uid="9.9")) == []


def test_events_are_found_by_type_user_time_and_number(trail: Database) -> None:
    received = AuditQuery(event_type=EventType.INSTANCE_RECEIVED)
    assert len(types(trail, received)) == 2
    assert len(types(trail, AuditQuery(user_id="MODALITY"))) == 2
    assert len(types(trail, AuditQuery(since=NOW + timedelta(hours=1)))) == 1
    assert len(types(trail, AuditQuery(until=NOW + SECOND))) == 1
    assert types(trail, AuditQuery(newest=2)) == [OF_FIRST[-1], EventType.INSTANCE_RECEIVED]


def test_an_entry_says_whether_it_is_sealed(trail: Database) -> None:
    with trail.begin() as session:
        positions = [entry.position for entry in auditlog.entries(session, AuditQuery())]
    assert positions == [1, 2, 3, None]


def test_json_lines_hold_one_event_each(trail: Database) -> None:
    with trail.begin() as session:
        lines = [json.loads(line) for line in auditlog.json_lines(session, AuditQuery())]
    assert [line["event_type"] for line in lines] == [*OF_FIRST, EventType.INSTANCE_RECEIVED]
    assert lines[0]["detail"]["reception"] == "FILM"


def test_a_message_has_the_parts_that_the_standard_asks_for(trail: Database) -> None:
    # PS3.15 A.5.1 (the schema) and A.5.3.7 (DICOM Instances Transferred).
    with trail.begin() as session:
        first = next(auditlog.messages(session, AuditQuery(), "CARINA"))
    message = ET.fromstring(first)
    assert [part.tag for part in message] == [
        "EventIdentification",
        "ActiveParticipant",
        "AuditSourceIdentification",
        "ParticipantObjectIdentification",
    ]
    event, participant, source, study = message
    assert event.attrib == {
        "EventActionCode": "C",
        "EventDateTime": NOW.isoformat(),
        "EventOutcomeIndicator": "0",
    }
    assert event[0].attrib == {
        "csd-code": "110104",
        "codeSystemName": "DCM",
        "originalText": "DICOM Instances Transferred",
    }
    assert participant.attrib["UserID"] == "MODALITY"
    assert participant.attrib["NetworkAccessPointID"] == "127.0.0.1"
    assert source.attrib == {"AuditSourceID": "CARINA"}
    assert study.attrib["ParticipantObjectID"] == STUDY
    assert study[0].attrib["csd-code"] == "110180"
    assert study[1][0].attrib["NumberOfInstances"] == "1"


def test_every_type_of_event_makes_a_message(trail: Database) -> None:
    with trail.begin() as session:
        made = list(auditlog.messages(session, AuditQuery(), "CARINA"))
    assert len([ET.fromstring(one) for one in made]) == 4


def test_taking_the_trail_out_is_told_in_the_trail(trail: Database) -> None:
    with trail.begin() as session:
        auditlog.tell_of_export(session, "auditor", "json", NOW)
    assert types(trail, AuditQuery(user_id="auditor")) == [EventType.AUDIT_EXPORTED]
