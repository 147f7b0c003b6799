"""Bounds below the level of DIMSE: bytes that are no DICOM, silence, floods, cut transfers."""

import contextlib
import struct
import threading
from pathlib import Path

import pytest
from dicom_sender import (
    Office,
    association,
    bare_connection,
    eventually,
    is_closed_by_peer,
    listening,
    pdu,
    pdv,
    raw_socket,
    send_first_half,
    store,
    store_command,
)
from film_builders import a_film

from dicom.gate import Limits
from dicom.notices import NoticeKind
from dicom.receive import Listener
from dicom.values import Caller

pytestmark = pytest.mark.integration
CR_IMAGE = "1.2.840.10008.5.1.4.1.1.1"
EXPLICIT = "1.2.840.10008.1.2.1"
P_DATA, RELEASE = 0x04, 0x05


def left_behind(root: Path) -> list[Path]:
    return list((root / "spool" / "incoming").iterdir())


def still_answers(listener: Listener) -> bool:
    return bool(store(listener.port, a_film("still-answers")).Status == 0x0000)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: pacs\r\n\r\n",
        pdu(0x01, b"\xff" * 200),
        pdu(0x99, b"abc"),
        pdu(P_DATA, b"\0" * 64),
        pdu(RELEASE, b"\0" * 4),
    ],
    ids=["http", "garbage request", "unknown pdu", "data too early", "release too early"],
)
def test_bytes_that_are_no_dicom_end_the_connection(tmp_path: Path, data: bytes) -> None:
    with listening(tmp_path, Office(), acse_timeout_s=0.5) as listener:
        with bare_connection(listener.port) as connection:
            connection.sendall(data)
            assert is_closed_by_peer(connection, 5)
        assert still_answers(listener)


def item(kind: int, body: bytes) -> bytes:
    """Return an item of an association request (PS3.8 9.3.2)."""
    return struct.pack(">BBH", kind, 0, len(body)) + body


@pytest.mark.parametrize(
    "syntaxes",
    [item(0x30, CR_IMAGE.encode()), item(0x40, EXPLICIT.encode()), b""],
    ids=["no transfer syntax", "no abstract syntax", "neither"],
)
def test_a_context_without_its_syntaxes_is_no_request(tmp_path: Path, syntaxes: bytes) -> None:
    names = b"CARINA".ljust(16) + b"SENDER".ljust(16) + bytes(32)
    body = b"\0\1\0\0" + names + item(0x10, b"1.2.840.10008.3.1.1.1")
    body += item(0x20, b"\1\0\0\0" + syntaxes)
    body += item(0x50, item(0x51, (16384).to_bytes(4)) + item(0x52, b"1.2.3"))
    with listening(tmp_path, Office(), acse_timeout_s=0.5) as listener:
        with bare_connection(listener.port) as connection:
            connection.sendall(pdu(0x01, body))
            assert connection.recv(1) in {b"\x03", b"\x07"}  # A-ASSOCIATE-RJ, A-ABORT
            assert is_closed_by_peer(connection, 5)
        assert still_answers(listener)


def test_a_pdu_of_four_gigabytes_is_not_awaited(tmp_path: Path) -> None:
    with listening(tmp_path, Office()) as listener:
        with bare_connection(listener.port) as connection:
            connection.sendall(pdu(0x01, b"", length=0xFFFFFFF0))
            assert is_closed_by_peer(connection, 3)
        assert still_answers(listener)


def test_a_pdu_longer_than_agreed_aborts_the_association(tmp_path: Path) -> None:
    office = Office()
    with (
        listening(tmp_path, office) as listener,
        association(listener.port, [(CR_IMAGE, [EXPLICIT])]) as assoc,
    ):
        raw_socket(assoc).send(pdu(P_DATA, b"", length=1 << 24))
        assert eventually(lambda: not assoc.is_established, 5)
    office.wait_for(NoticeKind.ASSOCIATION_ABORTED)


def test_a_silent_connection_is_closed(tmp_path: Path) -> None:
    with (
        listening(tmp_path, Office(), acse_timeout_s=0.5) as listener,
        bare_connection(listener.port) as connection,
    ):
        assert is_closed_by_peer(connection, 5)


