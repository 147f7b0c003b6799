"""Replay and comparison against a real database, with stand-ins for the networks."""

import json
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from postgres import DatabaseUrls
from sqlalchemy import func, select
from ward import Ward, a_film

from models.fakes import FakeEye, Planted
from models.vocabulary import Observation
from service.db.engine import Database
from service.db.tables import AuditEventRow, InstanceRow, JobRow, ResultRow, StudyRow
from service.values import EventType, JobCause, JobState, Lane
from workers import nets, replaying

pytestmark = pytest.mark.integration

MASS = FakeEye(planted=(Planted(Observation.MASS),))
MINUTE = timedelta(minutes=1)


@pytest.fixture
def ward(
    database: Database,
    database_urls: DatabaseUrls,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Ward:
    monkeypatch.setenv("CARINA_HOME", str(tmp_path))
    monkeypatch.setenv("CARINA_DATABASE_URL", database_urls.service)
    monkeypatch.setenv("CARINA_BROKER_URL", "redis://127.0.0.1:1/0")
    return Ward(database, tmp_path)


def rows(ward: Ward) -> dict[str, int]:
    with ward.database.begin() as session:
        return {
            each.__tablename__: session.scalar(select(func.count()).select_from(each)) or 0
            for each in (StudyRow, InstanceRow, JobRow, ResultRow)
        }


def files(ward: Ward) -> set[Path]:
    return set(ward.home.rglob("*"))


def compared(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the objects that were printed; the log of the worker is there too."""
    lines = capsys.readouterr().out.splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def events(ward: Ward, event_type: EventType) -> list[AuditEventRow]:
    with ward.database.begin() as session:
        asked = select(AuditEventRow).where(AuditEventRow.event_type == event_type.value)
        return list(session.scalars(asked))


def newest(ward: Ward) -> list[JobRow]:
    with ward.database.begin() as session:
        asked = select(JobRow).where(JobRow.state == JobState.QUEUED.value)
        return list(session.scalars(asked.order_by(JobRow.study_instance_uid)))


def test_a_study_read_in_shadow_by_the_same_eye_says_the_same(
    ward: Ward, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = ward.queue(a_film("one"))
    ward.analyse()
    monkeypatch.setattr(nets, "load", lambda _: FakeEye())
    replaying.replay(job.study_instance_uid, shadow=True, as_json=True)
    (one,) = compared(capsys)
    assert one["study_instance_uid"] == job.study_instance_uid
    assert one["changes"] == []


def test_another_bundle_in_shadow_is_compared_and_leaves_nothing_but_its_trace(
    ward: Ward, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = ward.queue(a_film("one"))
    ward.analyse()
    asked_for: list[str] = []
    monkeypatch.setattr(nets, "load", lambda asked: asked_for.append(asked.anatomy_bundle) or MASS)
    before = rows(ward), files(ward)
    replaying.replay(job.study_instance_uid, bundle="newer", shadow=True, as_json=True)
    assert asked_for == ["newer"]
    assert (rows(ward), files(ward)) == before
    assert ward.state(job) is JobState.ENCODED
    (one,) = compared(capsys)
    what = Counter((each["subject"], each["what"]) for each in one["changes"])
    assert what[("finding", "appeared")] == 1
    (trace,) = events(ward, EventType.REPLAY_COMPARED)
    assert trace.study_instance_uid == job.study_instance_uid
    assert trace.detail["changes"] == len(one["changes"])


def test_only_a_shadow_may_read_with_another_bundle(ward: Ward) -> None:
    job = ward.queue(a_film("one"))
    with pytest.raises(typer.BadParameter, match="--shadow"):
        replaying.replay(job.study_instance_uid, bundle="newer")
    with pytest.raises(typer.BadParameter, match="either"):
        replaying.replay()


def test_all_studies_of_a_time_are_read_again_behind_what_comes_in(
    ward: Ward, capsys: pytest.CaptureFixture[str]
) -> None:
    early = ward.queue(a_film("one"))
    ward.analyse()
    ward.clock.turn(3600)
    began = ward.clock.now
    late = [ward.queue(a_film(name)) for name in ("two", "three")]
    ward.analyse()
    ward.analyse()
    replaying.replay(since=naive(began), until=naive(ward.clock.now + MINUTE))
    said = capsys.readouterr().out
    assert early.study_instance_uid not in said
    again = newest(ward)
    assert {job.study_instance_uid for job in again} == {job.study_instance_uid for job in late}
    assert {(job.cause, job.lane) for job in again} == {(JobCause.REPLAY.value, Lane.BACKFILL)}


def test_two_kept_readings_of_a_study_are_compared(
    ward: Ward, capsys: pytest.CaptureFixture[str]
) -> None:
    job = ward.queue(a_film("one"))
    ward.analyse()
    replaying.compare(job.study_instance_uid)
    assert "0 studies compared" in capsys.readouterr().out
    replaying.replay(job.study_instance_uid)
    capsys.readouterr()
    ward.eye = lambda: MASS
    ward.clock.now = newest(ward)[0].queued_at + MINUTE
    ward.analyse()
    replaying.compare(job.study_instance_uid)
    told = capsys.readouterr().out
    assert "1 studies compared, 0 say the same" in told
    assert "appeared" in told
    assert len(events(ward, EventType.REPLAY_COMPARED)) == 1


def naive(moment: datetime) -> datetime:
    """Return what the command line makes of a time."""
    return moment.replace(tzinfo=None)
