"""Run the listener, a worker's reading and the sealer under strace, one after the other."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from dicom import film
from dicom.associate import Requestor
from dicom.film import FilmDescription
from dicom.values import PacsNode
from scripts.durability import strace
from scripts.durability.sabotage import LATE_S, Sabotage
from scripts.installation import first_free_port
from service import sending

ROOT = Path(__file__).parents[2]
LIMIT_S = 180.0


@dataclass(frozen=True, slots=True)
class Subject:
    """An installation to be traced: its folder, its database, what is taken away from it."""

    home: Path
    database_url: str
    sabotage: Sabotage = Sabotage.NOTHING

    def receive(self, films: Sequence[Path]) -> list[str]:
        """Send films to a traced listener; return the trace.

        Raises
        ------
        RuntimeError
            If the listener did not start, or did not take a film.
        """
        port, ready = first_free_port(), self.home / "listen.ready"
        names = {"CARINA_LISTENER_PORT": str(port), "CARINA_READY_FILE": str(ready)}
        to = self.home / "listen.trace"
        process = self._begin("listen", to, names)
        try:
            _wait_for(ready, process)
            found, _ = sending.find(films)
            node = PacsNode("CARINA", "127.0.0.1", port)
            if not all(answer.is_taken for answer in sending.send(found, node, Requestor("ME"))):
                raise RuntimeError("a film was not taken")
            time.sleep(2 * LATE_S)  # a commit that comes late, in a sabotaged run
        finally:
            _end(process)
            ready.unlink(missing_ok=True)
        return _lines(to)

    def do(self, step: str) -> list[str]:
        """Let a traced process read all studies (``read``) or seal the trail (``seal``)."""
        to = self.home / f"{step}.trace"
        process = self._begin(step, to, {})
        if process.wait(LIMIT_S) != 0:
            raise RuntimeError(f"{step} failed: {(self.home / 'subject.log').read_text()[-2000:]}")
        return _lines(to)

    def _begin(self, step: str, to: Path, names: dict[str, str]) -> "subprocess.Popen[bytes]":
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "CARINA_HOME": str(self.home.absolute() / "data"),
            "CARINA_DATABASE_URL": self.database_url,
            "CARINA_QUIET_PERIOD_S": "0",
            "CARINA_RESULTS": "text",
            **names,
        }
        words = [sys.executable, "-m", "scripts.durability.subject", step, self.sabotage.value]
        with (self.home / "subject.log").open("ab") as log:
            return subprocess.Popen(
                [*strace.command(str(to)), *words],
                env=environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


def films(folder: Path, count: int) -> list[Path]:
    """Write small films, each of a study of its own, that the reading step accepts."""
    rng = np.random.default_rng(count)
    paths = [folder / f"{number}.dcm" for number in range(count)]
    for path in paths:
        pixels = (rng.random((320, 288)) * 40000 + 8000).astype(np.uint16)
        path.write_bytes(film.encode(film.from_pixels(pixels, FilmDescription(seed=path.name))))
    return paths


def can_trace() -> bool:
    """Return whether strace is installed and may trace a process here."""
    if shutil.which("strace") is None:
        return False
    done = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, check=False)
    return done.returncode == 0


def _wait_for(ready: Path, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + LIMIT_S
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the traced listener did not start")
        time.sleep(0.05)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ask the traced process to end; strace ends with it."""
    children = [] if process.poll() is not None else psutil.Process(process.pid).children()
    for child in children:
        child.terminate()
    try:
        process.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        for child in children:
            child.kill()
        process.kill()
        process.wait()


def _lines(to: Path) -> list[str]:
    return to.read_text(encoding="ascii", errors="replace").splitlines()
