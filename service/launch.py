"""Start a supervisor that stays, stop one, and show how it comes up and goes down."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from service import runstate, terminal
from service.embedded import credentials
from service.errors import StartFailed
from service.files import tail
from service.parts import import_path
from service.processes import Handle
from service.runstate import PartState, Phase, RunState
from service.takeover import end_all, left_behind

START_LIMIT_S = 300.0
STOP_LIMIT_S = 180.0
REMAINS_GRACE_S = 30.0
LOOK_EVERY_S = 0.1


def detached(home: Path) -> None:
    """Start a supervisor in a session of its own and wait until every part is ready.

    Raises
    ------
    StartFailed
        If it is not; the fault that the supervisor wrote down is in the message.
    """
    terminal.say(f"Starting Carina in {home}")
    with (home / "logs" / "supervisor.log").open("ab") as log:
        child = subprocess.Popen(  # noqa: S603  (our own program)
            [sys.executable, "-m", "service", "up", "--foreground", "--data", str(home)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=os.environ | import_path(),
        )
    try:
        _follow(home, child)
    except KeyboardInterrupt:
        child.terminate()
        terminal.say("Interrupted: stopping what was started")
        child.wait(STOP_LIMIT_S)
        raise


def stop(home: Path) -> None:
    """Ask the supervisor of an installation to stop and wait until it has.

    Raises
    ------
    StartFailed
        If it does not.
    """
    state = runstate.read(home)
    handle = None if state is None else Handle.of(state.supervisor)
    if state is None or handle is None:
        _end_remains(home)
        return
    handle.send(signal.SIGTERM)
    shown: set[str] = set()
    deadline = time.monotonic() + STOP_LIMIT_S
    while not handle.wait(LOOK_EVERY_S):
        _show(runstate.read(home), PartState.STOPPED, shown)
        if time.monotonic() > deadline:
            raise StartFailed(f"the supervisor (process {state.supervisor.pid}) does not stop")
    _show(runstate.read(home), PartState.STOPPED, shown)
    terminal.say("Stopped.")


def say_running(home: Path) -> None:
    """Tell that an installation is already running, and where."""
    state = runstate.read(home)
    process = "" if state is None else f" (supervisor: process {state.supervisor.pid})"
    terminal.say(f"Carina in {home} is already running{process}.")
    if state is not None:
        _say_addresses(state)


def _follow(home: Path, child: "subprocess.Popen[bytes]") -> None:
    shown: set[str] = set()
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        ended = child.poll() is not None
        state = runstate.read(home)
        if state is not None and state.supervisor.pid == child.pid:
            _show(state, PartState.READY, shown)
            if state.phase is Phase.RUNNING:
                _say_addresses(state)
                return
            if state.phase is Phase.FAILED and ended:
                raise StartFailed(state.fault)
        elif ended and state is not None and state.is_live:
            say_running(home)  # another `up` was quicker
            return
        if ended:
            raise StartFailed(f"the supervisor ended:\n{tail(home / 'logs' / 'supervisor.log')}")
        if time.monotonic() > deadline:
            child.terminate()
            raise StartFailed(f"not ready after {START_LIMIT_S:.0f} s, see {home / 'logs'}")
        time.sleep(LOOK_EVERY_S)


def _show(state: RunState | None, wanted: PartState, shown: set[str]) -> None:
    for part in () if state is None else state.parts:
        if part.state is wanted and part.name not in shown:
            shown.add(part.name)
            process = "" if part.process is None else f"  process {part.process.pid}"
            terminal.say(f"  {part.name:<10} {part.state}{process}")


def _say_addresses(state: RunState) -> None:
    for name, value in state.addresses:
        terminal.say(f"{name + ':':<16} {value}")


def _end_remains(home: Path) -> None:
    """End what outlived a supervisor that was killed."""
    left = []
    if (home / credentials.FILE).exists():
        left = list(left_behind(credentials.load_or_make(home).installation_id))
    if not left:
        terminal.say(f"Carina in {home} is not running.")
        return
    # SIGINT is Postgres's quick and orderly end, and ends every other part as well.
    end_all(left, signal.SIGINT, REMAINS_GRACE_S)
    terminal.say(f"Ended {len(left)} processes that a killed supervisor had left behind.")
