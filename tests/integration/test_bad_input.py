"""Bad input over a real association: a clear answer, and nothing left behind."""

import errno
import os
import struct
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from dicom_sender import (
    STORESCU,
    Office,
    association,
    listening,
    pdu,
    pdv,
    raw_socket,
    store,
    store_command,
    storescu,
)
from film_builders import a_film
from pydicom.dataset import Dataset
from pynetdicom.dimse_primitives import C_STORE

from dicom import film, incoming
from dicom.notices import NoticeKind
from dicom.receive import Listener

pytestmark = pytest.mark.integration
CR_IMAGE = "1.2.840.10008.5.1.4.1.1.1"
EXPLICIT = "1.2.840.10008.1.2.1"
VERIFICATION = "1.2.840.10008.1.1"
P_DATA, RELEASE, ABORT = 0x04, 0x05, 0x07


def left_behind(root: Path) -> list[Path]:
    return list((root / "spool" / "incoming").iterdir())


def still_answers(listener: Listener) -> bool:
    return bool(store(listener.port, a_film("still-answers")).Status == 0x0000)


def send_bytes(
    listener: Listener, data: bytes, *, sop_class: str = CR_IMAGE, instance: str = "1.2.3"
) -> Dataset | None:
    """Store any bytes as if they were a data set; None when the association was aborted."""
    with association(listener.port, [(CR_IMAGE, [EXPLICIT])]) as assoc:
        request = C_STORE()
        request.MessageID = 1
        request.AffectedSOPClassUID = sop_class
        # Set past the check of the sender's own library: the receiver is what is tested.
        request._AffectedSOPInstanceUID = instance  # type: ignore[assignment]
        request.DataSet = BytesIO(data)
        request.Priority = 2
        assoc._reactor_checkpoint.clear()
        assoc.dimse.send_msg(request, assoc.accepted_contexts[0].context_id)
        _, response = assoc.dimse.get_msg(block=True)
        assoc._reactor_checkpoint.set()
        if response is None:
            return None
        answer = Dataset()
        answer.Status = response.Status  # type: ignore[union-attr]
        return answer


def body_of(ds: Dataset) -> bytes:
    content = film.encode(ds)
    length = int.from_bytes(content[140:144], "little")
    return content[144 + length :]


def status_of(response: Dataset | None) -> int:
    assert response is not None
    return int(response.Status)


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_a_data_set_without_a_uid_does_not_match(tmp_path: Path, keyword: str) -> None:
    office, ds = Office(), a_film("no-uid")
    with listening(tmp_path, office) as listener:
        instance = str(ds.SOPInstanceUID)
        delattr(ds, keyword)
        response = send_bytes(listener, body_of(ds), instance=instance)
        assert status_of(response) == 0xA900
        assert still_answers(listener)
    assert left_behind(tmp_path) == []
    assert len(office.received) == 1


@pytest.mark.parametrize(
    "uid", ["../../../etc/passwd", "1.2/../../3", "1.2.3\x00.4", "", "1" * 65, "1..2", "nan"]
)
def test_a_hostile_uid_reaches_no_path(tmp_path: Path, uid: str) -> None:
    office, ds = Office(), a_film("hostile")
    instance = str(ds.SOPInstanceUID)
    explicit = body_of(ds)
    study = str(ds.StudyInstanceUID).encode()
    value = uid.encode().ljust(len(uid) + len(uid) % 2, b"\0")
    tag = b"\x20\x00\x0d\x00UI"
    begin = explicit.index(tag)
    old = int.from_bytes(explicit[begin + 6 : begin + 8], "little")
    hostile = (
        explicit[: begin + 6] + struct.pack("<H", len(value)) + value + explicit[begin + 8 + old :]
    )
    assert study not in hostile
    with listening(tmp_path, office) as listener:
        assert status_of(send_bytes(listener, hostile, instance=instance)) == 0xA900
    assert office.received == []
    assert [path for path in (tmp_path / "spool" / "objects").rglob("*") if path.is_file()] == []


@pytest.mark.filterwarnings("ignore")  # of the sender's library, which is not tested
def test_a_hostile_uid_in_the_command_set_ends_there(tmp_path: Path) -> None:
    office, ds = Office(), a_film("hostile-command")
    with listening(tmp_path, office) as listener:
        response = send_bytes(listener, body_of(ds), instance="../../../../tmp/x")
        assert response is None or response.Status == 0xA900
        assert still_answers(listener)
    assert office.wait_for(NoticeKind.INSTANCE_REFUSED).sop_instance_uid in {"not a UID", None}
    assert left_behind(tmp_path) == []


def test_another_instance_than_announced_does_not_match(tmp_path: Path) -> None:
    with listening(tmp_path, Office()) as listener:
        response = send_bytes(listener, body_of(a_film("announced")), instance="1.2.3.4")
        assert status_of(response) == 0xA900


def test_another_sop_class_than_the_context_does_not_match(tmp_path: Path) -> None:
    ds = a_film("other-class")
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    with listening(tmp_path, Office()) as listener:
        response = send_bytes(listener, body_of(ds), instance=str(ds.SOPInstanceUID))
        assert status_of(response) == 0xA900


