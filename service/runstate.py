"""What a supervisor writes down about what it runs; what ``up``, ``down`` and ``status`` read."""

import contextlib
import dataclasses
import fcntl
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from service.files import private_folder, write_private
from service.processes import ProcessIdentity, is_alive

FILE = "state.json"
LOCK = "supervisor.lock"


class Phase(StrEnum):
    """Where the supervisor stands."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


class PartState(StrEnum):
    """Where one part stands."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    BACKING_OFF = "backing off"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class PartStatus:
    """One part: which process, since when, how often it had to be started again."""

    name: str
    state: PartState = PartState.WAITING
    process: ProcessIdentity | None = None
    since: datetime | None = None
    restarts: int = 0
    fault: str = ""


@dataclass(frozen=True, slots=True)
class RunState:
    """Everything about one run; ``addresses`` are for people, by name."""

    installation_id: str
    supervisor: ProcessIdentity
    started_at: datetime
    phase: Phase
    parts: tuple[PartStatus, ...] = ()
    addresses: tuple[tuple[str, str], ...] = ()
    fault: str = ""

    @property
    def is_live(self) -> bool:
        """Whether the supervisor that wrote this still runs."""
        return is_alive(self.supervisor)


def run_folder(home: Path) -> Path:
    """Return the folder of state, lock and readiness files, made if need be."""
    return private_folder(home / "run")


@contextlib.contextmanager
def sole(home: Path) -> Iterator[bool]:
    """Hold the lock of an installation; gives False when somebody else holds it.

    The kernel lets go of it when the holder dies, however it dies.
    """
    with (run_folder(home) / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def write(home: Path, state: RunState) -> None:
    """Replace the written state."""
    content = json.dumps(dataclasses.asdict(state), default=datetime.isoformat, indent=1)
    write_private(run_folder(home) / FILE, content)


def read(home: Path) -> RunState | None:
    """Return the last written state; None when there is none that can be read."""
    try:
        raw = json.loads((home / "run" / FILE).read_text(encoding="utf-8"))
        return RunState(
            installation_id=str(raw["installation_id"]),
            supervisor=ProcessIdentity(**raw["supervisor"]),
            started_at=datetime.fromisoformat(raw["started_at"]),
            phase=Phase(raw["phase"]),
            parts=tuple(_part(each) for each in raw["parts"]),
            addresses=tuple((str(name), str(value)) for name, value in raw["addresses"]),
            fault=str(raw["fault"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _part(raw: dict[str, object]) -> PartStatus:
    process, since = raw["process"], raw["since"]
    return PartStatus(
        name=str(raw["name"]),
        state=PartState(str(raw["state"])),
        process=ProcessIdentity(**process) if isinstance(process, dict) else None,
        since=datetime.fromisoformat(str(since)) if since else None,
        restarts=int(str(raw["restarts"])),
        fault=str(raw["fault"]),
    )
