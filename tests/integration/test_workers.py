"""Real Celery workers on a real broker: films that kill them, hang them, and come twice.

What depends on the broker is tried on both: Valkey, and RabbitMQ with quorum queues.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import brokers
import psutil
import pytest
import rabbitmq
import unreliable_archive
from postgres import DatabaseUrls
from pydicom.dataset import Dataset
from ward import Clock, Ward, a_film

from service.db.engine import Database
from service.dispatch import Bell
from service.settings import Settings
from service.sweep import Sweep
from service.values import Job, JobState

pytestmark = [pytest.mark.integration, pytest.mark.timeout(290)]

TESTS = Path(__file__).parents[1]
WORKER = TESTS / "stumbling_worker.py"
PATIENCE_S = 200.0
on_both_brokers = pytest.mark.parametrize("broker", ["valkey", "rabbitmq"], indirect=True)


class RealClock(Clock):
    """Goes by itself."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)

    def __getattribute__(self, name: str) -> object:
        return datetime.now(UTC) if name == "now" else super().__getattribute__(name)

    def turn(self, seconds: float) -> None:
        time.sleep(seconds)


@pytest.fixture(scope="module")
def broker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    name = getattr(request, "param", "valkey")
    folder = tmp_path_factory.mktemp(name)
    if name == "rabbitmq":
        if not rabbitmq.is_installed():
            pytest.skip("rabbitmq-server is not installed: `make system`")
        with rabbitmq.running(folder) as node:
            yield node.url
        return
    with brokers.running(folder) as url:
        yield url


