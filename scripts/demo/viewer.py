"""OHIF beside the demonstration's archive: ``python -m scripts.demo.viewer ARCHIVE_URL PORT``.

The viewer is the npm package ``@ohif/app``, fetched once into ``build/ohif``; it is no part of
Carina.
"""

import contextlib
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

from scripts.installation import CommandFailed, system_program
from service import ohif

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "ohif"
PACKAGE = "@ohif/app@3.12.10"
DIST = FOLDER / "package" / "dist"
FETCH_LIMIT_S = 600.0
START_S = 60.0


def fetch() -> Path:
    """Return the folder of the built viewer, fetching the package by npm if it is not there.

    Raises
    ------
    CommandFailed
        If npm cannot fetch it.
    """
    if (DIST / "index.html").is_file():
        return DIST
    FOLDER.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [system_program("npm"), "pack", "--silent", PACKAGE],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        timeout=FETCH_LIMIT_S,
        check=False,
    )
    if done.returncode != 0:
        raise CommandFailed(f"npm pack {PACKAGE} failed: {done.stderr.strip()[-500:]}")
    with tarfile.open(FOLDER / done.stdout.strip().splitlines()[-1]) as packed:
        packed.extractall(FOLDER, filter="data")
    return DIST


def start(dicomweb_url: str, port: int, log: Path) -> int:
    """Start a viewer that outlives this process; return its process id once it answers.

    Raises
    ------
    CommandFailed
        If it does not; the end of its log is in the message.
    """
    fetch()
    with log.open("wb") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", "scripts.demo.viewer", dicomweb_url, str(port)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((ohif.HOST, port), 1.0):
            return process.pid
        time.sleep(0.1)
    process.kill()
    process.wait()
    raise CommandFailed(f"the viewer did not start: {log.read_text(errors='replace')[-500:]}")


def main(dicomweb_url: str, port: int) -> None:
    """Serve until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with ohif.serve(fetch(), dicomweb_url, port):
        stop.wait()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
