"""The HL7 listener over real sockets: answers, bounds, strangers, and a database that is away."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from service.adt.server import Bounds, MessageServer
from service.correcting import Places
from service.db.engine import Database
from service.db.patient_tables import PatientCorrectionRow

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]
PATIENCE_S = 120.0
MERGE = (
    b"MSH|^~\\&|RIS|KH|CARINA|KH|20260301||ADT^A40^ADT_A39|%s|P|2.5\rPID|||B1||Doe^Jane\rMRG|%s\r"
)
Start = Callable[..., MessageServer]


@pytest.fixture
def start(database: Database, tmp_path: Path) -> Iterator[Start]:
    stop = threading.Event()
    threads = []

    def start(
        callers: str = "127.0.0.1", bounds: Bounds | None = None, on: Database | None = None
    ) -> MessageServer:
        places = Places(tmp_path / "corrections", tmp_path / "spool")
        server = MessageServer(
            on or database, places, frozenset({callers}), bounds=bounds or Bounds()
        )
        thread = threading.Thread(target=lambda: asyncio.run(server.serve("127.0.0.1", 0, stop)))
        thread.start()
        threads.append(thread)
        deadline = time.monotonic() + PATIENCE_S
        while not server.port:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return server

    yield start
    stop.set()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def connected(server: MessageServer) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", server.port), PATIENCE_S)
    line.settimeout(PATIENCE_S)
    return line


def answer_of(line: socket.socket, content: bytes) -> bytes:
    """Send a block and return what comes until the next block's end, b"" when the line is cut."""
    line.sendall(b"\x0b" + content + b"\x1c\r")
    found = b""
    try:
        while not found.endswith(b"\x1c\r"):
            part = line.recv(4096)
            if not part:
                return b""
            found += part
    except ConnectionResetError:
        return b""
    return found[1:-2]


def corrections(database: Database) -> int:
    with database.begin() as session:
        return session.scalar(select(func.count()).select_from(PatientCorrectionRow)) or 0


def test_messages_are_committed_before_they_are_answered(start: Start, database: Database) -> None:
    with connected(start()) as line:
        for number in range(1, 4):
            answer = answer_of(line, MERGE % (b"id%d" % number, b"A%d" % number))
            assert b"MSA|AA|id%d" % number in answer
            assert corrections(database) == number
        assert b"MSA|AA|id1" in answer_of(line, MERGE % (b"id1", b"A1"))
        assert b"MSA|AE|id9" in answer_of(line, MERGE % (b"id9", b"B1"))
    assert corrections(database) == 3


def test_what_is_no_message_is_rejected_and_the_line_stays(start: Start) -> None:
    with connected(start()) as line:
        assert b"MSA|AR" in answer_of(line, b"hello")
        assert b"MSA|AA|2" in answer_of(line, MERGE % (b"2", b"A1"))


def test_a_stranger_is_cut_off(start: Start, database: Database) -> None:
    with connected(start(callers="192.0.2.1")) as line:
        assert answer_of(line, MERGE % (b"1", b"A1")) == b""
    assert corrections(database) == 0


@pytest.mark.parametrize("block", [b"x" * 200_000, b"GET / HTTP/1.1\r\n\r\n\x1c\r"])
def test_a_block_in_disorder_ends_its_own_line_only(start: Start, block: bytes) -> None:
    server = start(bounds=Bounds(message_bytes=10_000))
    with connected(server) as bad, connected(server) as good:
        try:
            bad.sendall(block)
            assert bad.recv(1) == b""
        except ConnectionError:
            pass  # it was cut while we still wrote
        assert b"MSA|AA" in answer_of(good, MERGE % (b"1", b"A1"))


def test_a_peer_that_stops_in_the_middle_is_let_go(start: Start) -> None:
    with connected(start(bounds=Bounds(silence_s=0.5))) as line:
        line.sendall(b"\x0bMSH|^~")
        assert line.recv(1) == b""


def test_connections_of_one_address_are_counted(start: Start) -> None:
    server = start(bounds=Bounds(connections_per_address=1))
    with connected(server) as first:
        assert b"MSA|AA" in answer_of(first, MERGE % (b"1", b"A1"))
        with connected(server) as second:
            assert answer_of(second, MERGE % (b"2", b"A2")) == b""


def test_without_a_database_nothing_is_answered(start: Start) -> None:
    nowhere = Database("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    with connected(start(on=nowhere)) as line:
        assert answer_of(line, MERGE % (b"1", b"A1")) == b""
    nowhere.dispose()
