"""Limits of the listener that need more than one address, or a disk that is really full."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from dicom_sender import Office, association, bare_connection, is_closed_by_peer, listening, store
from film_builders import a_film

from dicom.gate import Limits
from dicom.values import Caller

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
VERIFICATION = "1.2.840.10008.1.1"
DEFAULT = ["1.2.840.10008.1.2"]
KNOWN = (Caller("*", "127.0.0.1"),)
MEGABYTE = 1 << 20


def from_address(address: str, port: int) -> socket.socket:
    """Connect from another address of the loopback network."""
    return socket.create_connection(("127.0.0.1", port), 20, source_address=(address, 0))


def is_open(connection: socket.socket) -> bool:
    return not is_closed_by_peer(connection, 0.01)


def test_a_hundred_silent_strangers_cost_little_and_keep_no_modality_out(tmp_path: Path) -> None:
    office = Office()
    limits = Limits(connections_per_stranger=4, maximum_connections=100)
    with (
        ExitStack() as stack,
        listening(tmp_path, office, limits=limits, callers=KNOWN, acse_timeout_s=60.0) as listener,
    ):
        held = [
            stack.enter_context(from_address(f"127.0.0.{2 + number // 4}", listener.port))
            for number in range(100)
        ]
        assert store(listener.port, a_film("beside-strangers")).Status == 0x0000
        spent, begun = time.process_time(), time.monotonic()
        with association(listener.port, [(VERIFICATION, DEFAULT)]) as assoc:
            while time.monotonic() - begun < 3:
                assert assoc.send_c_echo().Status == 0x0000
                time.sleep(0.2)
        load = (time.process_time() - spent) / (time.monotonic() - begun)
        assert sum(map(is_open, held)) == 25, "a quarter of the places is for strangers"
    assert load < 0.5, f"{load:.2f} of a processor"
    assert len(office.received) == 1


def test_one_address_gets_its_places_and_no_more_and_others_theirs(tmp_path: Path) -> None:
    limits = Limits(connections_per_address=2)
    callers = (*KNOWN, Caller("*", "127.0.0.2"))
    with (
        listening(tmp_path, Office(), limits=limits, callers=callers) as listener,
        bare_connection(listener.port) as first,
        bare_connection(listener.port) as second,
        bare_connection(listener.port) as third,
        from_address("127.0.0.2", listener.port) as other,
    ):
        assert is_closed_by_peer(third, 20)
        assert all(map(is_open, (first, second, other)))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "carina-test", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("NOT TESTED HERE: a disk that is really full needs the right to mount one")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True, capture_output=True)


def test_a_disk_that_is_really_full_puts_films_off_and_takes_them_when_there_is_room(
    small_disk: Path,
) -> None:
    office, film = Office(), a_film("large", rows=800, columns=800)
    filler = small_disk / "filler"
    with listening(small_disk, office) as listener:
        filler.write_bytes(bytes(MEGABYTE))
        for _ in range(2):
            assert store(listener.port, film).Status == 0xA700
            assert list((small_disk / "spool" / "incoming").iterdir()) == []
        filler.unlink()
        assert store(listener.port, film).Status == 0x0000
    (received,) = office.received
    assert received.spool_path.stat().st_size == received.size_bytes
