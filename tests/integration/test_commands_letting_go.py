"""`carina purge` and `carina audit archive`, run as an operator runs them, on a real database."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from postgres import DatabaseUrls
from rows import LEASE, NOW, QUIET, an_encoded_job
from sqlalchemy import create_engine, func, pool, select, text

from service import audit, cli, consignments, jobs
from service.consignments import Outbox
from service.db import partitions
from service.db.engine import Database
from service.db.tables import AuditEventRow, StudyRow
from service.seal import Sealer
from service.values import AuditEvent, EventType, JobState

pytestmark = pytest.mark.integration

SPAN = 500_000
EVENT = AuditEvent(EventType.STUDY_CLOSED, "U", 0, "carina", study_instance_uid="1.2.3")
Carina = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def carina(database_urls: DatabaseUrls, tmp_path: Path) -> Carina:
    def run(*words: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        environment = {
            "PATH": os.defpath,
            "PYTHONPATH": str(Path.cwd()),
            "CARINA_DATABASE_URL": database_urls.service,
            **settings,
        }
        return subprocess.run(
            [sys.executable, "-m", "service", *words, "--data", str(tmp_path)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


def studies(database: Database) -> set[str]:
    with database.begin() as session:
        return set(session.scalars(select(StudyRow.study_instance_uid)))


def files(home: Path, study: str) -> list[Path]:
    return [path for path in home.rglob("*.dcm") if path.name.startswith(f"{study}.")]


def two_old_studies(database: Database, home: Path) -> None:
    """Leave 1.2.4 in shadow, which needs no proof, and 1.2.5 on its way."""
    an_encoded_job(database, home, study="1.2.4")
    with database.begin() as session:
        outbox = Outbox(home / "results")
        found = consignments.claim(session, "sender", NOW + QUIET, LEASE, outbox)
        assert found is not None
        jobs.move(session, found[1], JobState.SHADOW, NOW + QUIET)
    an_encoded_job(database, home, study="1.2.5")


def test_purge_without_a_time_to_keep_says_so_and_lets_nothing_go(
    carina: Carina, database: Database, tmp_path: Path
) -> None:
    two_old_studies(database, tmp_path)
    for words in (("purge", "--dry-run"), ("purge",)):
        done = carina(*words)
        assert done.returncode == 0, done.stderr
        assert "CARINA_KEEP_STUDIES_DAYS is not set" in done.stdout
    assert studies(database) == {"1.2.4", "1.2.5"}


def test_purge_says_what_would_go_then_lets_go_of_that_alone(
    carina: Carina, database: Database, tmp_path: Path
) -> None:
    two_old_studies(database, tmp_path)
    said = json.loads(carina("purge", "--dry-run", "--json", CARINA_KEEP_STUDIES_DAYS="30").stdout)
    assert said.pop("would_go") == 1
    assert list(said.values()) == [1]
    assert all(reason.startswith("stay: ") for reason in said)
    assert studies(database) == {"1.2.4", "1.2.5"}
    assert files(tmp_path, "1.2.4")

    done = carina("purge", CARINA_KEEP_STUDIES_DAYS="30")
    assert done.returncode == 0, done.stderr
    assert "studies: 1" in done.stdout.splitlines()
    assert studies(database) == {"1.2.5"}
    assert files(tmp_path, "1.2.4") == []
    assert files(tmp_path, "1.2.5")
    with database.begin() as session:
        purged = select(AuditEventRow.study_instance_uid).where(
            AuditEventRow.event_type == EventType.STUDY_PURGED
        )
        assert session.scalars(purged).all() == ["1.2.4"]


@pytest.fixture
def trail(database: Database, database_urls: DatabaseUrls, tmp_path: Path) -> Path:
    """Give a trail with one full old partition; return the folder that archives go to."""
    heads = tmp_path / "audit" / "heads.jsonl"
    for first in (0, SPAN):
        superuser = create_engine(database_urls.superuser, poolclass=pool.NullPool)
        with superuser.begin() as connection:
            connection.execute(text(f"SELECT setval('audit_events_id_seq', {first + 10})"))
        with database.begin() as session:
            audit.record(session, EVENT, NOW)
            audit.record(session, EVENT, NOW)
        Sealer(database, heads).seal_once(NOW)
    return tmp_path / "audit" / "archive"


def events(database: Database) -> int:
    with database.begin() as session:
        return session.scalar(select(func.count()).select_from(AuditEventRow)) or 0


def test_an_old_part_of_the_trail_is_taken_out_and_both_still_verify(
    carina: Carina,
    database: Database,
    database_urls: DatabaseUrls,
    trail: Path,
    tmp_path: Path,
) -> None:
    owner = {"CARINA_DATABASE_OWNER_URL": database_urls.owner}
    done = carina("audit", "archive", "--older-than-days", "60", **owner)
    assert done.returncode == 0, done.stderr
    (taken,) = trail.glob("*.jsonl")
    assert f"{taken}: 2 events, SHA-256 " in done.stdout
    assert events(database) == 3  # two of the new part, and that this one went
    again = carina("audit", "archive", "--older-than-days", "60", **owner)
    assert "No part is old and full enough." in again.stdout
    with database.begin() as session:
        names = [one.first for one in partitions.all_of(session)]
    assert 0 not in names

    Sealer(database, tmp_path / "audit" / "heads.jsonl").seal_once(NOW)
    told = json.loads(carina("audit", "verify", "--archives", str(trail), "--json").stdout)
    assert (told["is_intact"], told["archived"]) == (True, 2)
    taken.write_text(taken.read_text().replace("carina", "nobody"))
    broken = carina("audit", "verify", "--archives", str(trail))
    assert broken.returncode == 1
    assert "ARCHIVE_CHANGED" in broken.stdout


def test_the_role_of_the_service_is_told_that_it_may_not(
    carina: Carina, database: Database, trail: Path
) -> None:
    done = carina("audit", "archive", "--older-than-days", "60")
    assert done.returncode == cli.FAILED
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()
    assert events(database) == 4
    assert trail.exists()


def test_what_is_younger_than_a_month_is_never_taken_out(
    carina: Carina, database: Database
) -> None:
    done = carina("audit", "archive", "--older-than-days", "3")
    assert done.returncode == 2
    assert events(database) == 0
