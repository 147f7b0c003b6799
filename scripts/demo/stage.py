"""What the demonstration runs on: a folder, an archive, an installation; all cleaned up after."""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dicom.values import PacsNode
from scripts.demo import left_running
from scripts.installation import Installation, first_free_port
from tests import orthanc

LOOPBACK = "127.0.0.1"
DICOM_PORT, WEB_PORT = 11112, 8080
ARCHIVE_DICOM_PORT, ARCHIVE_HTTP_PORT = 4242, 8042
QUIET_PERIOD_S = 2


@dataclass(frozen=True, slots=True)
class Stage:
    """A running system: where it lives, Carina, its listener, and the archive."""

    folder: Path
    installation: Installation
    listener: PacsNode
    archive: orthanc.Orthanc


@dataclass(slots=True)
class Curtain:
    """Whether the stage is taken down at the end; ``KEEP=1`` says no once all went well."""

    falls: bool = True


@contextlib.contextmanager
def running(folder: Path, curtain: Curtain) -> Iterator[Stage]:
    """Start the archive and Carina in ``folder``; stop both at the end, whatever happens.

    What an earlier ``KEEP=1`` left running in the same folder is stopped first.

    Raises
    ------
    CommandFailed, RuntimeError
        If one of them does not start; the fault is named.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stop(folder)
    with contextlib.ExitStack() as stack:
        archive = _archive(folder / "orthanc")
        archive.start()
        stack.callback(archive.stop)
        installation, listener = _installation(folder / "carina", archive.node)
        stack.callback(installation.down)
        installation.up()
        yield Stage(folder, installation, listener, archive)
        if not curtain.falls:
            stack.pop_all()


def stop(folder: Path) -> None:
    """Stop what an earlier run left in this folder; harmless when there is nothing."""
    left_running.stop(folder)
    Installation(folder / "carina", {}).down()


def _archive(folder: Path) -> orthanc.Orthanc:
    # A new archive each time: what it holds at the end came in this run.
    shutil.rmtree(folder, ignore_errors=True)
    archive = orthanc.Orthanc(folder, orthanc.OrthancOptions())
    archive.dicom_port = first_free_port(ARCHIVE_DICOM_PORT)
    archive.http_port = first_free_port(ARCHIVE_HTTP_PORT)
    return archive


def _installation(folder: Path, pacs: PacsNode) -> tuple[Installation, PacsNode]:
    port = first_free_port(DICOM_PORT)
    variables = {
        "CARINA_LISTENER_PORT": str(port),
        "CARINA_WEB_PORT": str(first_free_port(WEB_PORT)),
        "CARINA_PACS": str(pacs),
        "CARINA_QUIET_PERIOD_S": str(QUIET_PERIOD_S),
    }
    return Installation(folder, variables), PacsNode("CARINA", LOOPBACK, port)
