"""The parts of an installation that a supervisor starts, and how each is asked to stop."""

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from service.files import tail
from service.processes import ProcessIdentity, Program
from service.ready import READY_FILE

MARK = "CARINA_SUPERVISED"
"""In the environment of everything that was started for an installation: its id."""

PART = "CARINA_PART"
"""In the same environments: the name of the part."""


class Part(Protocol):
    """One server or process."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def stop_signal(self) -> signal.Signals:
        """What asks it to end in good order."""

    @property
    def grace_s(self) -> float:
        """How long it may take to end."""

    def prepare(self) -> None:
        """Make what it needs before it can start."""

    def adopt(self) -> ProcessIdentity | None:
        """Return the process that already does this part's work and may go on doing it."""

    def program(self, environment: Mapping[str, str]) -> Program:
        """Return how to start it."""

    def is_ready(self) -> bool:
        """Return whether it does its work now."""

    def explain(self) -> str:
        """Return its last words."""


@dataclass(frozen=True, slots=True)
class CarinaProcess:
    """A part that is ``carina <command>``: the same that an operator runs.

    ``environment`` is complete; ``grace_s`` is how long it may finish what it is at.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    ready_file: Path
    grace_s: float = 15.0
    stop_signal: signal.Signals = signal.SIGTERM

    def prepare(self) -> None:
        """Forget that an earlier process was ready."""
        self.ready_file.unlink(missing_ok=True)

    def adopt(self) -> None:
        """Return None: what an earlier supervisor left behind is ended, never taken over."""

    def program(self, environment: Mapping[str, str]) -> Program:
        """Return how to start it."""
        own = {READY_FILE: str(self.ready_file), "PYTHONUNBUFFERED": "1"}
        return Program(
            argv=(sys.executable, "-m", "service", *self.command),
            log=self.log,
            environment={**self.environment, **own, **environment},
        )

    def is_ready(self) -> bool:
        """Return whether it has said so."""
        return self.ready_file.exists()

    def explain(self) -> str:
        """Return the last lines of its log."""
        return tail(self.log)


def import_path() -> dict[str, str]:
    """Return what lets a new ``python -m service`` find this very code, also in a checkout."""
    root = Path(__file__).resolve().parents[1]
    if root.name in ("site-packages", "dist-packages"):
        return {}
    paths = [str(root), *filter(None, [os.environ.get("PYTHONPATH", "")])]
    return {"PYTHONPATH": os.pathsep.join(paths)}
