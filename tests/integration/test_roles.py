"""The roles in the database: the script that makes them, and finding one that may too much."""

from pathlib import Path

import psycopg
import pytest
from postgres import DatabaseUrls, Postgres
from pydantic import SecretStr
from sqlalchemy.exc import ProgrammingError

from service import checks_security
from service.db import migrate, roles
from service.db.engine import Database
from service.settings import Settings

pytestmark = pytest.mark.integration


def role_of(url: str) -> roles.Role:
    database = Database(url)
    try:
        with database.begin() as session:
            return roles.current(session)
    finally:
        database.dispose()


def as_superuser(postgres: Postgres, urls: DatabaseUrls, statement: str) -> None:
    with postgres.connect("postgres", urls.name) as connection:
        connection.execute(statement)  # type: ignore[call-overload]  # a literal of this file


def test_the_role_of_the_service_may_add_and_no_more(database_urls: DatabaseUrls) -> None:
    role = role_of(database_urls.service)
    assert role.name == "carina"
    assert role.faults == ()
    assert {"audit_events", "audit_seals", "audit_events_000000000000000"} <= {
        one.table for one in role.tables
    }


def test_an_owner_that_serves_is_found(database_urls: DatabaseUrls) -> None:
    assert "carina_owner owns audit_events" in role_of(database_urls.owner).faults


def test_a_superuser_that_serves_is_found(database_urls: DatabaseUrls) -> None:
    assert "postgres is a superuser" in role_of(database_urls.superuser).faults


@pytest.mark.parametrize("right", ["UPDATE", "DELETE", "TRUNCATE", "TRIGGER"])
def test_a_right_too_many_is_found_and_taken_away_by_the_next_upgrade(
    postgres: Postgres, database_urls: DatabaseUrls, right: str
) -> None:
    as_superuser(postgres, database_urls, f"GRANT {right} ON audit_events TO carina")
    assert role_of(database_urls.service).faults == (f"carina may {right} on audit_events",)
    migrate.upgrade(database_urls.owner, database_urls.service)
    assert role_of(database_urls.service).faults == ()


def test_a_right_given_to_everybody_is_found_too(
    postgres: Postgres, database_urls: DatabaseUrls
) -> None:
    as_superuser(postgres, database_urls, "GRANT UPDATE ON audit_seals TO PUBLIC")
    assert role_of(database_urls.service).faults == ("carina may UPDATE on audit_seals",)


def test_a_right_to_one_column_is_found_too(
    postgres: Postgres, database_urls: DatabaseUrls
) -> None:
    as_superuser(postgres, database_urls, "GRANT UPDATE (user_id) ON audit_events TO carina")
    assert role_of(database_urls.service).faults == ("carina may UPDATE on audit_events",)


def test_the_service_cannot_grant_itself_what_it_lacks(database_urls: DatabaseUrls) -> None:
    database = Database(database_urls.service)
    for statement in (
        "GRANT UPDATE ON audit_events TO carina",
        "ALTER TABLE audit_events OWNER TO carina",
        "SET ROLE carina_owner",
        "CREATE TABLE elsewhere (id int)",
    ):
        with database.engine.connect() as connection:
            try:
                connection.exec_driver_sql(statement)
            except ProgrammingError:
                continue
            connection.rollback()
        assert role_of(database_urls.service).faults == (), statement
    database.dispose()


def test_the_script_makes_roles_that_upgrade_and_serve(postgres: Postgres) -> None:
    names = {"carina_owner": "scripted_owner", "carina": "scripted"}
    script = roles.SCRIPT.replace("carina_owner", names["carina_owner"]).replace(
        " carina;", " scripted;"
    )
    script = script.replace("ROLE carina ", "ROLE scripted ").replace(
        "DATABASE carina", "DATABASE scripted"
    )
    statements = [
        " ".join(line for line in part.splitlines() if not line.startswith("--")).strip()
        for part in script.split(";\n")
    ]
    with postgres.connect("postgres", "postgres") as connection:
        for statement in filter(None, statements):
            connection.execute(statement)  # type: ignore[call-overload]
        for role in names.values():
            connection.execute(f"ALTER ROLE {role} PASSWORD 'only-for-tests'")  # type: ignore[call-overload]
    at = f"127.0.0.1:{postgres.port}/scripted"
    owner, service = (f"postgresql+psycopg://{role}:only-for-tests@{at}" for role in names.values())
    migrate.upgrade(owner, service)
    assert role_of(service).faults == ()
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        postgres.connect("carina", "scripted")
    postgres.drop_database("scripted")


def test_check_says_what_is_wrong_with_role_and_certificates(
    database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    settings = Settings(
        home=tmp_path,
        database_url=SecretStr(database_urls.owner),
        listener_tls_certificate=tmp_path / "missing.pem",
        listener_tls_key=tmp_path / "missing.key",
    )
    serves, role = checks_security.database(settings)
    assert serves.is_well
    assert not role.is_well
    assert "owns audit_events" in role.words
    files = checks_security.certificates(settings)
    assert not files.is_well
    assert "missing.pem" in files.words


def test_check_is_content_with_the_role_of_the_service(
    database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, database_url=SecretStr(database_urls.service))
    assert all(one.is_well for one in checks_security.database(settings))
    assert checks_security.certificates(settings).is_well
