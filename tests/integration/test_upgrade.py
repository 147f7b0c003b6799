"""Old and new code side by side on one database: who may go on, who is refused, and why."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from alembic import command
from postgres import DatabaseUrls, Postgres
from sqlalchemy import create_engine, text

from service.db import migrate
from service.db.engine import Database
from service.errors import DatabaseNotMigrated, UpgradeRefused

pytestmark = pytest.mark.integration

COLUMNS = text("""
    SELECT table_name, column_name, is_nullable = 'YES' OR column_default IS NOT NULL
        OR is_identity = 'YES'
    FROM information_schema.columns WHERE table_schema = 'public'
""")


@pytest.fixture
def old(postgres: Postgres) -> Iterator[DatabaseUrls]:
    """A database as the release before several destinations left it."""
    urls = postgres.create_database()
    bring(urls, "0003")
    yield urls
    postgres.drop_database(urls.name)


def bring(urls: DatabaseUrls, revision: str) -> None:
    engine = create_engine(urls.owner)
    with engine.begin() as connection:
        command.upgrade(migrate._config(connection), revision)
    engine.dispose()


def run(urls: DatabaseUrls, statement: str, **values: object) -> list[tuple[object, ...]]:
    engine = create_engine(urls.owner)
    with engine.begin() as connection:
        result = connection.execute(text(statement), values)
        rows = [tuple(row) for row in result] if result.returns_rows else []
    engine.dispose()
    return rows


def alive(urls: DatabaseUrls, role: str, detail: str = "{}", ago_s: float = 0) -> None:
    seen = datetime.now(UTC) - timedelta(seconds=ago_s)
    run(
        urls,
        "INSERT INTO workers (name, role, process_id, started_at, seen_at, detail)"
        " VALUES (:name, :role, 1, :seen, :seen, CAST(:detail AS jsonb))",
        name=f"{role}@old:1",
        role=role,
        seen=seen,
        detail=detail,
    )


def revision_of(urls: DatabaseUrls) -> object:
    return run(urls, "SELECT version_num FROM alembic_version")[0][0]


def test_an_upgrade_waits_for_an_older_deliverer_and_changes_nothing(old: DatabaseUrls) -> None:
    alive(old, "deliver")
    with pytest.raises(UpgradeRefused, match=r"deliver@old:1 knows tables up to 0003"):
        migrate.upgrade(old.owner, old.service)
    assert revision_of(old) == "0003"


def test_older_listeners_and_processes_that_ended_hold_no_upgrade_up(old: DatabaseUrls) -> None:
    alive(old, "listen")
    alive(old, "deliver", ago_s=60)
    alive(old, "work", detail=f'{{"schema": "{migrate.head()}"}}')
    migrate.upgrade(old.owner, old.service)
    assert revision_of(old) == migrate.head()


def test_what_older_code_leaves_out_has_a_default(old: DatabaseUrls) -> None:
    before = run(old, str(COLUMNS))
    migrate.upgrade(old.owner, old.service)
    after = {(table, column): is_free for table, column, is_free in run(old, str(COLUMNS))}
    tables = {table for table, _, _ in before}
    assert {(table, column) for table, column, _ in before} <= set(after)
    new = set(after) - {(table, column) for table, column, _ in before}
    assert new  # something was added to tables that older code writes to
    assert [one for one in new if one[0] in tables and not after[one]] == []


def test_what_an_older_sweep_writes_is_read_by_a_newer_worker(old: DatabaseUrls) -> None:
    migrate.upgrade(old.owner, old.service)
    now = datetime.now(UTC)
    # The statements of the release at 0003, column by column.
    run(
        old,
        "INSERT INTO studies (study_instance_uid, state, first_received_at, last_received_at,"
        " quiet_until, revision, next_cause) VALUES ('1.2.3', 'CLOSED', :now, :now, :now, 1,"
        " 'NEW_STUDY')",
        now=now,
    )
    run(
        old,
        "INSERT INTO jobs (job_id, study_instance_uid, revision, cause, state, attempt, charged,"
        " delivery_attempts, next_attempt_at, queued_at, changed_at) VALUES"
        " (gen_random_uuid(), '1.2.3', 1, 'NEW_STUDY', 'QUEUED', 0, 0, 0, :now, :now, :now)",
        now=now,
    )
    from service import jobs  # noqa: PLC0415  (beside its use: the newer side)

    database = Database(old.service)
    with database.begin() as session:
        claimed = jobs.claim(session, "new", 4, datetime.now(UTC), timedelta(seconds=60))
    database.dispose()
    assert [job.study_instance_uid for job, _ in claimed] == ["1.2.3"]


@pytest.mark.parametrize(
    ("knows", "role", "is_welcome"),
    [
        ("0003", "listen", True),
        ("0003", "deliver", False),
        ("0006", "work", False),
        ("0007", "work", True),
        ("0007", None, True),
        ("0006", None, False),
    ],
)
def test_an_older_process_begins_where_the_newer_tables_take_it(
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    knows: str,
    role: str | None,
    is_welcome: bool,
) -> None:
    monkeypatch.setattr(migrate, "head", lambda: knows)
    if is_welcome:
        migrate.check(database, role)
        return
    with pytest.raises(DatabaseNotMigrated, match="start the newer version"):
        migrate.check(database, role)


def test_tables_of_which_nobody_says_what_they_take_take_no_older_process(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = postgres.create_database()
    bring(urls, "head")
    monkeypatch.setattr(migrate, "head", lambda: "0003")
    database = Database(urls.owner)
    with pytest.raises(DatabaseNotMigrated):
        migrate.check(database, "listen")
    database.dispose()
    postgres.drop_database(urls.name)
