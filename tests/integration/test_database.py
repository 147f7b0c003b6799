import re
from pathlib import Path

import pytest
from postgres import DatabaseUrls, Postgres, running
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from service.db import migrate
from service.db.engine import Database, check_durable
from service.db.tables import Base
from service.errors import DatabaseNotDurable, DatabaseNotMigrated

pytestmark = pytest.mark.integration


def test_migrating_twice_changes_nothing(database_urls: DatabaseUrls) -> None:
    migrate.upgrade(database_urls.owner, database_urls.service)
    database = Database(database_urls.service)
    migrate.check(database)
    database.dispose()


def test_the_tables_in_code_are_those_the_migrations_make(database_urls: DatabaseUrls) -> None:
    migrate.differences(database_urls.owner)


CATALOGUE = text("""
    SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL
    SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
    UNION ALL
    SELECT table_name || ' ' || column_name || ' ' || data_type || ' ' || is_nullable
        || coalesce(' ' || column_default, '')
    FROM information_schema.columns WHERE table_schema = 'public'
""")


def test_conditions_of_indexes_and_columns_are_those_in_code_too(
    database_urls: DatabaseUrls, postgres: Postgres
) -> None:
    # Alembic's comparison looks at names and columns only.
    by_code = postgres.create_database()
    catalogues = []
    for urls, make in ((database_urls, False), (by_code, True)):
        database = Database(urls.owner)
        if make:
            Base.metadata.create_all(database.engine)
        with database.begin() as session:
            rows = set(session.scalars(CATALOGUE))
        # The parent of the partitions speaks for them.
        other = re.compile(r"alembic_version|_000\d{12}")
        catalogues.append({row for row in rows if not other.search(row)})
        database.dispose()
    postgres.drop_database(by_code.name)
    assert len(catalogues[0]) > 100
    assert catalogues[0] == catalogues[1]


def test_the_file_head_names_the_newest_migration() -> None:
    newest = max(path.name for path in Path("migrations/versions").glob("[0-9]*.py"))
    assert newest.startswith(f"{migrate.head()}_")


def test_an_empty_database_is_refused_with_the_command_that_helps(postgres: Postgres) -> None:
    urls = postgres.create_database()
    database = Database(urls.owner)
    with pytest.raises(DatabaseNotMigrated, match="carina db upgrade"):
        migrate.check(database)
    database.dispose()
    postgres.drop_database(urls.name)


def test_one_role_may_own_and_serve(postgres: Postgres) -> None:
    urls = postgres.create_database()
    migrate.upgrade(urls.owner, urls.owner)
    database = Database(urls.owner)
    migrate.check(database)
    database.dispose()
    postgres.drop_database(urls.name)


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes", "synchronous_commit"])
def test_a_server_that_could_lose_a_commit_is_refused(tmp_path: Path, setting: str) -> None:
    with running(tmp_path, (f"{setting}=off",)) as server:
        urls = server.create_database()
        with pytest.raises(DatabaseNotDurable, match=setting):
            migrate.upgrade(urls.owner, urls.service)


def test_a_durable_server_is_accepted(database: Database) -> None:
    check_durable(database)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET user_id = 'x'",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
        "UPDATE audit_seals SET chain_sha256 = 'x'",
        "DELETE FROM audit_seals",
        "TRUNCATE audit_seals",
        "ALTER TABLE audit_events DISABLE TRIGGER ALL",
        "DROP TABLE audit_events",
        "UPDATE alembic_version SET version_num = 'x'",
    ],
)
def test_the_role_of_the_service_cannot_touch_what_is_written(
    database: Database, statement: str
) -> None:
    with pytest.raises(ProgrammingError), database.begin() as session:
        session.execute(text(statement))


@pytest.mark.parametrize("statement", ["UPDATE audit_events SET user_id = 'x'"])
def test_even_the_owner_meets_the_triggers_first(
    database_urls: DatabaseUrls, statement: str
) -> None:
    owner = Database(database_urls.owner)
    with pytest.raises(ProgrammingError, match="append-only"), owner.begin() as session:
        session.execute(text(statement))
    owner.dispose()


def test_an_error_of_the_database_never_shows_the_values(database: Database) -> None:
    with pytest.raises(ProgrammingError) as caught, database.begin() as session:
        session.execute(text("SELECT :name FROM no_such_table"), {"name": "DOE^JOHN"})
    assert "DOE^JOHN" not in str(caught.value)