@dataclass
class Site:
    """One installation with its broker; the sweep is turned by the test."""

    ward: Ward
    settings: Settings
    environment: Mapping[str, str]
    log: Path

    @contextlib.contextmanager
    def worker(self, queue: str, **marks: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Run a worker process until the block ends; it is asked to stop in good order."""
        ready = self.ward.home / f"{queue}-{time.monotonic_ns()}.ready"
        environment = {**self.environment, **marks, "CARINA_READY_FILE": str(ready),
                       "PYTHONFAULTHANDLER": "1"}  # fmt: skip
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, str(WORKER), queue], env=environment, stdout=log, stderr=log
            )
        try:
            self.wait_for(ready.exists)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired as error:
                process.send_signal(signal.SIGABRT)  # it says where each thread stands
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(5)
                end(process)
                raise AssertionError(self.log.read_text(errors="replace")[-8000:]) from error

    def wait_for(self, is_done: Callable[[], bool]) -> None:
        """Turn the sweep until something is true."""
        bell = Bell(self.settings)
        sweep = Sweep(self.ward.database, self.settings, bell)
        deadline = time.monotonic() + PATIENCE_S
        while not is_done():
            if time.monotonic() > deadline:
                raise AssertionError(self.log.read_text(errors="replace")[-4000:])
            sweep.run_once(datetime.now(UTC))
            time.sleep(0.05)
        bell.close()

    def queue(self, *films: Dataset) -> dict[str, Job]:
        """Take in one study per film and close them; nobody is rung yet."""
        self.ward.receive(*films)
        return {job.study_instance_uid: job for job in self.ward.close()}

    def ended(self, *jobs: Job) -> Callable[[], bool]:
        """Return a question: is every job past its reading?"""
        over = {JobState.ENCODED, JobState.FAILED, JobState.SKIPPED, JobState.DELIVERED}
        return lambda: all(self.ward.state(job) in over for job in jobs)


@pytest.fixture
def site(
    database: Database, database_urls: DatabaseUrls, broker: str, tmp_path: Path
) -> Iterator[Site]:
    environment = {
        "CARINA_HOME": str(tmp_path),
        "CARINA_DATABASE_URL": database_urls.service,
        "CARINA_BROKER_URL": broker,
        "CARINA_QUIET_PERIOD_S": "0",
        "CARINA_LEASE_S": "8",
        "CARINA_HARD_LIMIT_S": "60",
        "CARINA_MAX_ATTEMPTS": "2",
        "CARINA_RESULTS": "text",
        "PYTHONPATH": os.pathsep.join((str(TESTS.parent), str(TESTS))),
        "PATH": os.environ["PATH"],
    }
    settings = Settings.model_validate(
        {key.removeprefix("CARINA_").lower(): value for key, value in environment.items()}
    )
    clock = RealClock()
    ward = Ward(database, tmp_path, clock=clock)
    yield Site(ward, settings, environment, tmp_path / "worker.log")
    left = [one for one in psutil.Process().children(recursive=True) if WORKER.name in name(one)]
    assert left == []


def name(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def end(process: "subprocess.Popen[bytes]") -> None:
    """Kill a worker and its children."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
    process.kill()
    process.wait()


@on_both_brokers
def test_a_bell_makes_a_draft_and_another_delivers_it(site: Site) -> None:
    with unreliable_archive.running() as archive:
        site.environment = {**site.environment, "CARINA_PACS": str(archive.node)}
        with site.worker("gpu"), site.worker("pacs"):
            (job,) = site.queue(a_film("one")).values()
            started = time.monotonic()
            site.wait_for(lambda: site.ward.state(job) is JobState.DELIVERED)
            assert time.monotonic() - started < PATIENCE_S / 2
    assert len(archive.kept) == 1


@on_both_brokers
def test_a_film_that_kills_its_worker_fails_alone(site: Site) -> None:
    deadly = a_film("deadly")
    jobs = site.queue(deadly, a_film("good"), a_film("fine"))
    with site.worker("gpu", DEADLY=str(deadly.SOPInstanceUID)):
        site.wait_for(site.ended(*jobs.values()))
    poisoned = jobs.pop(str(deadly.StudyInstanceUID))
    row = site.ward.job(poisoned)
    assert (row.state, row.reason_code, row.charged) == (JobState.FAILED, "POISON", 2)
    assert {site.ward.state(job) for job in jobs.values()} == {JobState.ENCODED}


def test_a_film_that_hangs_its_worker_meets_the_hard_limit(site: Site) -> None:
    endless = a_film("endless")
    jobs = site.queue(endless, a_film("good"))
    short = {"STUBBORN": str(endless.SOPInstanceUID), "CARINA_HARD_LIMIT_S": "20"}
    with site.worker("gpu", **short):
        site.wait_for(site.ended(*jobs.values()))
    hung = jobs.pop(str(endless.StudyInstanceUID))
    assert site.ward.job(hung).reason_code == "POISON"
    assert {site.ward.state(job) for job in jobs.values()} == {JobState.ENCODED}


def test_a_film_that_takes_too_long_is_given_back_before_its_worker_is_killed(site: Site) -> None:
    endless = a_film("endless")
    jobs = site.queue(endless, a_film("good"))
    short = {"ENDLESS": str(endless.SOPInstanceUID), "CARINA_SOFT_LIMIT_S": "15"}
    with site.worker("gpu", **short):
        site.wait_for(site.ended(*jobs.values()))
    slow = jobs.pop(str(endless.StudyInstanceUID))
    row = site.ward.job(slow)
    assert (row.state, row.reason_code) == (JobState.FAILED, "SoftTimeLimitExceeded")
    assert "took longer than allowed" in str(row.reason)
    assert {site.ward.state(job) for job in jobs.values()} == {JobState.ENCODED}


@on_both_brokers
def test_a_worker_killed_at_work_loses_nothing(site: Site) -> None:
    endless = a_film("endless")
    (job,) = site.queue(endless).values()
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(site.worker("gpu", ENDLESS=str(endless.SOPInstanceUID)))
        site.wait_for(lambda: site.ward.job(job).charged == 1)
        end(first)
    with site.worker("gpu"):
        site.wait_for(site.ended(job))
    assert site.ward.state(job) is JobState.ENCODED


@on_both_brokers
def test_two_workers_and_many_bells_make_each_draft_once(site: Site) -> None:
    jobs = site.queue(*(a_film(f"film {number}") for number in range(6)))
    bell = Bell(site.settings)
    with site.worker("gpu"), site.worker("gpu"):
        for _ in range(4):
            assert bell.ring_analyse(job.job_id for job in jobs.values())
        site.wait_for(site.ended(*jobs.values()))
    bell.close()
    for job in jobs.values():
        assert site.ward.state(job) is JobState.ENCODED
        assert site.ward.events(job).count("results_encoded") == 1
        assert site.ward.job(job).attempt == 1


def test_a_worker_asked_to_stop_finishes_and_leaves(site: Site) -> None:
    with site.worker("gpu") as process:
        (job,) = site.queue(a_film("one")).values()
        site.wait_for(lambda: site.ward.job(job).attempt == 1)
        process.send_signal(signal.SIGTERM)
        site.wait_for(lambda: process.poll() is not None)
    assert process.returncode == 0
    assert site.ward.state(job) is JobState.ENCODED


def test_a_message_that_comes_as_its_worker_stops_does_not_hold_it(site: Site) -> None:
    (first,) = site.queue(a_film("one")).values()
    bell = Bell(site.settings)
    with site.worker("gpu") as process:
        site.wait_for(site.ended(first))
        (job,) = site.queue(a_film("two")).values()
        (child,) = psutil.Process(process.pid).children()
        child.suspend()  # it gets the message, and cannot say so
        assert bell.ring_analyse([job.job_id])
        time.sleep(1.5)
        process.send_signal(signal.SIGTERM)
        time.sleep(1.5)
        child.resume()
        assert process.wait(15) == 0
    bell.close()
    assert site.ward.state(job) is JobState.ENCODED


def test_no_patient_and_no_password_is_in_the_workers_log(site: Site) -> None:
    deadly = a_film("deadly")
    jobs = site.queue(deadly, a_film("good"))
    with site.worker("gpu", DEADLY=str(deadly.SOPInstanceUID)):
        site.wait_for(site.ended(*jobs.values()))
    log = site.log.read_text(encoding="utf-8", errors="replace")
    assert "only-for-tests" not in log
    assert str(deadly.PatientName) not in log
    assert str(deadly.PatientID) not in log
