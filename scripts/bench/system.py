"""A whole Carina with its archive, as shipped but for ports and a short quiet period."""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dicom.values import PacsNode
from scripts.installation import Installation, first_free_port
from tests import orthanc

QUIET_PERIOD_S = 1.0


@dataclass(frozen=True, slots=True)
class System:
    """What is measured."""

    installation: Installation
    listener: PacsNode
    archive: orthanc.Orthanc
    quiet_period_s: float = QUIET_PERIOD_S


@contextlib.contextmanager
def running(folder: Path) -> Iterator[System]:
    """Start both in a new folder, stop both at the end."""
    shutil.rmtree(folder, ignore_errors=True)
    with orthanc.running(folder / "orthanc") as archive:
        port = first_free_port()
        variables = {
            "CARINA_LISTENER_PORT": str(port),
            "CARINA_WEB_PORT": "0",
            "CARINA_PACS": str(archive.node),
            "CARINA_QUIET_PERIOD_S": str(QUIET_PERIOD_S),
        }
        installation = Installation(folder / "carina", variables)
        try:
            installation.up()
            yield System(installation, PacsNode("CARINA", "127.0.0.1", port), archive)
        finally:
            installation.down()