@pytest.mark.parametrize(
    "data",
    [b"\xff" * 4096, b"GET / HTTP/1.1\r\n\r\n" * 9, b"\0" * 333],
    ids=["ff", "http", "zeros"],
)
def test_garbage_bytes_cannot_be_understood(tmp_path: Path, data: bytes) -> None:
    office = Office()
    with listening(tmp_path, office) as listener:
        assert status_of(send_bytes(listener, data)) in {0xC000, 0xA900}
        assert still_answers(listener)
    assert office.wait_for(NoticeKind.INSTANCE_REFUSED).status in {0xC000, 0xA900}
    assert left_behind(tmp_path) == []


def test_a_header_cut_short_is_refused(tmp_path: Path) -> None:
    ds = a_film("cut")
    whole = body_of(ds)
    with listening(tmp_path, Office()) as listener:
        cut = whole[: whole.index(b"\x20\x00\x0d\x00UI") + 20]
        response = send_bytes(listener, cut, instance=str(ds.SOPInstanceUID))
        assert status_of(response) in {0xC000, 0xA900}


def test_a_store_without_a_data_set_is_answered(tmp_path: Path) -> None:
    office = Office()
    with (
        listening(tmp_path, office) as listener,
        association(listener.port, [(CR_IMAGE, [EXPLICIT])]) as assoc,
    ):
        assoc._reactor_checkpoint.clear()
        raw_socket(assoc).send(pdu(0x04, pdv(1, 0x03, store_command(data_set_type=0x0101))))
        _, response = assoc.dimse.get_msg(block=True)
        assoc._reactor_checkpoint.set()
        assert response is not None
        assert response.Status == 0xC000  # type: ignore[union-attr]
        assert still_answers(listener)
    assert [instance.ref for instance in office.received if instance.size_bytes < 1000] == []


def test_a_deflated_bomb_is_not_inflated(tmp_path: Path) -> None:
    ds = a_film("bomb")
    deflated = "1.2.840.10008.1.2.1.99"
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    huge = b"\x09\x00\x10\x10UN\0\0" + struct.pack("<L", 1 << 28)
    data = squeeze.compress(huge + bytes(1 << 28)) + squeeze.flush()
    assert len(data) < 1 << 20
    with (
        listening(tmp_path, Office()) as listener,
        association(listener.port, [(CR_IMAGE, [deflated])]) as assoc,
    ):
        request = C_STORE()
        request.MessageID, request.Priority = 1, 2
        request.AffectedSOPClassUID = CR_IMAGE
        request.AffectedSOPInstanceUID = str(ds.SOPInstanceUID)
        request.DataSet = BytesIO(data)
        assoc._reactor_checkpoint.clear()
        assoc.dimse.send_msg(request, assoc.accepted_contexts[0].context_id)
        _, response = assoc.dimse.get_msg(block=True)
        assoc._reactor_checkpoint.set()
        assert response is not None
        assert response.Status in {0xC000, 0xA900}  # type: ignore[union-attr]


def test_a_full_disk_is_answered_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(descriptor: int, data: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    office = Office()
    with listening(tmp_path, office) as listener:
        with monkeypatch.context() as patch:
            patch.setattr(incoming.os, "write", no_space)
            response = store(listener.port, a_film("full"))
        assert response.Status == 0xA700
        assert left_behind(tmp_path) == []
        assert still_answers(listener)
    assert office.wait_for(NoticeKind.INSTANCE_REFUSED).reason == "no space for the data set"


def test_below_the_reserve_nothing_is_written(tmp_path: Path) -> None:
    office = Office()
    with listening(tmp_path, office, disk_reserve_bytes=1 << 62) as listener:
        assert store(listener.port, a_film("reserve")).Status == 0xA700
    assert office.received == []
    assert left_behind(tmp_path) == []


def test_an_object_larger_than_allowed_is_refused(tmp_path: Path) -> None:
    with listening(tmp_path, Office(), maximum_object_bytes=4096) as listener:
        assert store(listener.port, a_film("large", rows=128, columns=128)).Status == 0xA700
    assert left_behind(tmp_path) == []


def test_an_unknown_transfer_syntax_is_refused_in_its_context(tmp_path: Path) -> None:
    office = Office()
    mpeg = "1.2.840.10008.1.2.4.102"
    with (
        listening(tmp_path, office) as listener,
        association(listener.port, [(CR_IMAGE, [mpeg]), (VERIFICATION, [EXPLICIT])]) as assoc,
    ):
        assert [context.result for context in assoc.rejected_contexts] == [0x04]
    assert office.wait_for(NoticeKind.CONTEXT_REJECTED).contexts == (CR_IMAGE,)


@pytest.mark.skipif(STORESCU is None, reason="dcmtk is not installed")
def test_dcmtk_is_told_that_a_data_set_is_broken(tmp_path: Path) -> None:
    ds = a_film("dcmtk")
    del ds.StudyInstanceUID
    path = tmp_path / "broken.dcm"
    path.write_bytes(film.encode(ds))
    with listening(tmp_path, Office()) as listener:
        done = storescu(listener.port, path)
    assert "DataSetDoesNotMatchSOPClass" in done.stderr
