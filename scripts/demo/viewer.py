"""OHIF beside the demonstration's archive: ``python -m scripts.demo.viewer ARCHIVE_URL PORT``.

The viewer is the npm package ``@ohif/app``, fetched once into ``build/ohif``; it is no part of
Carina.
"""

import signal
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

from scripts.installation import CommandFailed, system_program
from service import ohif

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "ohif"
PACKAGE = "@ohif/app@3.12.10"
DIST = FOLDER / "package" / "dist"
FETCH_LIMIT_S = 600.0


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


def main(dicomweb_url: str, port: int) -> None:
    """Serve until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with ohif.serve(fetch(), dicomweb_url, port):
        stop.wait()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
