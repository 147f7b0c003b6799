"""Old partitions taken out of the trail: what remains verifies, and so does what was taken out."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from postgres import DatabaseUrls
from rows import NOW
from sqlalchemy import create_engine, func, pool, select, text
from sqlalchemy.exc import ProgrammingError

from service import archive, audit
from service.db import partitions
from service.db.engine import Database
from service.db.tables import AuditEventRow, AuditSealRow
from service.errors import AuditBroken
from service.seal import Sealer
from service.values import AuditEvent, EventType
from service.verify import verify

pytestmark = pytest.mark.integration

SPAN = 500_000
LATER = NOW + timedelta(days=400)
CUT = NOW + timedelta(days=30)
EVENT = AuditEvent(
    EventType.STUDY_CLOSED, "U", 0, "carina", study_instance_uid="1.2.3", detail={"words": "größer"}
)


class Trail:
    """One trail with two full partitions behind it and a few new events."""

    def __init__(self, urls: DatabaseUrls, home: Path) -> None:
        self.urls = urls
        self.heads = home / "audit" / "heads.jsonl"
        self.folder = home / "archive"
        self.service = Database(urls.service)
        self.owner = Database(urls.owner)
        for first in (0, SPAN, 2 * SPAN):
            self.jump(first + 10)
            self.record(3)

    def jump(self, to: int) -> None:
        superuser = create_engine(self.urls.superuser, poolclass=pool.NullPool)
        with superuser.begin() as connection:
            connection.execute(text("SELECT setval('audit_events_id_seq', :to)"), {"to": to})

    def record(self, count: int = 1) -> None:
        for _ in range(count):
            with self.service.begin() as session:
                audit.record(session, EVENT, NOW)
        Sealer(self.service, self.heads).seal_once(NOW)

    def take_out(self) -> tuple[archive.Archive, ...]:
        return archive.take_out(self.owner, self.heads, self.folder, CUT, LATER)

    def seal(self) -> None:
        Sealer(self.service, self.heads).seal_once(LATER)

    def codes(self, archives: Path | None = None) -> set[str]:
        report = verify(self.service, self.heads, LATER, archives)
        return {fault.code for fault in report.faults}

    def tamper(self, statement: str) -> None:
        superuser = create_engine(self.urls.superuser, poolclass=pool.NullPool)
        with superuser.begin() as connection:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            connection.execute(text(statement))


@pytest.fixture
def trail(database_urls: DatabaseUrls, tmp_path: Path) -> Trail:
    made = Trail(database_urls, tmp_path)
    made.service.dispose()
    made.owner.dispose()
    return made


@pytest.fixture(autouse=True)
def closed(trail: Trail) -> object:
    yield
    trail.service.dispose()
    trail.owner.dispose()


def test_what_remains_and_what_was_taken_out_both_verify(trail: Trail) -> None:
    first, second = trail.take_out()
    assert (first.events, second.events) == (3, 3)
    trail.seal()
    with trail.service.begin() as session:
        assert session.scalar(select(func.count()).select_from(AuditEventRow)) == 3 + 2
        assert session.scalar(select(func.count()).select_from(AuditSealRow)) == 9 + 2
        assert archive.known(session) == (first, second)
    report = verify(trail.service, trail.heads, LATER, trail.folder)
    assert report.is_intact
    assert (report.sealed, report.archived) == (11, 6)
    assert trail.codes() == set()


def test_the_trail_goes_on_and_more_is_taken_out_later(trail: Trail) -> None:
    trail.take_out()
    trail.record()
    trail.jump(3 * SPAN + 10)
    trail.record()
    # The third partition holds the event of the first archive, which is younger than the cut.
    assert trail.take_out() == ()
    much_later = LATER + timedelta(days=1)
    (third,) = archive.take_out(trail.owner, trail.heads, trail.folder, much_later, much_later)
    trail.seal()
    assert third.events == 6
    with trail.service.begin() as session:
        assert len(archive.known(session)) == 3
    assert trail.codes(trail.folder) == set()


def test_each_line_is_an_event_with_its_place_and_link(trail: Trail) -> None:
    first, _ = trail.take_out()
    lines = [json.loads(one) for one in (trail.folder / first.file).read_text().splitlines()]
    assert [line["position"] for line in lines] == [1, 2, 3]
    assert lines[0]["detail"] == {"words": "größer"}
    assert lines[1]["previous_sha256"] == lines[0]["chain_sha256"]
    assert (trail.folder / first.file).stat().st_mode & 0o077 == 0


def test_an_event_removed_behind_the_archive_is_still_found(trail: Trail) -> None:
    trail.take_out()
    trail.seal()
    trail.tamper(f"DELETE FROM audit_events WHERE id = {2 * SPAN + 11}")
    assert trail.codes() == {"EVENT_MISSING"}


def test_a_link_of_an_archived_event_cannot_be_changed_unseen(trail: Trail) -> None:
    trail.take_out()
    trail.seal()
    trail.tamper(f"UPDATE audit_seals SET chain_sha256 = '{'0' * 64}' WHERE position = 2")
    assert "ARCHIVE_CHANGED" in trail.codes(trail.folder)


def test_a_changed_or_missing_file_is_found(trail: Trail) -> None:
    first, second = trail.take_out()
    trail.seal()
    path = trail.folder / first.file
    path.write_text(path.read_text().replace("carina", "nobody"))
    (trail.folder / second.file).unlink()
    assert trail.codes(trail.folder) == {"ARCHIVE_CHANGED", "ARCHIVE_MISSING"}


def test_an_archive_that_no_sealed_event_speaks_of_excuses_nothing(trail: Trail) -> None:
    with trail.owner.begin() as session:
        name = partitions.all_of(session)[0].name
        session.execute(text(f"ALTER TABLE audit_events DETACH PARTITION {name}"))
        session.execute(text(f"DROP TABLE {name}"))
    assert trail.codes() == {"EVENT_MISSING"}


def test_what_is_not_what_was_sealed_is_not_archived(trail: Trail) -> None:
    trail.tamper("UPDATE audit_events SET user_id = 'x' WHERE id = 11")
    with pytest.raises(AuditBroken):
        trail.take_out()
    assert trail.codes() == {"EVENT_CHANGED"}
    with trail.service.begin() as session:
        assert session.scalar(select(func.count()).select_from(AuditEventRow)) == 9


def test_what_is_young_unsealed_or_not_proven_outside_stays(trail: Trail) -> None:
    nothing = archive.take_out(trail.owner, trail.heads, trail.folder, NOW, LATER)
    assert nothing == ()
    with trail.service.begin() as session:
        assert archive.due(session, CUT, proven_to=5)[-1].first == 0
    trail.jump(20)
    with trail.service.begin() as session:
        audit.record(session, EVENT, NOW)  # not sealed
    assert trail.take_out() == ()


def test_the_role_of_the_service_can_take_nothing_out(trail: Trail) -> None:
    with pytest.raises(ProgrammingError, match="must be owner"):
        archive.take_out(trail.service, trail.heads, trail.folder, CUT, LATER)
    with trail.service.begin() as session:
        assert session.scalar(select(func.count()).select_from(AuditEventRow)) == 9


def test_a_crash_before_the_drop_leaves_everything_and_the_next_run_ends_it(
    trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(archive.audit, "record", crash)
        with pytest.raises(KeyboardInterrupt):
            trail.take_out()
    assert trail.codes() == set()
    assert len(trail.take_out()) == 2
    trail.seal()
    assert trail.codes(trail.folder) == set()
