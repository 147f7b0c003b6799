"""``carina up``, as an operator uses it: started, killed in parts and whole, stopped."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from film_builders import a_film
from installations import home_folder
from orthanc import free_port

from dicom import film
from service import runstate
from service.parts import MARK, PART
from service.processes import Handle, wait_until
from service.runstate import PartState, Phase, RunState
from service.takeover import end_all, left_behind

pytestmark = pytest.mark.integration

LIMIT_S = 120.0
PARTS = {"postgres", "valkey", "listen", "work", "deliver", "sweep", "web"}


class Installation:
    """A folder, and the command line pointed at it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = {
            "PATH": os.defpath,
            "PYTHONPATH": str(Path.cwd()),
            "CARINA_LISTENER_PORT": str(free_port()),
            "CARINA_WEB_PORT": str(free_port()),
            "CARINA_QUIET_PERIOD_S": "600",  # nothing is read here: other tests do that
        }

    def carina(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "service", *arguments, "--data", str(self.home)],
            env=self.environment | settings,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )

    def up(self) -> str:
        done = self.carina("up")
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def state(self) -> RunState:
        state = runstate.read(self.home)
        assert state is not None
        return state

    def is_running(self) -> bool:
        return (
            self.state.is_live
            and self.state.phase is Phase.RUNNING
            and all(part.state is PartState.READY for part in self.state.parts)
        )

    def kill(self, name: str) -> None:
        named = {part.name: part.process for part in self.state.parts}
        process = self.state.supervisor if name == "supervisor" else named[name]
        assert process is not None
        handle = Handle.of(process)
        assert handle is not None
        handle.kill()
        handle.close()

    def leaders(self) -> Counter[str]:
        """Return how many processes of each part lead a session: one is right, two are double."""
        found: Counter[str] = Counter()
        for identity in left_behind(self.state.installation_id):
            if os.getsid(identity.pid) == identity.pid:
                found[psutil.Process(identity.pid).environ()[PART]] += 1
        return found


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    with home_folder() as folder:
        made = Installation(folder / "carina")
        try:
            made.up()
            yield made
        finally:
            made.carina("down")
            left = list(left_behind(made.state.installation_id))
            end_all(left, signal.SIGKILL, 1.0)
        assert left == []


@pytest.fixture
def running(installation: Installation) -> Installation:
    """Give the installation with everything up, whatever the test before did to it."""
    if not installation.state.is_live:
        installation.up()
    assert wait_until(installation.is_running, LIMIT_S), installation.state
    return installation


def test_every_part_runs_once_and_the_status_says_so(running: Installation) -> None:
    done = running.carina("status", "--json")
    status: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == 0, status["faults"]
    assert status["health"] == "healthy"
    assert {part["name"] for part in status["parts"]} == PARTS
    # Valkey writes over its environment, so it is not among them.
    assert running.leaders() == Counter(PARTS - {"valkey"})


def test_a_second_up_says_that_it_runs_and_where(running: Installation) -> None:
    before = running.state.supervisor
    said = running.up()
    assert "already running" in said
    assert running.environment["CARINA_LISTENER_PORT"] in said
    assert running.state.supervisor == before


def test_no_secret_is_in_an_argument_and_no_file_of_it_is_for_others(
    running: Installation,
) -> None:
    secrets = [
        value
        for name, value in json.loads((running.home / "credentials.json").read_text()).items()
        if "password" in name
    ]
    for identity in left_behind(running.state.installation_id):
        arguments = Path(f"/proc/{identity.pid}/cmdline").read_text()
        assert not any(secret in arguments for secret in secrets)
    for name in ("carina.env", "credentials.json", "run/state.json"):
        assert stat.S_IMODE((running.home / name).stat().st_mode) == 0o600
    for name in ("spool", "results", "audit", "logs", "run"):
        assert stat.S_IMODE((running.home / name).stat().st_mode) == 0o700


def test_only_the_upgrade_knew_the_owner_of_the_tables(running: Installation) -> None:
    for identity in left_behind(running.state.installation_id, keep=("postgres",)):
        environment = psutil.Process(identity.pid).environ()
        assert environment[MARK]
        assert environment["CARINA_DATABASE_OWNER_URL"] == ""


