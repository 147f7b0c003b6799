"""The optional short way of a data set into the spool: the same bytes, the same bounds."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dicom_sender import (
    Office,
    association,
    eventually,
    listening,
    pdu,
    pdv,
    raw_socket,
    send_first_half,
    store,
    store_command,
)
from film_builders import a_film
from pynetdicom.dsutils import encode

from dicom import fast_path, receive, upper_layer
from dicom.notices import NoticeKind

pytestmark = pytest.mark.integration
CR_IMAGE = "1.2.840.10008.5.1.4.1.1.1"
EXPLICIT = "1.2.840.10008.1.2.1"
P_DATA = 0x04
GOING_ON, LAST = 0x00, 0x02


def data_set() -> bytes:
    """Return the data set of the film that `store_command` announces."""
    ds = a_film("in pieces")
    ds.SOPInstanceUID = "1.2.3.4"
    encoded = encode(ds, is_implicit_vr=False, is_little_endian=True)
    assert encoded is not None
    return encoded


def pieces(whole: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(whole), size):
        yield whole[start : start + size]


def one_by_one(context: int, whole: bytes) -> list[bytes]:
    *first, last = pieces(whole, 1001)
    items = [pdv(context, GOING_ON, one) for one in first] + [pdv(context, LAST, last)]
    return [pdu(P_DATA, one) for one in items]


def several_at_once(context: int, whole: bytes) -> list[bytes]:
    *first, last = pieces(whole, 500)
    items = [pdv(context, GOING_ON, one) for one in first]
    together = [pdu(P_DATA, b"".join(items[at : at + 3])) for at in range(0, len(items), 3)]
    return [*together, pdu(P_DATA, pdv(context, LAST, last))]


def last_beside_others(context: int, whole: bytes) -> list[bytes]:
    first, second, *rest = pieces(whole, len(whole) // 3 + 1)
    items = pdv(context, GOING_ON, second) + pdv(context, LAST, b"".join(rest))
    return [pdu(P_DATA, pdv(context, GOING_ON, first)), pdu(P_DATA, items)]


def empty_last(context: int, whole: bytes) -> list[bytes]:
    return [pdu(P_DATA, pdv(context, GOING_ON, whole)), pdu(P_DATA, pdv(context, LAST, b""))]


def nothing_between(context: int, whole: bytes) -> list[bytes]:
    return [pdu(P_DATA, pdv(context, GOING_ON, b"")), pdu(P_DATA, b""), *empty_last(context, whole)]


Split = Callable[[int, bytes], list[bytes]]
SPLITS = (one_by_one, several_at_once, last_beside_others, empty_last, nothing_between)


def received_file(root: Path, split: Split, *, quickly: bool) -> bytes:
    """Send the film in this way; return the file that lies in the spool."""
    office = Office()
    with (
        listening(root, office, fast_path=quickly) as listener,
        association(listener.port, [(CR_IMAGE, [EXPLICIT])]) as assoc,
    ):
        context = assoc.accepted_contexts[0].context_id
        assert context is not None
        raw_socket(assoc).sendall(pdu(P_DATA, pdv(context, 0x03, store_command())))
        for one in split(context, data_set()):
            raw_socket(assoc).sendall(one)
        assert eventually(lambda: len(office.received) == 1, 60)
    return office.received[0].spool_path.read_bytes()


def test_it_is_off_unless_asked_for() -> None:
    assert receive.ListenerConfig(Path()).fast_path is False


def test_the_pynetdicom_installed_is_the_one_it_was_made_for() -> None:
    assert fast_path.obstacle() is None


@pytest.mark.parametrize("split", SPLITS)
def test_the_file_is_the_same_however_it_comes(tmp_path: Path, split: Split) -> None:
    usual = received_file(tmp_path / "usual", split, quickly=False)
    assert received_file(tmp_path / "short", split, quickly=True) == usual
    assert usual.endswith(data_set())


def test_fragments_do_not_go_the_long_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    real = upper_layer.BoundedDimse.receive_primitive

    def counted(self: upper_layer.BoundedDimse, primitive: object) -> None:
        taken.append(1)
        real(self, primitive)  # type: ignore[arg-type]

    monkeypatch.setattr(upper_layer.BoundedDimse, "receive_primitive", counted)
    received_file(tmp_path / "usual", one_by_one, quickly=False)
    usual = len(taken)
    taken.clear()
    received_file(tmp_path / "short", one_by_one, quickly=True)
    assert usual > len(taken) == 2  # the command set and the last fragment


def test_several_films_in_one_association_are_answered_one_by_one(tmp_path: Path) -> None:
    office = Office()
    films = [a_film(f"film {number}", 300, 400) for number in range(3)]
    with (
        listening(tmp_path, office, fast_path=True) as listener,
        association(listener.port, [(CR_IMAGE, [EXPLICIT])]) as assoc,
    ):
        assert [assoc.send_c_store(one).Status for one in films] == [0, 0, 0]
    assert [one.ref.sop_instance_uid for one in office.received] == [
        one.SOPInstanceUID for one in films
    ]


def test_a_pdu_longer_than_agreed_aborts_in_the_middle_of_a_data_set(tmp_path: Path) -> None:
    office = Office()
    with (
        listening(tmp_path, office, fast_path=True) as listener,
        association(listener.port, [(CR_IMAGE, [EXPLICIT])]) as assoc,
    ):
        send_first_half(assoc)
        raw_socket(assoc).send(pdu(P_DATA, b"", length=1 << 24))
        assert eventually(lambda: not assoc.is_established, 30)
    office.wait_for(NoticeKind.ASSOCIATION_ABORTED, 30)
    assert office.received == []


@pytest.mark.parametrize("ending", ["half a PDU", "close", "abort", "not a PDU"])
def test_a_transfer_cut_in_the_middle_leaves_nothing(tmp_path: Path, ending: str) -> None:
    office = Office()
    limits = {"socket_timeout_s": 1.0, "network_timeout_s": 2.0, "fast_path": True}
    with listening(tmp_path, office, **limits) as listener:
        with association(listener.port, [(CR_IMAGE, [EXPLICIT])]) as assoc:
            send_first_half(assoc)
            if ending == "half a PDU":
                raw_socket(assoc).send(pdu(P_DATA, b"\0\0", length=5000))
            elif ending == "close":
                raw_socket(assoc).close()
            elif ending == "abort":
                assoc.abort()
            else:
                raw_socket(assoc).send(pdu(0x99, b"abc"))
            incoming = tmp_path / "spool" / "incoming"
            assert eventually(lambda: not list(incoming.iterdir()), 30)
            assert eventually(lambda: not assoc.is_established, 30)
        assert store(listener.port, a_film("still answers")).Status == 0x0000
    assert len(office.received) == 1


def test_an_object_larger_than_allowed_is_still_answered(tmp_path: Path) -> None:
    with listening(tmp_path, Office(), fast_path=True, maximum_object_bytes=50_000) as listener:
        assert store(listener.port, a_film("large", 300, 400)).Status == 0xA700


def test_another_pynetdicom_gets_the_usual_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_path, "MADE_FOR_SHA256", "0" * 64)
    fast_path.obstacle.cache_clear()
    try:
        assert fast_path.obstacle() == "this pynetdicom is not the one it was made for"
        installed: list[object] = []
        monkeypatch.setattr(fast_path, "install", lambda *given: installed.append(given))
        with listening(tmp_path, Office(), fast_path=True) as listener:
            assert store(listener.port, a_film("usual")).Status == 0x0000
        assert installed == []
    finally:
        fast_path.obstacle.cache_clear()