def test_half_a_pdu_and_then_silence_is_closed(tmp_path: Path) -> None:
    with (
        listening(tmp_path, Office(), acse_timeout_s=0.5, socket_timeout_s=0.5) as listener,
        bare_connection(listener.port) as connection,
    ):
        connection.sendall(pdu(0x01, b"\0\1", length=500))
        assert is_closed_by_peer(connection, 5)


def test_silent_connections_take_no_place_of_those_who_speak(tmp_path: Path) -> None:
    office = Office()
    limits = Limits(maximum_associations=1, connections_per_address=8)
    with listening(tmp_path, office, limits=limits) as listener:
        held = [bare_connection(listener.port) for _ in range(6)]
        for connection in held:
            connection.__enter__()
        assert still_answers(listener)
        for connection in held:
            connection.__exit__(None, None, None)


def test_a_stranger_gets_few_connections_and_the_flood_is_told_once(tmp_path: Path) -> None:
    office = Office()
    limits = Limits(connections_per_stranger=1)
    callers = (Caller("CR1", "10.9.9.9"),)
    with (
        listening(tmp_path, office, limits=limits, callers=callers) as listener,
        bare_connection(listener.port),
    ):
        for _ in range(3):
            with bare_connection(listener.port) as refused:
                assert is_closed_by_peer(refused, 5)
    rejected = [n for n in office.notices if n.kind is NoticeKind.ASSOCIATION_REJECTED]
    assert len(rejected) == 1


@pytest.mark.parametrize("ending", ["abort", "close", "silence"])
def test_a_transfer_cut_in_the_middle_leaves_nothing(tmp_path: Path, ending: str) -> None:
    office = Office()
    with listening(tmp_path, office, socket_timeout_s=1.0, network_timeout_s=1.0) as listener:
        with association(listener.port, [(CR_IMAGE, [EXPLICIT])]) as assoc:
            send_first_half(assoc)
            assert eventually(lambda: len(left_behind(tmp_path)) == 1)
            if ending == "abort":
                assoc.abort()
            elif ending == "close":
                raw_socket(assoc).close()
            assert eventually(lambda: left_behind(tmp_path) == [])
            assert eventually(lambda: not assoc.is_established)
        assert still_answers(listener)
    assert len(office.received) == 1


def test_a_command_set_without_end_is_not_collected(tmp_path: Path) -> None:
    office = Office()
    with (
        listening(tmp_path, office) as listener,
        association(listener.port, [(CR_IMAGE, [EXPLICIT])]) as assoc,
        raw_socket(assoc) as line,  # its library leaves it open when the peer was quicker
    ):
        piece = pdv(1, 0x01, bytes(60000))  # a command set, not the last fragment
        with contextlib.suppress(OSError):  # the listener may have hung up before the last piece
            for _ in range(4):
                line.send(pdu(P_DATA, piece))
        assert eventually(lambda: not assoc.is_established, 5)
    office.wait_for(NoticeKind.ASSOCIATION_ABORTED)


def test_a_message_on_a_context_never_offered_aborts_quietly(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    office = Office()
    with (
        listening(tmp_path, office) as listener,
        association(listener.port, [(CR_IMAGE, [EXPLICIT])]) as assoc,
    ):
        raw_socket(assoc).send(pdu(P_DATA, pdv(77, 0x03, store_command())))
        assert eventually(lambda: not assoc.is_established, 5)
    office.wait_for(NoticeKind.ASSOCIATION_ABORTED)
    assert "Traceback" not in capfd.readouterr().err
    assert left_behind(tmp_path) == []


def test_many_senders_at_once_lose_nothing(tmp_path: Path) -> None:
    office = Office()
    statuses: list[int] = []
    with listening(tmp_path, office) as listener:

        def send(number: int) -> None:
            statuses.append(store(listener.port, a_film(f"many-{number}")).Status)

        threads = [threading.Thread(target=send, args=(number,)) for number in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses == [0x0000] * 10
    assert len({instance.spool_path for instance in office.received}) == 10
