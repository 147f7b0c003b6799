"""The audit trail in partitions: moved there and back with what it holds, and guarded there too."""

from itertools import pairwise
from pathlib import Path

import pytest
from alembic import command
from postgres import DatabaseUrls, Postgres
from rows import NOW
from sqlalchemy import Engine, create_engine, func, pool, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError

from service import audit
from service.db import migrate, partitions
from service.db.engine import Database
from service.db.tables import AuditEventRow
from service.seal import Sealer
from service.values import AuditEvent, EventType
from service.verify import verify

pytestmark = pytest.mark.integration

SPAN = 500_000
EVENT = AuditEvent(
    EventType.STUDY_CLOSED, "U", 0, "carina", study_instance_uid="1.2.3", detail={"words": "größer"}
)


def engine(url: str) -> Engine:
    return create_engine(url, poolclass=pool.NullPool)


def record(database: Database, count: int = 1) -> None:
    with database.begin() as session:
        for _ in range(count):
            audit.record(session, EVENT, NOW)


def jump(urls: DatabaseUrls, to: int) -> None:
    """Let the next event have the number behind ``to``."""
    with engine(urls.superuser).begin() as connection:
        connection.execute(text("SELECT setval('audit_events_id_seq', :to)"), {"to": to})


def numbers(database: Database) -> list[int]:
    with database.begin() as session:
        return list(session.scalars(select(AuditEventRow.id).order_by(AuditEventRow.id)))


def to_revision(urls: DatabaseUrls, revision: str) -> None:
    with engine(urls.owner).begin() as connection:
        config = migrate._config(connection)
        if revision == "0007":
            command.downgrade(config, revision)
        else:
            command.upgrade(config, revision)


def test_events_go_on_in_the_next_partition(
    database: Database, database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    heads = tmp_path / "heads.jsonl"
    jump(database_urls, SPAN - 3)
    record(database, 4)
    Sealer(database, heads).seal_once(NOW)
    assert numbers(database) == [SPAN - 2, SPAN - 1, SPAN, SPAN + 1]
    with engine(database_urls.owner).connect() as connection:
        first, second, *_ = partitions.all_of(connection)
        for partition in (first, second):
            count = connection.execute(text(f"SELECT count(*) FROM {partition.name}"))
            assert count.scalar_one() == 2
    assert verify(database, heads, NOW).is_intact


def test_partitions_are_made_ahead_once(database: Database, database_urls: DatabaseUrls) -> None:
    with database.begin() as session:
        before = partitions.all_of(session)
        assert partitions.make_ahead(session) == 0
    jump(database_urls, 3 * SPAN)
    with database.begin() as session:
        assert partitions.make_ahead(session) == 3
        after = partitions.all_of(session)
    assert after[: len(before)] == before
    assert all(one.ends == other.first for one, other in pairwise(after))
    assert after[-1].ends > 7 * SPAN


def test_the_migration_goes_down_and_up_with_what_is_there(
    database: Database, database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    heads = tmp_path / "heads.jsonl"
    record(database, 3)
    jump(database_urls, SPAN + 10)
    record(database, 2)
    Sealer(database, heads).seal_once(NOW)
    expected = [1, 2, 3, SPAN + 11, SPAN + 12]
    database.dispose()
    to_revision(database_urls, "0007")
    owner = Database(database_urls.owner)
    assert numbers(owner) == expected
    report = verify(owner, heads, NOW)
    assert report.is_intact
    assert report.sealed == 5
    record(owner)
    assert numbers(owner) == [*expected, SPAN + 13]
    with pytest.raises(ProgrammingError, match="append-only"), owner.begin() as session:
        session.execute(text("DELETE FROM audit_events"))
    owner.dispose()
    migrate.upgrade(database_urls.owner, database_urls.service)
    record(database)
    assert numbers(database) == [*expected, SPAN + 13, SPAN + 14]
    Sealer(database, heads).seal_once(NOW)
    assert verify(database, heads, NOW).is_intact
    with database.begin() as session:
        assert partitions.all_of(session)[0].ends == 2 * SPAN


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO {part} SELECT * FROM audit_events",
        "UPDATE {part} SET user_id = 'x'",
        "DELETE FROM {part}",
        "TRUNCATE {part}",
        "DROP TABLE {part}",
        "ALTER TABLE audit_events DETACH PARTITION {part}",
        "ALTER TABLE {part} DISABLE TRIGGER ALL",
        "SELECT count(*) FROM {part}",
    ],
)
def test_the_service_cannot_reach_a_partition_but_through_the_trail(
    database: Database, statement: str
) -> None:
    record(database)
    with database.begin() as session:
        part = partitions.all_of(session)[0].name
    with pytest.raises(ProgrammingError), database.begin() as session:
        session.execute(text(statement.format(part=part)))
    assert numbers(database) == [1]


