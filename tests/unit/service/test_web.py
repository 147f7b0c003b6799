import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

import pytest
from starlette.testclient import TestClient

from service import web
from service.checks import Check
from service.errors import SettingsInvalid
from service.overview import AuditOverview, OpenJob, Overview
from service.runstate import PartState, PartStatus
from service.status import Health, Source, Status
from service.values import JobState, StudyState

NOW = datetime(2026, 11, 21, 22, 0, tzinfo=UTC)
JOB = UUID("6ef62300-1123-465a-adb8-dec1d2b8f2a0")


def a_status() -> Status:
    return Status(
        looked_at=NOW,
        installation_id="abc",
        health=Health.DEGRADED,
        faults=("pacs: <b>ORTHANC</b> does not answer",),
        parts=(PartStatus("listen", PartState.READY, None, NOW - timedelta(minutes=5), 2),),
        checks=(Check("disk", is_well=True, words="80 GB free"),),
        overview=Overview(
            studies={state.value: 3 for state in StudyState},
            jobs={state.value: 2 for state in JobState},
            oldest_open_at=NOW - timedelta(hours=3),
            open_jobs=(
                OpenJob(JOB, JobState.SENDING, NOW - timedelta(hours=3), is_late=True, why="x"),
            ),
            late=1,
            audit=AuditOverview(sealed=41, unsealed=1),
        ),
    )


class FakeSource:
    """A source with an answer ready."""

    def __init__(self) -> None:
        self.fault = ""
        self.breaks = False

    def database_fault(self) -> str:
        return self.fault

    def look(self, now: datetime) -> Status:  # noqa: ARG002
        if self.breaks:
            raise RuntimeError("Mustermann^Erika")
        return a_status()


@pytest.fixture
def source() -> FakeSource:
    return FakeSource()


@pytest.fixture
def client(source: FakeSource) -> Iterator[TestClient]:
    app = web.application(cast("Source", source))
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as made:
        yield made


def test_it_is_alive_without_a_database_and_ready_only_with_one(
    client: TestClient, source: FakeSource
) -> None:
    assert client.get("/health/ready").status_code == 200
    source.fault = "does not answer"
    assert client.get("/health/live").status_code == 200
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert "does not answer" in answer.text


def test_the_page_loads_nothing_and_runs_nothing(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert not re.search(r"<script|src=|href=|url\(|@import", answer.text)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"


def test_the_page_shows_health_counts_and_faults_as_text(client: TestClient) -> None:
    page = client.get("/").text
    assert "degraded" in page
    assert "&lt;b&gt;ORTHANC&lt;/b&gt;" in page
    assert "41 events sealed" in page
    assert "DELIVERED" in page
    assert "3 h" in page


def test_the_status_as_json_is_whole_and_names_no_study(client: TestClient) -> None:
    told = client.get("/status.json").json()
    assert told["health"] == "degraded"
    assert told["installation_id"] == "abc"
    assert told["oldest_open_s"] == 3 * 3600
    assert told["overview"]["open_jobs"][0]["job_id"] == str(JOB)
    assert told["overview"]["late"] == 1
    assert "study_instance_uid" not in json.dumps(told)


def test_prometheus_can_read_the_metrics(client: TestClient) -> None:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "carina_health 1.0" in answer.text
    assert 'carina_jobs{state="DELIVERED"} 2.0' in answer.text
    assert 'carina_part_restarts{part="listen"} 2.0' in answer.text
    assert "carina_oldest_open_seconds 10800.0" in answer.text
    assert "carina_drafts_late 1.0" in answer.text


def test_a_broken_request_shows_none_of_its_insides(
    client: TestClient, source: FakeSource, capsys: pytest.CaptureFixture[str]
) -> None:
    source.breaks = True
    answer = client.get("/")
    assert answer.status_code == 500
    assert "Mustermann" not in answer.text


def test_a_page_elsewhere_cannot_point_its_own_name_at_us(client: TestClient) -> None:
    answer = client.get("/status.json", headers={"host": "evil.example"})
    assert answer.status_code == 400
    assert "abc" not in answer.text


def test_there_is_no_page_of_the_interface(client: TestClient) -> None:
    for path in ("/docs", "/openapi.json", "/redoc"):
        assert client.get(path).status_code == 404


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "::", "no-such-host.invalid"])
def test_any_address_but_the_loopback_is_refused_with_the_reason(host: str) -> None:
    with pytest.raises(SettingsInvalid, match="CARINA_WEB_HOST"):
        web.require_loopback(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2"])
def test_the_loopback_is_served(host: str) -> None:
    web.require_loopback(host)
