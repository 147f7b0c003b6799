import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from signal import SIGTERM, Signals

import pytest

from service import slot
from service.errors import EmbeddedServerFailed
from service.processes import Handle, ProcessIdentity, Program, identify, spawn, wait_until
from service.runstate import PartState
from service.slot import Slot

NOW = datetime(2026, 11, 21, 22, 0, tzinfo=UTC)
LIMIT_S = 20.0


class Clock:
    """The steady clock, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@dataclass
class ScriptPart:
    """A part that is a small script; ready when the file is there."""

    log: Path
    script: str = "import time; time.sleep(600)"
    name: str = "script"
    stop_signal: Signals = SIGTERM
    grace_s: float = 5.0
    ready: bool = False
    refuses: bool = False
    adopted: ProcessIdentity | None = None

    def prepare(self) -> None:
        if self.refuses:
            raise EmbeddedServerFailed("no room")

    def adopt(self) -> ProcessIdentity | None:
        return self.adopted

    def program(self, environment: Mapping[str, str]) -> Program:
        return Program((sys.executable, "-c", self.script), self.log, environment)

    def is_ready(self) -> bool:
        return self.ready

    def explain(self) -> str:
        return ""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(slot, "time", made)
    return made


@pytest.fixture
def part(tmp_path: Path) -> ScriptPart:
    return ScriptPart(tmp_path / "script.log")


@pytest.fixture
def held(part: ScriptPart, clock: Clock) -> Iterator[Slot]:
    made = Slot(part, "test-slot")
    yield made
    made.stop(NOW)


def kill(held: Slot) -> None:
    assert held.status.process is not None
    handle = Handle.of(held.status.process)
    assert handle is not None
    handle.kill()
    handle.close()


def test_it_is_ready_when_the_part_says_so(held: Slot, part: ScriptPart) -> None:
    held.start(NOW)
    assert not held.look(NOW)
    assert held.status.state is PartState.STARTING
    part.ready = True
    assert held.look(NOW)
    assert held.status.state is PartState.READY


def test_pauses_double_up_to_a_limit_and_begin_anew_after_a_steady_time(
    held: Slot, part: ScriptPart, clock: Clock
) -> None:
    part.ready = True
    held.start(NOW)
    pauses = []
    for _ in range(9):
        held.look(NOW)
        kill(held)
        assert held.look(NOW)
        assert held.status.state is PartState.BACKING_OFF
        begun = clock.now
        while held.status.state is PartState.BACKING_OFF:
            clock.now += 0.25
            held.look(NOW)
        pauses.append(clock.now - begun)
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    held.look(NOW)
    clock.now += slot.STEADY_S + 1
    held.look(NOW)
    kill(held)
    held.look(NOW)
    clock.now += slot.FIRST_PAUSE_S
    assert held.look(NOW)
    assert held.status.state is PartState.STARTING
    assert held.status.restarts == 10


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("raise SystemExit(7)", "exit code 7"),
        ("import os; os.kill(os.getpid(), 11)", "SIGSEGV"),
    ],
)
def test_it_says_how_the_part_ended(held: Slot, part: ScriptPart, script: str, words: str) -> None:
    part.script = script
    held.start(NOW)
    assert wait_until(lambda: held.look(NOW), LIMIT_S)
    assert words in held.status.fault


def test_one_that_never_gets_ready_is_ended_and_tried_again(
    held: Slot, part: ScriptPart, clock: Clock
) -> None:
    held.start(NOW)
    first = held.status.process
    clock.now += slot.START_LIMIT_S + 1
    assert held.look(NOW)
    assert "not ready" in held.status.fault
    assert first is not None
    assert identify(first.pid) is None


def test_a_start_that_fails_is_tried_again_later(
    held: Slot, part: ScriptPart, clock: Clock
) -> None:
    held.start(NOW)
    part.refuses = True
    kill(held)
    held.look(NOW)
    clock.now += slot.FIRST_PAUSE_S
    held.look(NOW)
    assert held.status.state is PartState.BACKING_OFF
    assert held.status.fault == "no room"


def test_what_it_adopts_is_watched_like_a_child(
    held: Slot, part: ScriptPart, tmp_path: Path
) -> None:
    stranger = spawn(part.program({}))
    part.adopted = identify(stranger.pid)
    part.ready = True
    held.start(NOW)
    held.look(NOW)
    assert held.status.process == part.adopted
    assert held.status.state is PartState.READY
    stranger.kill()
    stranger.wait()
    assert held.look(NOW)
    assert held.status.state is PartState.BACKING_OFF
