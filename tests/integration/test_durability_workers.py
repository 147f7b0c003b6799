"""A worker whose network takes its time to load, and one that is renewed after every task."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import brokers
import psutil
import pytest
from postgres import DatabaseUrls
from ward import Clock, Ward, a_film

from service.db.engine import Database
from service.dispatch import Bell
from service.settings import Settings
from service.sweep import Sweep
from service.values import Job, JobState

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

TESTS = Path(__file__).parents[1]
PATIENCE_S = 400.0
LOAD_S = 30.0
LEASE_S = 10.0


class RealClock(Clock):
    """Goes by itself."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)

    def __getattribute__(self, name: str) -> object:
        return datetime.now(UTC) if name == "now" else super().__getattribute__(name)

    def turn(self, seconds: float) -> None:
        time.sleep(seconds)


class Site:
    """One installation whose worker is a process and whose sweep the test turns."""

    def __init__(self, database: Database, url: str, broker: str, home: Path) -> None:
        self.ward = Ward(database, home, clock=RealClock())
        self.log = home / "worker.log"
        self.looks = home / "looks"
        self.environment = {
            "CARINA_HOME": str(home),
            "CARINA_DATABASE_URL": url,
            "CARINA_BROKER_URL": broker,
            "CARINA_QUIET_PERIOD_S": "0",
            "CARINA_LEASE_S": str(LEASE_S),
            "CARINA_RESULTS": "text",
            "CARINA_BATCH": "1",
            "LOOKS": str(self.looks),
            "PYTHONPATH": os.pathsep.join((str(TESTS.parent), str(TESTS))),
            "PATH": os.environ["PATH"],
        }
        values = {
            key.removeprefix("CARINA_").lower(): value
            for key, value in self.environment.items()
            if key.startswith("CARINA_")
        }
        self.settings = Settings.model_validate(values)

    @contextlib.contextmanager
    def worker(self, **marks: str) -> Iterator[None]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, str(TESTS / "stumbling_worker.py"), "gpu"],
                env={**self.environment, **marks},
                stdout=log,
                stderr=log,
            )
        try:
            yield
        finally:
            family = [*psutil.Process(process.pid).children(recursive=True), process]
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(60)
            for one in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
            process.wait()

    def until(self, is_done: Callable[[], bool]) -> None:
        """Turn the sweep, which rings for what is due, until something is true."""
        bell = Bell(self.settings)
        sweep = Sweep(self.ward.database, self.settings, bell)
        deadline = time.monotonic() + PATIENCE_S
        while not is_done():
            assert time.monotonic() < deadline, self.log.read_text(errors="replace")[-4000:]
            sweep.run_once(datetime.now(UTC))
            time.sleep(0.1)
        bell.close()

    def queue(self, *seeds: str) -> list[Job]:
        self.ward.receive(*(a_film(seed) for seed in seeds))
        return list(self.ward.close())

    def readers(self) -> list[str]:
        """Return the process id behind each film that was looked at."""
        return self.looks.read_text().split() if self.looks.exists() else []


@pytest.fixture
def site(database: Database, database_urls: DatabaseUrls, tmp_path: Path) -> Iterator[Site]:
    with brokers.running(tmp_path / "valkey") as broker:
        yield Site(database, database_urls.service, broker, tmp_path)


def test_a_network_that_takes_thirty_seconds_to_load_costs_no_job_its_lease(site: Site) -> None:
    jobs = site.queue("first", "second")
    with site.worker(LOAD_S=str(LOAD_S)):
        begun = time.monotonic()
        site.until(lambda: all(site.ward.state(job) is JobState.ENCODED for job in jobs))
        assert time.monotonic() - begun > LOAD_S > 2 * LEASE_S
    assert {site.ward.job(job).attempt for job in jobs} == {1}
    assert len(site.readers()) == len(jobs)
    assert len(set(site.readers())) == 1


def test_a_worker_renewed_after_every_task_loses_and_repeats_nothing(site: Site) -> None:
    jobs = site.queue("one", "two", "three")
    with site.worker(TASKS_PER_CHILD="1"):
        site.until(lambda: all(site.ward.state(job) is JobState.ENCODED for job in jobs))
    assert {site.ward.job(job).attempt for job in jobs} == {1}
    assert len(site.readers()) == len(jobs)
    assert len(set(site.readers())) > 1, "another process came"
