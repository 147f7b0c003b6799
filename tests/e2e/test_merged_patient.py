"""`carina up` with HL7: a merge over MLLP, a film under the old number, a draft under the new.

The network is the shipped one; there is no archive, so the draft is kept in shadow.
"""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from installations import home_folder
from orthanc import free_port
from pydicom import dcmread
from pydicom.dataset import Dataset

from scripts.installation import Installation
from scripts.soak.films import Maker
from service.processes import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(280)]

PATIENCE_S = 200.0
NUMBER = 1
OLD, NEW = f"SOAK-{NUMBER}", "K-4711"
MERGE = "\r".join(
    (
        "MSH|^~\\&|RIS|KH|CARINA|KH|20260301120000||ADT^A40^ADT_A39|merge-1|P|2.5",
        "EVN||20260301120000",
        f"PID|||{NEW}||Roe^Jane||19600101|O",
        f"MRG|{OLD}",
        "",
    )
).encode()


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Installation, int]]:
    port = free_port()
    settings = {
        "CARINA_LISTENER_PORT": str(free_port()),
        "CARINA_WEB_PORT": str(free_port()),
        "CARINA_HL7_PORT": str(port),
        "CARINA_QUIET_PERIOD_S": "1",
        "CARINA_RESULTS": "text",
    }
    with home_folder() as folder:
        installation = Installation(folder / "carina", settings)
        try:
            installation.up()
            yield installation, port
        finally:
            installation.down()


def told(port: int, message: bytes) -> bytes:
    """Send one message by MLLP; return the answer to it."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as line:
        line.settimeout(PATIENCE_S)
        line.sendall(b"\x0b" + message + b"\x1c\r")
        answer = b""
        while not answer.endswith(b"\x1c\r"):
            part = line.recv(4096)
            assert part, "the line was cut before an answer"
            answer += part
    return answer


def draft_of(home: Path, study: str) -> Dataset | None:
    """Return the text SR that is kept of a study."""
    for path in sorted((home / "results").rglob("*.dcm")):
        ds = dcmread(path)
        if ds.StudyInstanceUID == study and ds.Modality == "SR":
            return ds
    return None


def test_a_film_under_the_old_number_gets_its_draft_under_the_new_one(
    running: tuple[Installation, int], tmp_path: Path
) -> None:
    installation, port = running
    assert b"MSA|AA|merge-1" in told(port, MERGE)
    assert b"MSA|AA|merge-1" in told(port, MERGE), "the same message again changes nothing"
    (merge,) = installation.ask("patients", "list")
    assert (merge["kind"], merge["studies"]) == ("MERGE", 0)
    assert merge["made_by"].startswith("hl7 RIS")
    assert "merge-1" in installation.carina("patients", "messages")

    film = Maker("merged").make(NUMBER)
    path = tmp_path / "film.dcm"
    path.write_bytes(film.content)
    assert dcmread(path).PatientID == OLD
    installation.carina("send", str(path))
    assert wait_until(
        lambda: draft_of(installation.home, film.study_instance_uid) is not None, PATIENCE_S
    )
    draft = draft_of(installation.home, film.study_instance_uid)
    assert draft is not None
    assert (draft.PatientID, draft.PatientName) == (NEW, "Roe^Jane")
    events = installation.ask("audit", "list")
    assert [one["event_type"] for one in events].count("patient_message") == 1
    assert not any(text in str(events) for text in (OLD, NEW, "Roe"))
