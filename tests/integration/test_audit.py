import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from postgres import DatabaseUrls
from rows import NOW
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.exc import DBAPIError

from service import audit, chain, heads
from service.db import locks
from service.db.engine import Database
from service.db.tables import AuditEventRow, AuditPendingRow, AuditSealRow
from service.errors import AuditBroken
from service.seal import Sealer
from service.values import AuditEvent, EventType
from service.verify import verify

pytestmark = pytest.mark.integration

EVENT = AuditEvent(
    event_type=EventType.INSTANCE_RECEIVED,
    event_action_code="C",
    event_outcome_indicator=0,
    user_id="MODALITY",
    study_instance_uid="1.2.3",
    duration_ms=12.3456789,
    detail={"size_bytes": 7_200_000, "ratio": 1.10, "words": "größer", "nested": [1, {"a": None}]},
)
AFTER = NOW + timedelta(minutes=5)


@pytest.fixture
def heads_path(tmp_path: Path) -> Path:
    return tmp_path / "audit" / "heads.jsonl"


@pytest.fixture
def sealed(database: Database, heads_path: Path) -> Path:
    """Three batches: links 1 to 4, 5, and 6 to 7."""
    sealer = Sealer(database, heads_path)
    for count in (4, 1, 2):
        record(database, count)
        assert sealer.seal_once(NOW) == count
    return heads_path


@pytest.fixture
def intruder(database_urls: DatabaseUrls) -> Iterator[Database]:
    """The superuser of the database, with every trigger asleep."""
    opened = Database(database_urls.superuser)
    yield opened
    opened.dispose()


def record(database: Database, count: int = 1) -> None:
    for _ in range(count):
        with database.begin() as session:
            audit.record(session, EVENT, NOW)


def tamper(intruder: Database, *statements: object) -> None:
    with intruder.begin() as session:
        session.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in statements:
            session.execute(statement)  # type: ignore[call-overload]


def codes(database: Database, heads_path: Path) -> set[str]:
    return {fault.code for fault in verify(database, heads_path, AFTER).faults}


def test_an_untouched_trail_verifies(database: Database, sealed: Path) -> None:
    report = verify(database, sealed, AFTER)
    assert report.is_intact
    assert (report.events, report.sealed, report.pending, report.proven) == (7, 7, 0, 7)


def test_the_heads_join_without_a_gap(sealed: Path) -> None:
    assert [(head.first, head.position) for head in heads.read(sealed)] == [(1, 4), (5, 5), (6, 7)]


def test_a_changed_event_is_found_and_named(
    database: Database, intruder: Database, sealed: Path
) -> None:
    tamper(intruder, update(AuditEventRow).where(AuditEventRow.id == 3).values(user_id="X"))
    (fault,) = verify(database, sealed, AFTER).faults
    assert (fault.code, fault.event_id) == ("EVENT_CHANGED", 3)


def test_the_smallest_change_of_a_detail_is_found(
    database: Database, intruder: Database, sealed: Path
) -> None:
    detail = dict(EVENT.detail) | {"ratio": 1.1000000001}
    tamper(intruder, update(AuditEventRow).where(AuditEventRow.id == 3).values(detail=detail))
    assert codes(database, sealed) == {"EVENT_CHANGED"}


def test_a_removed_event_is_found(database: Database, intruder: Database, sealed: Path) -> None:
    tamper(intruder, delete(AuditEventRow).where(AuditEventRow.id == 3))
    assert codes(database, sealed) == {"EVENT_MISSING"}


def test_an_event_removed_with_its_link_is_found(
    database: Database, intruder: Database, sealed: Path
) -> None:
    tamper(
        intruder,
        delete(AuditEventRow).where(AuditEventRow.id == 3),
        delete(AuditSealRow).where(AuditSealRow.event_id == 3),
    )
    assert "LINK_MISSING" in codes(database, sealed)


def test_a_cut_tail_is_found(database: Database, intruder: Database, sealed: Path) -> None:
    tamper(
        intruder,
        delete(AuditEventRow).where(AuditEventRow.id > 5),
        delete(AuditSealRow).where(AuditSealRow.event_id > 5),
    )
    assert codes(database, sealed) == {"TAIL_CUT"}


def test_a_chain_computed_anew_over_a_changed_event_is_found(
    database: Database, intruder: Database, sealed: Path
) -> None:
    with intruder.begin() as session:
        session.execute(text("SET LOCAL session_replication_role = replica"))
        session.execute(update(AuditEventRow).where(AuditEventRow.id == 3).values(user_id="X"))
        previous = chain.GENESIS
        for seal in session.scalars(select(AuditSealRow).order_by(AuditSealRow.position)):
            previous = chain.link(previous, session.get_one(AuditEventRow, seal.event_id))
            seal.chain_sha256 = previous
    assert codes(database, sealed) == {"CHAIN_REWRITTEN"}


@pytest.mark.parametrize("tables", ["audit_events, audit_seals, audit_pending", "audit_seals"])
def test_truncated_tables_are_found(
    database: Database, intruder: Database, sealed: Path, tables: str
) -> None:
    tamper(intruder, text(f"TRUNCATE {tables}"))
    assert "TAIL_CUT" in codes(database, sealed)


def test_an_event_slipped_in_is_found(database: Database, intruder: Database, sealed: Path) -> None:
    with intruder.begin() as session:
        audit.record(session, EVENT, NOW)
        session.execute(delete(AuditPendingRow))
    assert codes(database, sealed) == {"NEVER_SEALED"}


