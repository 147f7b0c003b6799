"""What the status says about a real database, and how it judges."""

import dataclasses
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from postgres import DatabaseUrls, Postgres
from pydantic import SecretStr
from sqlalchemy import select

from service import asking, audit, runstate, status
from service.checks import Check
from service.db.engine import Database
from service.db.outbox_tables import LineRow
from service.db.tables import JobRow, StudyRow
from service.db.withdrawal_tables import RetirementRow
from service.destinations import Standing, Switch
from service.processes import identify
from service.replaced import RetirementState
from service.runstate import PartState, PartStatus, Phase, RunState
from service.settings import Settings
from service.status import Health, Source
from service.values import AuditEvent, EventType, JobState, StudyState

pytestmark = pytest.mark.integration

NOW = datetime(2026, 11, 21, 22, 0, tzinfo=UTC)


@pytest.fixture
def settings(
    database_urls: DatabaseUrls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    # The broker has a test of its own; here it is there.
    monkeypatch.setattr(
        status.checks, "broker", lambda _: Check("broker", is_well=True, words="here")
    )
    return Settings(home=tmp_path, database_url=SecretStr(database_urls.service), disk_reserve_mb=1)


@pytest.fixture
def source(settings: Settings) -> Iterator[Source]:
    with Source(settings) as opened:
        yield opened


def add_job(database: Database, state: JobState, queued_at: datetime, reason: str = "") -> None:
    uid = f"1.2.{uuid4().int % 10**12}"
    with database.begin() as session:
        session.add(
            StudyRow(
                study_instance_uid=uid,
                state=StudyState.CLOSED.value,
                first_received_at=queued_at,
                last_received_at=queued_at,
                quiet_until=queued_at,
            )
        )
        session.flush()
        session.add(
            JobRow(
                job_id=uuid4(),
                study_instance_uid=uid,
                revision=1,
                cause="NEW_STUDY",
                state=state.value,
                next_attempt_at=queued_at,
                queued_at=queued_at,
                changed_at=queued_at,
                reason=reason or None,
            )
        )


def test_an_idle_installation_is_healthy(source: Source) -> None:
    found = source.look(NOW)
    assert found.faults == ()
    assert found.health is Health.HEALTHY
    assert set(found.overview.jobs) == set(JobState)


def test_counts_by_state_and_the_oldest_open_draft(source: Source, database: Database) -> None:
    add_job(database, JobState.QUEUED, NOW - timedelta(seconds=40))
    add_job(database, JobState.SENDING, NOW - timedelta(seconds=90), "the archive is down")
    add_job(database, JobState.DELIVERED, NOW - timedelta(hours=2))
    add_job(database, JobState.DELIVERED, NOW - timedelta(days=9))
    found = source.look(NOW)
    assert found.overview.jobs["DELIVERED"] == 1, "what ended long ago is not counted"
    assert found.overview.jobs["QUEUED"] == 1
    assert found.overview.oldest_open_at == NOW - timedelta(seconds=90)
    whys = [job.why for job in found.overview.open_jobs]
    assert whys == ["being sent; the archive is down", "waiting for a worker"]
    assert found.health is Health.HEALTHY


def test_a_late_draft_degrades_and_says_why(source: Source, database: Database) -> None:
    add_job(database, JobState.SENDING, NOW - timedelta(hours=1), "the archive is down")
    found = source.look(NOW)
    assert found.health is Health.DEGRADED
    assert found.faults == ("1 drafts are late; the oldest: being sent; the archive is down",)


def test_what_an_archive_did_not_retire_degrades_until_it_has_gone(
    source: Source, database: Database
) -> None:
    for _ in range(3):
        add_job(database, JobState.DELIVERED, NOW - timedelta(days=40))
    ended = (RetirementState.FAILED, RetirementState.FAILED, RetirementState.DELETED)
    with database.begin() as session:
        jobs = session.scalars(select(JobRow.job_id)).all()
        for job_id, state in zip(jobs, ended, strict=True):
            session.add(
                RetirementRow(
                    job_id=job_id,
                    destination="old-pacs",
                    successor_job_id=jobs[0],
                    state=state.value,
                    next_attempt_at=NOW,
                    opened_at=NOW,
                )
            )
    found = source.look(NOW)
    (standing,) = (one for one in found.overview.destinations if one.name == "old-pacs")
    assert standing.not_retired == 2
    words = "old-pacs: old objects of 2 drafts are still there, a person must act"
    assert found.faults == (words,)


def test_a_destination_that_rests_degrades_and_the_lanes_are_shown(
    source: Source, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    add_job(database, JobState.QUEUED, NOW - timedelta(seconds=40))
    with database.begin() as session:
        session.add(LineRow(destination="pacs", resting_since=NOW - timedelta(seconds=90)))
    found = source.look(NOW)
    pacs = Standing("pacs", "A@h:1", "auto", Switch.OPEN, 3, 0, 1, 0, NOW, None, "")
    assert found.overview.destinations == ()  # it owes nothing and is not configured here
    resting = dataclasses.replace(pacs, resting_since=NOW - timedelta(seconds=90))
    seen = dataclasses.replace(found.overview, destinations=(resting,))
    asking.show(dataclasses.replace(found, overview=seen).as_dict())
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "routine 1 40 s -" in lines
    assert "pacs rests since 90 s 3 1 -" in lines
    (fault,) = status._faults_of_overview(seen, NOW)
    assert fault == "pacs: rests since its line kept breaking; 3 drafts wait"


def test_events_that_nobody_seals_degrade(source: Source, database: Database) -> None:
    event = AuditEvent(EventType.STUDY_VIEWED, "R", 0, "root")
    with database.begin() as session:
        audit.record(session, event, NOW - timedelta(minutes=5))
    found = source.look(NOW)
    assert found.overview.audit.unsealed == 1
    assert found.health is Health.DEGRADED
    with database.begin() as session:
        audit.record(session, event, NOW)


def test_without_its_database_it_is_down(settings: Settings) -> None:
    url = SecretStr("postgresql+psycopg://carina:x@127.0.0.1:1/carina")
    with Source(settings.model_copy(update={"database_url": url})) as source:
        found = source.look(NOW)
        assert found.health is Health.DOWN
        assert "database" in found.faults[0]
        assert source.database_fault() != ""


def test_tables_that_were_never_made_are_down_with_the_remedy(
    settings: Settings, postgres: Postgres
) -> None:
    empty = postgres.create_database()
    url = SecretStr(empty.superuser)
    with Source(settings.model_copy(update={"database_url": url})) as source:
        assert "carina db upgrade" in source.database_fault()
    postgres.drop_database(empty.name)


def test_a_part_that_does_not_run_degrades_and_a_dead_supervisor_is_down(
    settings: Settings, source: Source
) -> None:
    here = identify(os.getpid())
    assert here is not None
    parts = (PartStatus("work", PartState.BACKING_OFF, fault="ended by SIGKILL"),)
    state = RunState("id", here, NOW, Phase.RUNNING, parts)
    runstate.write(settings.home, state)
    found = source.look(NOW)
    assert found.health is Health.DEGRADED
    assert found.faults == ("work: backing off, ended by SIGKILL",)
    dead = dataclasses.replace(here, start_ticks=here.start_ticks - 1)
    runstate.write(settings.home, dataclasses.replace(state, supervisor=dead))
    assert source.look(NOW).health is Health.DOWN


def test_a_pacs_that_does_not_answer_degrades_and_is_not_asked_every_time(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def ask(_: Settings) -> Check:
        asked.append(1)
        return Check("pacs", is_well=False, words="no answer")

    monkeypatch.setattr(status.checks, "pacs", ask)
    assert source.look(NOW).health is Health.DEGRADED
    assert source.look(NOW).faults == ("pacs: no answer",)
    assert len(asked) == 1
