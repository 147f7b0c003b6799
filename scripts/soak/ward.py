"""The whole system of a soak: it can be stopped and taken up again in the same folder."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from dicom.values import PacsNode
from scripts.installation import Installation, first_free_port
from tests import orthanc

QUIET_PERIOD_S = 1.0


@dataclass(frozen=True, slots=True)
class Acked:
    """A film that was answered 0x0000."""

    number: int
    study_instance_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class Ward:
    """What is soaked."""

    installation: Installation
    listener: PacsNode
    archive: orthanc.Orthanc


class Book:
    """The films that were answered, one JSON line each, so that a soak can be taken up again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self.acked = [Acked(**json.loads(line)) for line in lines]

    @property
    def next_number(self) -> int:
        """Return the number of the first film that is not written down."""
        return len(self.acked)

    def write(self, acked: list[Acked]) -> None:
        """Write down films that were answered."""
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(one)) + "\n" for one in acked)
        self.acked += acked


@contextlib.contextmanager
def running(folder: Path, results: str) -> Iterator[Ward]:
    """Start archive and installation in ``folder``, with what they held; stop both at the end."""
    archive = orthanc.Orthanc(folder / "orthanc", orthanc.OrthancOptions())
    archive.start()
    try:
        port = first_free_port()
        variables = {
            "CARINA_LISTENER_PORT": str(port),
            "CARINA_WEB_PORT": "0",
            "CARINA_PACS": str(archive.node),
            "CARINA_QUIET_PERIOD_S": str(QUIET_PERIOD_S),
            "CARINA_NETWORK_THREADS": "1",
        }
        if results:
            variables["CARINA_RESULTS"] = results
        installation = Installation(folder / "carina", variables)
        try:
            installation.up()
            yield Ward(installation, PacsNode("CARINA", "127.0.0.1", port), archive)
        finally:
            installation.down()
    finally:
        archive.stop()
