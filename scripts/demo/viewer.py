"""OHIF beside the demonstration's archive: ``python -m scripts.demo.viewer ARCHIVE_URL PORT``.

The viewer is the npm package ``@ohif/app``, fetched once into ``build/ohif``; it is no part of
Carina.
"""

import contextlib
import socket
import subprocess
import sys
import time
from pathlib import Path

from scripts.installation import CommandFailed
from service import ohif, ohif_package
from service.listener import stop_on_signals

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "ohif"
START_S = 60.0


def fetch() -> Path:
    """Return the folder of the built viewer, fetched and checked if it is not there.

    Raises
    ------
    CommandFailed
        If it cannot be fetched, or is not the package that was tested.
    """
    try:
        return ohif_package.fetch(FOLDER)
    except ohif.ViewerFailed as error:
        raise CommandFailed(str(error)) from error


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
    stop = stop_on_signals()
    with ohif.serve(fetch(), dicomweb_url, port):
        stop.wait()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
