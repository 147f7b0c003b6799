"""The supervisor over stand-ins for the processes: restarts, stops, take-overs."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service import runstate
from service.processes import Handle, identify, is_alive, wait_until
from service.runstate import PartState, PartStatus, Phase
from service.takeover import end_all, left_behind

pytestmark = pytest.mark.integration

DRIVER = Path(__file__).parents[1] / "supervised.py"
LIMIT_S = 20.0


class Supervision:
    """A supervisor in a process of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.process: subprocess.Popen[str] | None = None

    @property
    def installation_id(self) -> str:
        return f"test-{self.home.name}"

    def start(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(DRIVER), str(self.home), *arguments],
            env=os.environ | {"PYTHONPATH": str(Path.cwd())},
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self, number: signal.Signals) -> str:
        assert self.process is not None
        self.process.send_signal(number)
        said = self.process.communicate(timeout=LIMIT_S)[1]
        return str(said)

    def part(self, name: str) -> PartStatus:
        state = runstate.read(self.home)
        found = () if state is None else state.parts
        return next((each for each in found if each.name == name), PartStatus(name))

    def runs(self) -> bool:
        state = runstate.read(self.home)
        assert self.process is not None
        return (
            state is not None
            and state.supervisor.pid == self.process.pid
            and state.phase is Phase.RUNNING
            and all(each.state is PartState.READY for each in state.parts)
        )

    def wait_until_running(self) -> None:
        assert wait_until(self.runs, LIMIT_S), runstate.read(self.home)

    def processes(self) -> list[int]:
        return [each.pid for each in left_behind(self.installation_id)]


@pytest.fixture
def supervision(tmp_path: Path) -> Iterator[Supervision]:
    made = Supervision(tmp_path)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.end(signal.SIGTERM)
    end_all(list(left_behind(made.installation_id)), signal.SIGKILL, 1.0)


def test_a_part_that_was_killed_comes_back_and_says_why_it_went(supervision: Supervision) -> None:
    supervision.start()
    supervision.wait_until_running()
    first = supervision.part("listen").process
    assert first is not None
    os.kill(first.pid, signal.SIGKILL)
    assert wait_until(lambda: supervision.part("listen").restarts == 1, LIMIT_S)
    supervision.wait_until_running()
    second = supervision.part("listen").process
    assert second is not None
    assert second != first
    assert is_alive(second)


def test_children_of_a_killed_worker_are_gone_before_it_is_started_again(
    supervision: Supervision,
) -> None:
    supervision.start("stubborn")
    supervision.wait_until_running()
    worker = supervision.part("work").process
    assert worker is not None
    before = set(supervision.processes())
    os.kill(worker.pid, signal.SIGKILL)
    assert wait_until(lambda: supervision.part("work").restarts == 1, LIMIT_S)
    supervision.wait_until_running()
    after = set(supervision.processes())
    assert len(before) == len(after) == 3  # listen, work and its child
    listener = supervision.part("listen").process
    assert listener is not None
    assert before & after == {listener.pid}


def test_a_part_that_keeps_dying_is_started_again_each_time(supervision: Supervision) -> None:
    supervision.start()
    supervision.wait_until_running()
    for restarts in (1, 2):
        process = supervision.part("listen").process
        assert process is not None
        os.kill(process.pid, signal.SIGKILL)
        assert wait_until(
            lambda: supervision.part("listen").state is PartState.BACKING_OFF, LIMIT_S
        )
        assert "SIGKILL" in supervision.part("listen").fault
        assert wait_until(
            lambda wanted=restarts: supervision.part("listen").restarts == wanted, LIMIT_S
        )
        supervision.wait_until_running()


def test_stopping_ends_the_listener_before_the_worker_and_leaves_nothing(
    supervision: Supervision,
) -> None:
    supervision.start()
    supervision.wait_until_running()
    supervision.end(signal.SIGTERM)
    assert (supervision.home / "stopped").read_text().split() == ["listen", "work"]
    assert supervision.processes() == []
    state = runstate.read(supervision.home)
    assert state is not None
    assert state.phase is Phase.STOPPED
    assert {each.state for each in state.parts} == {PartState.STOPPED}


def test_a_second_supervisor_of_the_same_folder_does_not_start(supervision: Supervision) -> None:
    supervision.start()
    supervision.wait_until_running()
    second = Supervision(supervision.home)
    second.start()
    assert second.process is not None
    assert "somebody else" in second.process.communicate(timeout=LIMIT_S)[1]
    assert len(supervision.processes()) == 3


def test_a_killed_supervisor_takes_its_parts_with_it(supervision: Supervision) -> None:
    supervision.start("stubborn")
    supervision.wait_until_running()
    parts = [supervision.part(name).process for name in ("listen", "work")]
    handles = [Handle.of(process) for process in parts if process is not None]
    supervision.end(signal.SIGKILL)
    assert len(handles) == 2
    for handle in handles:
        assert handle is not None
        assert handle.wait(LIMIT_S)
        handle.close()
    # The worker's child ignores the kernel's word; whoever comes next finds it and ends it.
    assert len(supervision.processes()) == 1
    end_all(list(left_behind(supervision.installation_id)), signal.SIGTERM, 0.2)
    assert supervision.processes() == []


def test_the_lock_is_free_again_after_a_kill(supervision: Supervision) -> None:
    supervision.start()
    supervision.wait_until_running()
    supervision.end(signal.SIGKILL)
    with runstate.sole(supervision.home) as mine:
        assert mine


def test_a_part_that_does_not_start_stops_everything_and_is_named_with_its_words(
    supervision: Supervision,
) -> None:
    supervision.start("never-ready")
    assert supervision.process is not None
    said = supervision.process.communicate(timeout=LIMIT_S)[1]
    assert supervision.process.returncode != 0
    assert "broken did not start" in said
    assert "port 104 is in use" in said
    state = runstate.read(supervision.home)
    assert state is not None
    assert state.phase is Phase.FAILED
    assert "port 104 is in use" in state.fault
    assert supervision.processes() == []


def test_a_stranger_with_a_reused_number_is_not_taken_for_a_part(supervision: Supervision) -> None:
    supervision.start()
    supervision.wait_until_running()
    supervision.end(signal.SIGKILL)
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        identity = identify(stranger.pid)
        assert identity is not None
        assert identity not in list(left_behind(supervision.installation_id))
        state = runstate.read(supervision.home)
        assert state is not None
        assert not state.is_live
    finally:
        stranger.kill()
        stranger.wait()
