"""Verifying only what is new: as sharp as the whole walk behind its mark, and honest about it."""

from datetime import timedelta
from pathlib import Path

import pytest
from postgres import DatabaseUrls
from rows import NOW
from sqlalchemy import create_engine, pool, text

from service import audit, verified
from service.db.engine import Database
from service.seal import Sealer
from service.values import AuditEvent, EventType
from service.verified import Verified
from service.verify import AuditReport, verify

pytestmark = pytest.mark.integration

EVENT = AuditEvent(EventType.STUDY_CLOSED, "U", 0, "carina", study_instance_uid="1.2.3")
AFTER = NOW + timedelta(minutes=5)


@pytest.fixture
def mark(database: Database, tmp_path: Path) -> Verified:
    """Five events are verified, three newer ones are not."""
    grow(database, tmp_path, 5)
    report = look(database, tmp_path, None)
    assert report.is_intact
    assert report.end is not None
    grow(database, tmp_path, 3)
    return report.end


def grow(database: Database, home: Path, count: int) -> None:
    for _ in range(count):
        with database.begin() as session:
            audit.record(session, EVENT, NOW)
    Sealer(database, home / "heads.jsonl").seal_once(NOW)


def look(database: Database, home: Path, since: Verified | None) -> AuditReport:
    return verify(database, home / "heads.jsonl", AFTER, None, since)


def tamper(urls: DatabaseUrls, statement: str) -> None:
    superuser = create_engine(urls.superuser, poolclass=pool.NullPool)
    with superuser.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text(statement))


def test_only_what_is_new_is_walked(database: Database, tmp_path: Path, mark: Verified) -> None:
    report = look(database, tmp_path, mark)
    assert (report.is_intact, report.sealed, report.events) == (True, 3, 3)
    assert report.end is not None
    assert report.end.position == 8
    assert look(database, tmp_path, report.end).sealed == 0


@pytest.mark.parametrize(
    "case",
    [
        ("UPDATE audit_events SET user_id = 'x' WHERE id = 7", "EVENT_CHANGED"),
        ("DELETE FROM audit_events WHERE id = 6", "EVENT_MISSING"),
        ("DELETE FROM audit_seals WHERE position = 6", "LINK_MISSING"),
        ("DELETE FROM audit_seals WHERE position > 6", "TAIL_CUT"),
        ("UPDATE audit_seals SET chain_sha256 = 'x' WHERE position = 5", "CHAIN_REWRITTEN"),
        ("TRUNCATE audit_seals", "CHAIN_REWRITTEN"),
    ],
)
def test_what_is_wrong_behind_the_mark_is_found(
    database: Database,
    database_urls: DatabaseUrls,
    tmp_path: Path,
    mark: Verified,
    case: tuple[str, str],
) -> None:
    statement, code = case
    tamper(database_urls, statement)
    assert code in {fault.code for fault in look(database, tmp_path, mark).faults}


def test_what_is_wrong_in_front_of_it_is_for_the_whole_walk(
    database: Database, database_urls: DatabaseUrls, tmp_path: Path, mark: Verified
) -> None:
    tamper(database_urls, "UPDATE audit_events SET user_id = 'x' WHERE id = 2")
    assert look(database, tmp_path, mark).is_intact
    assert {fault.code for fault in look(database, tmp_path, None).faults} == {"EVENT_CHANGED"}


def test_a_mark_is_kept_and_a_damaged_one_is_none(tmp_path: Path) -> None:
    assert verified.read(tmp_path) is None
    kept = Verified(5, 7, "ab")
    verified.write(tmp_path, kept)
    assert verified.read(tmp_path) == kept
    (tmp_path / verified.FILE).write_text("{}")
    assert verified.read(tmp_path) is None
