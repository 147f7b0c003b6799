"""The whole way, each part a process of its own: a film in over DICOM, a proven draft in Orthanc.

Only the network is a stand-in here; the demonstration (``make demo``) uses the real one.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import brokers
import orthanc
import pytest
from kept_results import data_set_bytes
from postgres import DatabaseUrls
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from sqlalchemy import func, select
from ward import a_film

from dicom import film, send
from dicom.associate import Requestor, associated
from dicom.values import PacsNode
from service.db.engine import Database
from service.db.tables import AuditEventRow, InstanceRow, JobRow, ResultRow
from service.values import JobState

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(280)]

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
PATIENCE_S = 200.0
COMMANDS = {
    "listen": ("-m", "service", "listen"),
    "sweep": ("-m", "service", "sweep"),
    "gpu": (str(TESTS / "stumbling_worker.py"), "gpu"),
    "pacs": (str(TESTS / "stumbling_worker.py"), "pacs"),
}


@dataclass
class Installation:
    """Four processes over one database, one broker and one folder."""

    home: Path
    database: Database
    node: PacsNode
    environment: dict[str, str]
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def start(self) -> None:
        """Start every process and wait until it is ready."""
        for name, arguments in COMMANDS.items():
            environment = {**self.environment, "CARINA_READY_FILE": str(self._ready(name))}
            with (self.home / f"{name}.log").open("ab") as log:
                self.processes[name] = subprocess.Popen(
                    [sys.executable, *arguments], cwd=ROOT, env=environment, stdout=log, stderr=log
                )
        for name in COMMANDS:
            self.wait_for(self._ready(name).exists)

    def stop(self) -> None:
        """Ask every process to end; kill what does not."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()
            process.wait()

    def wait_for(self, is_done: Callable[[], bool]) -> None:
        """Wait until something is true; with the logs in the failure when it never is."""
        deadline = time.monotonic() + PATIENCE_S
        while not is_done():
            died = [name for name, one in self.processes.items() if one.poll() is not None]
            if died or time.monotonic() > deadline:
                logs = [path.read_text(errors="replace")[-1500:] for path in self._logs()]
                raise AssertionError("\n".join([f"ended: {died}", *logs]))
            time.sleep(0.1)

    def send(self, *films: Dataset) -> None:
        """Send films as a modality does."""
        offers = sorted(
            {(str(ds.SOPClassUID), str(ds.file_meta.TransferSyntaxUID)) for ds in films}
        )
        with associated(self.node, offers, Requestor("MODALITY")) as association:
            for number, ds in enumerate(films):
                path = self.home / f"sent-{number}.dcm"
                path.write_bytes(film.encode(ds))
                assert association.send_c_store(path).Status == 0x0000

    def states(self) -> dict[str, list[str]]:
        """Return the states of the jobs of each study, oldest first."""
        with self.database.begin() as session:
            asked = select(JobRow.study_instance_uid, JobRow.state).order_by(JobRow.revision)
            found: dict[str, list[str]] = {}
            for study, state in session.execute(asked):
                found.setdefault(study, []).append(state)
            return found

    def count(self, row: type[InstanceRow | JobRow | ResultRow]) -> int:
        """Return how many rows of a table there are."""
        with self.database.begin() as session:
            return int(session.execute(select(func.count()).select_from(row)).scalar_one())

    def events(self, event_type: str) -> int:
        """Return how often something is in the audit trail."""
        with self.database.begin() as session:
            asked = select(func.count()).where(AuditEventRow.event_type == event_type)
            return int(session.execute(asked).scalar_one())

    def _ready(self, name: str) -> Path:
        return self.home / f"{name}.ready"

    def _logs(self) -> list[Path]:
        return sorted(self.home.glob("*.log"))


@contextlib.contextmanager
def installed(
    home: Path, database: Database, urls: DatabaseUrls, pacs: orthanc.Orthanc, port: int
) -> Iterator[Installation]:
    with brokers.running(home / "valkey") as broker:
        environment = {
            "CARINA_HOME": str(home),
            "CARINA_DATABASE_URL": urls.service,
            "CARINA_BROKER_URL": broker,
            "CARINA_PACS": str(pacs.node),
            "CARINA_LISTENER_PORT": str(port),
            "CARINA_QUIET_PERIOD_S": "1",
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(TESTS))),
            "PATH": os.environ["PATH"],
        }
        node = PacsNode("CARINA", "127.0.0.1", port)
        system = Installation(home, database, node, environment)
        try:
            system.start()
            yield system
        finally:
            system.stop()


def auto_routing(port: int) -> orthanc.OrthancOptions:
    """Make Orthanc send all that it stores to Carina, as a PACS with a careless rule does."""
    lua = """
    function OnStoredInstance(instanceId, tags, metadata, origin)
      SendToModality(instanceId, 'carina')
    end
    """
    carina = PacsNode("CARINA", "127.0.0.1", port)
    return orthanc.OrthancOptions(modalities={"carina": carina}, lua=lua)


def test_films_come_back_as_proven_drafts_and_nothing_goes_round(
    tmp_path: Path, database: Database, database_urls: DatabaseUrls
) -> None:
    port = orthanc.free_port()
    chest, lateral = a_film("chest"), a_film("lateral", view_position="LL")
    with (
        orthanc.running(tmp_path / "orthanc", auto_routing(port)) as pacs,
        installed(tmp_path, database, database_urls, pacs, port) as system,
    ):
        send.echo(system.node, Requestor("MODALITY"))
        system.send(chest, lateral)
        expected = {
            str(chest.StudyInstanceUID): [JobState.DELIVERED],
            str(lateral.StudyInstanceUID): [JobState.SKIPPED],
        }
        system.wait_for(lambda: system.states() == expected)

        results = kept(system)
        assert pacs.sop_instance_uids() == set(results)
        for uid, content in results.items():
            assert data_set_bytes(pacs.file(uid)) == data_set_bytes(content)
        text = [uid for uid in results if dcmread(DicomBytesIO(results[uid])).Modality == "SR"]
        assert text

        # Every result came back to the listener, was recognised, and ended there.
        system.wait_for(lambda: system.events("instance_received") >= 2 + len(results))
        time.sleep(3)  # three quiet periods: time enough for a study that should not open
        assert system.states() == expected
        assert system.count(InstanceRow) == 2
        assert system.count(ResultRow) == len(results)


def test_an_archive_that_was_down_gets_the_draft_when_it_is_back(
    tmp_path: Path, database: Database, database_urls: DatabaseUrls
) -> None:
    chest = a_film("chest")
    study = str(chest.StudyInstanceUID)
    with orthanc.running(tmp_path / "orthanc") as pacs:
        pacs.kill()
        with installed(tmp_path, database, database_urls, pacs, orthanc.free_port()) as system:
            system.send(chest)
            system.wait_for(lambda: system.events("sending_failed") >= 1)
            assert system.states() == {study: [JobState.ENCODED]}
            pacs.start()
            system.wait_for(lambda: system.states() == {study: [JobState.DELIVERED]})
            assert pacs.sop_instance_uids(study) == set(kept(system))


def kept(system: Installation) -> dict[str, bytes]:
    """Return the kept files of all jobs by SOP Instance UID."""
    with system.database.begin() as session:
        rows = session.scalars(select(ResultRow)).all()
    folder = system.home / "results"
    return {row.sop_instance_uid: (folder / row.path).read_bytes() for row in rows}
