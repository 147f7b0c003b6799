"""Fetch the OHIF viewer, a package of the npm registry, into a folder: once, checked, unpacked.

The viewer (MIT) is not part of Carina and not needed by it; the demo and the browser tests show
drafts in it.
"""

import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Final

from service.ohif import ViewerFailed

PACKAGE: Final = "@ohif/app@3.12.10"
SHA256: Final = "fbabd410be33e5b9898931b725229b9da9553aac339914b5c29796d3aa5d4b2d"
FETCH_TIMEOUT_S: Final = 600


def fetch(folder: Path) -> Path:
    """Return the viewer's ``dist`` folder under ``folder``, fetching it if it is not there.

    Raises
    ------
    ViewerFailed
        If npm is missing or fails, or the package is not the one that was tested.
    """
    dist = folder / "package" / "dist"
    if (dist / "index.html").is_file():
        return dist
    npm = shutil.which("npm")
    if npm is None:
        raise ViewerFailed("npm is not installed, and the viewer comes from its registry")
    folder.mkdir(parents=True, exist_ok=True)
    command = [npm, "pack", PACKAGE, "--silent", "--pack-destination", str(folder)]
    try:
        # A fixed command; only the folder is ours to choose.
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise ViewerFailed("npm did not answer in time") from None
    if done.returncode != 0:
        raise ViewerFailed(f"npm could not fetch {PACKAGE}: {done.stderr.strip()[-200:]}")
    _unpack(folder / done.stdout.split()[-1], folder)
    return dist


def _unpack(package: Path, folder: Path) -> None:
    with package.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != SHA256:
        package.unlink()
        raise ViewerFailed(f"{PACKAGE} is not the package that was tested")
    with tarfile.open(package) as archive:
        archive.extractall(folder, filter="data")
    package.unlink()