def test_an_event_removed_before_it_was_sealed_is_found(
    database: Database, intruder: Database, sealed: Path
) -> None:
    record(database)
    tamper(intruder, delete(AuditEventRow).where(AuditEventRow.id == 8))
    assert codes(database, sealed) == {"EVENT_MISSING"}


def test_a_sealer_that_stopped_is_found(database: Database, sealed: Path) -> None:
    record(database)
    assert verify(database, sealed, NOW).is_intact  # a second ago is no backlog
    assert codes(database, sealed) == {"BACKLOG"}


def test_a_missing_file_of_heads_is_found(database: Database, sealed: Path) -> None:
    sealed.unlink()
    assert codes(database, sealed) == {"HEADS_MISSING"}


def test_a_lost_file_of_heads_is_not_forgotten_when_sealing_goes_on(
    database: Database, sealed: Path
) -> None:
    sealed.unlink()
    record(database)
    assert Sealer(database, sealed).seal_once(NOW) == 1
    assert codes(database, sealed) == {"HEADS_GAP"}


def test_a_line_taken_out_of_the_heads_is_found(database: Database, sealed: Path) -> None:
    first, _, third = sealed.read_bytes().splitlines(keepends=True)
    sealed.write_bytes(first + third)
    assert codes(database, sealed) == {"HEADS_GAP"}


def test_rubbish_in_the_heads_is_found(database: Database, sealed: Path) -> None:
    sealed.write_bytes(b"rubbish\n" + sealed.read_bytes())
    assert "HEADS_UNREADABLE" in codes(database, sealed)


def test_a_trigger_switched_off_is_found(
    database: Database, database_urls: DatabaseUrls, sealed: Path
) -> None:
    owner = Database(database_urls.owner)
    with owner.begin() as session:
        session.execute(text("ALTER TABLE audit_events DISABLE TRIGGER ALL"))
    owner.dispose()
    assert codes(database, sealed) == {"TRIGGER_OFF"}


@pytest.mark.parametrize("table", ["audit_events, audit_seals, audit_pending", "audit_seals"])
def test_nothing_is_sealed_on_top_of_a_broken_trail(
    database: Database, intruder: Database, sealed: Path, table: str
) -> None:
    tamper(intruder, text(f"TRUNCATE {table}"))
    record(database)
    with pytest.raises(AuditBroken):
        Sealer(database, sealed).seal_once(NOW)


def test_a_head_torn_by_a_power_cut_does_not_count_and_is_written_again(
    database: Database, sealed: Path
) -> None:
    sealed.write_bytes(sealed.read_bytes()[:-10])
    assert codes(database, sealed) == set()
    assert verify(database, sealed, AFTER).proven == 5
    Sealer(database, sealed).seal_once(NOW)
    assert verify(database, sealed, AFTER).proven == 7
    assert [head.position for head in heads.read(sealed)] == [4, 5, 7]


def test_links_of_a_sealer_that_died_before_its_head_are_proven_by_the_next(
    database: Database, sealed: Path
) -> None:
    lines = sealed.read_bytes().splitlines(keepends=True)
    sealed.write_bytes(b"".join(lines[:2]))
    assert Sealer(database, sealed).seal_once(NOW) == 0
    assert verify(database, sealed, AFTER).proven == 7
    assert codes(database, sealed) == set()


def test_only_one_sealer_works_at_a_time(database: Database, heads_path: Path) -> None:
    record(database)
    with locks.held(database, locks.SEALER) as connection:
        assert connection is not None
        assert Sealer(database, heads_path).seal_once(NOW) == 0
    assert Sealer(database, heads_path).seal_once(NOW) == 1


def test_many_writers_and_sealers_at_once_leave_one_whole_chain(
    database: Database, heads_path: Path
) -> None:
    def seal() -> None:
        for _ in range(20):
            Sealer(database, heads_path).seal_once(NOW)

    threads = [threading.Thread(target=record, args=(database, 20)) for _ in range(3)]
    threads += [threading.Thread(target=seal) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    Sealer(database, heads_path).seal_once(NOW)
    report = verify(database, heads_path, AFTER)
    assert report.is_intact
    assert report.sealed == 60


def test_an_event_that_commits_late_is_sealed_late(database: Database, heads_path: Path) -> None:
    with database.begin() as slow:
        audit.record(slow, EVENT, NOW)
        record(database)
        assert Sealer(database, heads_path).seal_once(NOW) == 1
    assert Sealer(database, heads_path).seal_once(NOW) == 1
    assert verify(database, heads_path, AFTER).is_intact


def test_an_event_of_a_transaction_that_failed_never_was(database: Database) -> None:
    def fail_half_way() -> None:
        with database.begin() as session:
            audit.record(session, EVENT, NOW)
            session.execute(text("SELECT 1 / 0"))

    with pytest.raises(DBAPIError):
        fail_half_way()
    with database.begin() as session:
        assert session.scalar(select(func.count()).select_from(AuditEventRow)) == 0
        assert session.scalar(select(func.count()).select_from(AuditPendingRow)) == 0


def test_text_that_no_database_holds_is_stored_without_it(database: Database) -> None:
    dirty = replace(EVENT, user_id="A\0B", detail={"a\0": ["b\0", {"c": "\0"}]})
    with database.begin() as session:
        audit.record(session, dirty, NOW)
    with database.begin() as session:
        row = session.scalars(select(AuditEventRow)).one()
    assert (row.user_id, row.detail) == ("AB", {"a": ["b", {"c": ""}]})


def test_the_file_of_heads_is_for_its_owner_only(sealed: Path) -> None:
    assert sealed.stat().st_mode & 0o777 == 0o600
    assert all(json.loads(line) for line in sealed.read_text(encoding="utf-8").splitlines())