@pytest.mark.parametrize("statement", ["UPDATE {part} SET user_id = 'x'", "TRUNCATE {part}"])
@pytest.mark.parametrize("which", [0, 1])
def test_even_the_owner_meets_the_trigger_of_each_partition(
    database_urls: DatabaseUrls, statement: str, which: int
) -> None:
    owner = Database(database_urls.owner)
    with owner.begin() as session:
        part = partitions.all_of(session)[which].name
    with pytest.raises(ProgrammingError, match="append-only"), owner.begin() as session:
        session.execute(text(statement.format(part=part)))
    owner.dispose()


def test_a_trigger_that_is_off_on_one_partition_is_found(
    database: Database, database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    with database.begin() as session:
        part = partitions.all_of(session)[1].name
    with engine(database_urls.owner).begin() as connection:
        connection.execute(text(f"ALTER TABLE {part} DISABLE TRIGGER ALL"))
    (fault,) = verify(database, tmp_path / "heads.jsonl", NOW).faults
    assert (fault.code, part in fault.words) == ("TRIGGER_OFF", True)


def test_no_number_comes_twice_over_all_partitions(
    database: Database, database_urls: DatabaseUrls
) -> None:
    jump(database_urls, SPAN + 5)
    record(database)
    with pytest.raises(IntegrityError), engine(database_urls.owner).begin() as connection:
        connection.execute(
            text(
                "INSERT INTO audit_events (id, event_type, event_action_code,"
                " event_outcome_indicator, event_date_time, user_id, detail)"
                " OVERRIDING SYSTEM VALUE SELECT id, event_type, event_action_code,"
                " event_outcome_indicator, event_date_time, user_id, detail FROM audit_events"
            )
        )


def test_a_partition_is_made_while_others_write(
    database: Database, database_urls: DatabaseUrls
) -> None:
    jump(database_urls, 3 * SPAN)
    with database.begin() as writing:
        audit.record(writing, EVENT, NOW)
        with database.begin() as session:
            session.execute(text("SET LOCAL lock_timeout = '2s'"))
            assert partitions.make_ahead(session) > 0
    with database.begin() as session:
        assert session.scalar(select(func.count()).select_from(AuditEventRow)) == 1


def test_an_older_database_with_events_is_brought_up(postgres: Postgres, tmp_path: Path) -> None:
    urls = postgres.create_database()
    to_revision(urls, "0006")
    owner = Database(urls.owner)
    try:
        record(owner, 3)
        heads = tmp_path / "heads.jsonl"
        Sealer(owner, heads).seal_once(NOW)
        migrate.upgrade(urls.owner, urls.service)
        record(owner)
        assert numbers(owner) == [1, 2, 3, 4]
        assert not [one for one in verify(owner, heads, NOW).faults if one.code != "BACKLOG"]
    except DBAPIError as error:
        pytest.fail(str(error))
    finally:
        owner.dispose()
        postgres.drop_database(urls.name)
