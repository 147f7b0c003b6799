import hashlib
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from dicom_sender import (
    STORESCU,
    Office,
    association,
    bare_connection,
    listening,
    store,
    storescu,
)
from film_builders import a_film
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom.association import Association

from dicom import film, pixels, spool
from dicom.errors import IntakeUnavailable, SpoolUnavailable
from dicom.gate import Limits
from dicom.notices import NoticeKind
from dicom.values import Caller

pytestmark = pytest.mark.integration
DCMCJPEG = shutil.which("dcmcjpeg")
VERIFICATION = "1.2.840.10008.1.1"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
DEFAULT = ["1.2.840.10008.1.2"]


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def rejection(assoc: Association) -> tuple[int | None, int | None, int | None]:
    """Return result, source and diagnostic of an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""
    answer = assoc.acceptor.primitive
    assert answer is not None
    return answer.result, answer.result_source, answer.diagnostic


def test_echo_is_answered(tmp_path: Path) -> None:
    with (
        listening(tmp_path, Office()) as listener,
        association(listener.port, [(VERIFICATION, DEFAULT)]) as assoc,
    ):
        assert assoc.send_c_echo().Status == 0x0000


def test_a_stored_film_lies_in_the_spool_as_it_was_sent(tmp_path: Path) -> None:
    office, ds = Office(), a_film("as-sent")
    with listening(tmp_path, office) as listener:
        assert store(listener.port, ds).Status == 0x0000
    (received,) = office.received
    content = received.spool_path.read_bytes()
    assert content.endswith(film.encode(ds).partition(b"CARINA_0_1")[2])
    assert received.spool_path.is_relative_to((tmp_path / "spool" / "objects").absolute())
    assert received.size_bytes == len(content)
    assert received.sha256 == spool.digest(received.spool_path)
    start = spool.data_set_start(content)
    assert received.sha256 == hashlib.sha256(content[start:]).hexdigest()
    assert received.ref.sop_instance_uid == ds.SOPInstanceUID
    assert received.peer.calling_ae_title == "MODALITY"
    assert received.peer.address == "127.0.0.1"
    assert received.received_at.tzinfo is not None
    assert files_in(tmp_path / "spool" / "incoming") == []


@pytest.mark.skipif(STORESCU is None, reason="dcmtk is not installed")
def test_a_real_film_from_dcmtk_keeps_every_pixel(tmp_path: Path) -> None:
    office, path = Office(), Path(str(get_testdata_file("RG1_UNCR.dcm")))
    with listening(tmp_path, office) as listener:
        done = storescu(listener.port, path)
    assert done.returncode == 0, done.stderr
    (received,) = office.received
    assert dcmread(received.spool_path).PixelData == dcmread(path).PixelData
    assert received.header.view_position == "PA"


@pytest.mark.skipif(DCMCJPEG is None, reason="dcmtk is not installed")
@pytest.mark.parametrize(
    ("encoder", "offer", "syntax"),
    [
        (["dcmcjpeg", "+e1", "+ua"], "-xs", "1.2.840.10008.1.2.4.70"),
        (["dcmcjpls", "+ua"], "-xt", "1.2.840.10008.1.2.4.80"),
        (["dcmcrle", "+ua"], "-xr", "1.2.840.10008.1.2.5"),
        (["dcmconv", "+td"], "-xd", "1.2.840.10008.1.2.1.99"),
    ],
)
def test_compressed_films_come_in_as_they_are(
    tmp_path: Path, encoder: list[str], offer: str, syntax: str
) -> None:
    office, plain, packed = Office(), tmp_path / "plain.dcm", tmp_path / "packed.dcm"
    plain.write_bytes(film.encode(a_film("compressed", rows=256, columns=256)))
    subprocess.run([*encoder, str(plain), str(packed)], check=True)
    with listening(tmp_path, office) as listener:
        done = storescu(listener.port, packed, offer)
    assert done.returncode == 0, done.stderr
    (received,) = office.received
    assert received.transfer_syntax_uid == syntax
    np.testing.assert_array_equal(
        pixels.read(received.spool_path).pixels, pixels.read(plain).pixels
    )


def test_the_same_film_twice_is_one_file(tmp_path: Path) -> None:
    office = Office()
    with listening(tmp_path, office) as listener:
        for _ in range(2):
            assert store(listener.port, a_film("twice")).Status == 0x0000
    assert len(office.received) == 2
    assert len(files_in(tmp_path / "spool" / "objects")) == 1


def test_success_is_not_said_before_the_instance_is_recorded(tmp_path: Path) -> None:
    office = Office(failure=IntakeUnavailable("database is down"))
    with listening(tmp_path, office) as listener:
        response = store(listener.port, a_film("unrecorded"))
        assert response.Status == 0xA700
        assert response.ErrorComment == "cannot be recorded now"
        office.failure = None
        assert store(listener.port, a_film("unrecorded")).Status == 0x0000
    refused = office.wait_for(NoticeKind.INSTANCE_REFUSED)
    assert refused.status == 0xA700
    assert refused.sop_instance_uid == a_film("unrecorded").SOPInstanceUID


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (SpoolUnavailable("full"), 0xA700),
        (OSError(28, "no space"), 0xA700),
        (ValueError("Doe^Jane"), 0xC0FF),
    ],
)
def test_every_failure_of_the_service_has_a_status(
    tmp_path: Path, failure: Exception, status: int
) -> None:
    with listening(tmp_path, Office(failure=failure)) as listener:
        response = store(listener.port, a_film("failing"))
    assert response.Status == status
    assert "Doe" not in str(response.get("ErrorComment", ""))


def test_a_caller_from_the_list_is_let_in_and_another_is_rejected(tmp_path: Path) -> None:
    office = Office()
    callers = (Caller("CR1", "127.0.0.1"), Caller("CR2", "10.9.9.9"))
    with listening(tmp_path, office, callers=callers) as listener:
        with association(listener.port, [(VERIFICATION, DEFAULT)], calling="CR1") as assoc:
            assert assoc.is_established
        with association(listener.port, [(VERIFICATION, DEFAULT)], calling="CR2") as assoc:
            assert assoc.is_rejected
            assert rejection(assoc) == (1, 1, 3)
    notice = office.wait_for(NoticeKind.ASSOCIATION_REJECTED)
    assert notice.peer.calling_ae_title == "CR2"


def test_a_wrong_called_ae_title_is_rejected(tmp_path: Path) -> None:
    with (
        listening(tmp_path, Office()) as listener,
        association(listener.port, [(VERIFICATION, DEFAULT)], called="OTHER") as assoc,
    ):
        assert assoc.is_rejected
        assert rejection(assoc) == (1, 1, 7)


def test_an_unknown_sop_class_is_refused_alone_and_told(tmp_path: Path) -> None:
    office = Office()
    offered = [(VERIFICATION, DEFAULT), (CT_IMAGE, DEFAULT)]
    with listening(tmp_path, office) as listener, association(listener.port, offered) as assoc:
        assert assoc.is_established
        assert [context.abstract_syntax for context in assoc.rejected_contexts] == [CT_IMAGE]
        assert assoc.send_c_echo().Status == 0x0000
    assert office.wait_for(NoticeKind.CONTEXT_REJECTED).contexts == (CT_IMAGE,)


def test_the_same_refused_context_is_told_once(tmp_path: Path) -> None:
    office = Office()
    with listening(tmp_path, office) as listener:
        for _ in range(3):
            with association(listener.port, [(CT_IMAGE, DEFAULT)]):
                pass
    told = [notice for notice in office.notices if notice.kind is NoticeKind.CONTEXT_REJECTED]
    assert len(told) == 1


def test_a_sop_class_of_the_site_is_recorded(tmp_path: Path) -> None:
    office, ds = Office(), a_film("ct")
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = CT_IMAGE
    with listening(tmp_path, office, other_sop_classes=(CT_IMAGE,)) as listener:
        assert store(listener.port, ds).Status == 0x0000
    assert not office.received[0].header.is_candidate


def test_an_implicit_data_set_is_read_too(tmp_path: Path) -> None:
    office, ds = Office(), a_film("implicit")
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    with listening(tmp_path, office) as listener:
        assert store(listener.port, ds).Status == 0x0000
    assert office.received[0].transfer_syntax_uid == ImplicitVRLittleEndian


def test_too_many_associations_are_rejected_for_now_and_places_come_free(tmp_path: Path) -> None:
    office = Office()
    offered = [(VERIFICATION, DEFAULT)]
    with listening(tmp_path, office, limits=Limits(maximum_associations=2)) as listener:
        with (
            association(listener.port, offered),
            association(listener.port, offered),
            association(listener.port, offered) as third,
        ):
            assert third.is_rejected
            assert rejection(third) == (2, 3, 2)
        with association(listener.port, offered) as again:
            assert again.is_established


def test_two_listeners_share_one_port(tmp_path: Path) -> None:
    office = Office()
    with (
        listening(tmp_path, office, reuse_port=True) as first,
        listening(tmp_path, office, reuse_port=True, port=first.port) as second,
    ):
        assert second.port == first.port
        for number in range(4):
            assert store(first.port, a_film(f"shared-{number}")).Status == 0x0000
    assert len(office.received) == 4


def test_a_stopped_listener_takes_nothing_more(tmp_path: Path) -> None:
    with listening(tmp_path, Office()) as listener:
        listener.stop()
        assert not listener.is_alive
        with pytest.raises(ConnectionRefusedError), bare_connection(listener.port):
            pass