def test_a_film_that_is_sent_is_recorded_and_the_trail_is_proven(
    running: Installation, tmp_path: Path
) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(film.encode(a_film("recorded")))
    (tmp_path / "letter.txt").write_text("not a film")
    sent = running.carina("send", str(tmp_path))
    assert sent.returncode == 0, sent.stderr
    assert "1 of 1 files taken" in sent.stdout
    assert "1 are not DICOM" in sent.stdout
    (study,) = json.loads(running.carina("studies", "--json").stdout)
    assert study["state"] == "COLLECTING"
    shown = running.carina("show", study["study_instance_uid"]).stdout
    assert "pending: collecting" in shown
    assert "instance_received" in shown
    events = json.loads(running.carina("audit", "list", "--json").stdout)
    assert events[-1]["event_type"] == "study_viewed", "looking is audited as well"

    def is_sealed() -> bool:
        report = json.loads(running.carina("audit", "verify", "--json").stdout)
        return bool(report["is_intact"] and report["sealed"] >= len(events))

    assert wait_until(is_sealed, LIMIT_S)
    exported = running.carina("audit", "export").stdout.splitlines()
    assert len(exported) == len(events)
    assert all(line.startswith("<AuditMessage>") for line in exported)


@pytest.mark.parametrize("name", ["listen", "work", "web", "valkey", "postgres"])
def test_a_part_killed_with_9_comes_back(running: Installation, name: str) -> None:
    def restarts() -> int:
        return next(part.restarts for part in running.state.parts if part.name == name)

    before = restarts()
    running.kill(name)
    assert wait_until(lambda: restarts() > before, LIMIT_S)
    assert wait_until(running.is_running, LIMIT_S), running.state
    assert running.leaders() == Counter(PARTS - {"valkey"})


def test_a_killed_supervisor_is_taken_over_and_nothing_runs_twice(
    running: Installation,
) -> None:
    studies = running.carina("studies", "--json").stdout
    running.kill("supervisor")
    assert running.carina("status").returncode == 2
    running.up()
    assert running.is_running()
    assert running.leaders() == Counter(PARTS - {"valkey"})
    after = running.carina("studies", "--json").stdout
    assert [one["study_instance_uid"] for one in json.loads(after)] == [
        one["study_instance_uid"] for one in json.loads(studies)
    ]


def test_down_stops_everything_and_up_remembers_the_settings(running: Installation) -> None:
    port = running.environment["CARINA_LISTENER_PORT"]
    done = running.carina("down")
    assert done.returncode == 0
    assert "Stopped" in done.stdout
    assert list(left_behind(running.state.installation_id)) == []
    assert running.carina("status").returncode == 2
    assert "not running" in running.carina("down").stdout
    bare = {key: running.environment[key] for key in ("PATH", "PYTHONPATH")}
    settings = running.environment
    running.environment = bare
    try:
        assert f"127.0.0.1:{port}" in running.up()
    finally:
        running.environment = settings


def test_down_after_a_killed_supervisor_leaves_nothing(running: Installation) -> None:
    running.kill("supervisor")
    assert running.carina("down").returncode == 0
    assert list(left_behind(running.state.installation_id)) == []


def test_a_port_in_use_is_named_with_its_user_and_nothing_is_left(tmp_path: Path) -> None:
    with home_folder() as folder, socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        other = Installation(folder / "carina")
        other.environment["CARINA_LISTENER_PORT"] = port
        done = other.carina("up")
        assert done.returncode == 1
        assert f"port {port} is in use" in done.stderr
        assert f"process {os.getpid()}" in done.stderr
        assert "CARINA_LISTENER_PORT" in done.stderr
        assert "Traceback" not in done.stderr
        assert not other.state.is_live


def test_a_full_disk_is_named_before_anything_starts() -> None:
    with home_folder() as folder:
        other = Installation(folder / "carina")
        done = other.carina("up", CARINA_DISK_RESERVE_MB=str(10**9))
        assert done.returncode == 1
        assert "MB are free" in done.stderr
