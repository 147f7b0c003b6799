"""A whole Carina in a folder of its own, started and stopped by its own command line."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service import installation, runstate

UP_LIMIT_S = 300.0
COMMAND_LIMIT_S = 180.0


class CommandFailed(Exception):
    """A command of Carina did not end as it should; its own words are in the message."""


def first_free_port(*wanted: int) -> int:
    """Return the first of the ports that nobody listens on, else any free one."""
    for port in (*wanted, 0):
        with socket.socket() as probe:
            # As a server would: a connection of an ended run in TIME_WAIT does not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise AssertionError("the system gives no port")


class Installation:
    """One folder of Carina. Only ``variables`` reach it: the caller's own settings do not."""

    def __init__(self, home: Path, variables: Mapping[str, str]) -> None:
        self.home = home.absolute()
        kept = {name: one for name, one in os.environ.items() if not name.startswith("CARINA_")}
        self._environment = kept | dict(variables)

    def up(self) -> None:
        """Start everything and wait until it is ready.

        Raises
        ------
        CommandFailed
            With the fault that ``carina up`` named.
        """
        # What an earlier run chose, its ports above all, must not outlive it.
        (self.home / installation.FILE).unlink(missing_ok=True)
        self.carina("up", limit_s=UP_LIMIT_S)

    def down(self) -> None:
        """Stop everything; harmless when nothing runs."""
        if (self.home / "run").exists():
            self.carina("down", limit_s=UP_LIMIT_S)

    def carina(self, *words: str, limit_s: float = COMMAND_LIMIT_S) -> str:
        """Run ``carina words…`` on this installation; return what it printed.

        Raises
        ------
        CommandFailed
            If it ended with another exit code than 0, or not in time.
        """
        command = [str(our_command()), *words, "--data", str(self.home)]
        try:
            done = subprocess.run(
                command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=limit_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CommandFailed(f"carina {words[0]} did not end within {limit_s:.0f} s") from None
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip())[-2000:]
            raise CommandFailed(f"carina {' '.join(words)} ended with {done.returncode}: {said}")
        return done.stdout

    def ask(self, *words: str) -> Any:  # noqa: ANN401  (JSON, at the edge)
        """Return what ``carina words… --json`` printed."""
        return json.loads(self.carina(*words, "--json"))

    def database_url(self) -> str:
        """Return the URL of the running installation's database."""
        return installation.remembered(self.home)["CARINA_DATABASE_URL"]

    def processes(self) -> dict[str, int]:
        """Return the process id of every running part, by its name."""
        state = runstate.read(self.home)
        parts = () if state is None else state.parts
        return {part.name: part.process.pid for part in parts if part.process is not None}


def our_command() -> Path:
    """Return the command ``carina`` of this virtual environment.

    Raises
    ------
    CommandFailed
        If Carina is not installed in it.
    """
    command = Path(sys.executable).parent / "carina"
    if not command.exists():
        raise CommandFailed("carina is not installed in this virtual environment: `make setup`")
    return command


def system_program(name: str) -> str:
    """Return where a program of the system is, dcmtk's for one.

    The virtual environment is not searched: pynetdicom installs programs of the same names in it.

    Raises
    ------
    CommandFailed
        If there is none.
    """
    ours = str(Path(sys.executable).parent)
    folders = [one for one in os.environ.get("PATH", os.defpath).split(os.pathsep) if one != ours]
    found = shutil.which(name, path=os.pathsep.join(folders))
    if found is None:
        raise CommandFailed(f"{name} is not installed: `make system` installs what is missing")
    return found
