"""The HL7 listener over real sockets: answers, bounds, strangers, and a database that is away."""

import asyncio
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import certificates
import pytest
from certificates import Authority
from sqlalchemy import func, select

from dicom import tls
from dicom.tls import ClientCertificates, ClientTls, TlsFiles
from service.adt import server as adt_server
from service.adt.server import Bounds, Door, MessageServer
from service.adt.taking import Taken
from service.correcting import Places
from service.db.engine import Database
from service.db.patient_tables import PatientCorrectionRow
from service.processes import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]
PATIENCE_S = 120.0
MERGE = (
    b"MSH|^~\\&|RIS|KH|CARINA|KH|20260301||ADT^A40^ADT_A39|%s|P|2.5\rPID|||B1||Doe^Jane\rMRG|%s\r"
)
Start = Callable[..., MessageServer]


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def start(database: Database, tmp_path: Path, stop: threading.Event) -> Iterator[Start]:
    threads = []

    def start(
        callers: str = "127.0.0.1",
        bounds: Bounds | None = None,
        on: Database | None = None,
        context: ssl.SSLContext | None = None,
    ) -> MessageServer:
        places = Places(tmp_path / "corrections", tmp_path / "spool")
        server = MessageServer(
            on or database, places, Door(frozenset({callers}), context), bounds=bounds or Bounds()
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


def test_a_stop_in_the_middle_of_a_message_answers_it_and_ends(
    start: Start, database: Database, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go_on = threading.Event(), threading.Event()
    take = adt_server.take

    def slow(*what: Any) -> Taken:
        began.set()
        assert go_on.wait(PATIENCE_S)
        return take(*what)

    monkeypatch.setattr(adt_server, "take", slow)
    server = start()
    with connected(server) as line:
        line.sendall(b"\x0b" + MERGE % (b"1", b"A1") + b"\x1c\r")
        assert began.wait(PATIENCE_S)
        stop.set()
        assert wait_until(lambda: server._is_over, PATIENCE_S)
        go_on.set()
        answer = b"".join(iter(lambda: line.recv(4096), b""))
    assert b"MSA|AA|1" in answer
    assert corrections(database) == 1


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    if not certificates.IS_INSTALLED:
        pytest.skip("openssl is not installed")
    return Authority(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def speaks(authority: Authority) -> ssl.SSLContext:
    return tls.server_context(authority.sign("carina"), ClientCertificates.REQUIRED)


@pytest.fixture(scope="module")
def ris(authority: Authority) -> TlsFiles:
    return authority.sign("ris")


def secured(server: MessageServer, files: TlsFiles) -> ssl.SSLSocket:
    """Connect as an interface engine with a certificate does."""
    plain = connected(server)
    try:
        return tls.client_context(ClientTls(files)).wrap_socket(plain, server_hostname="localhost")
    except OSError:
        plain.close()
        raise


def is_cut(line: socket.socket) -> bool:
    """Return whether the other side ends the connection without a word."""
    try:
        return line.recv(1) == b""
    except OSError:
        return True


def is_refused(server: MessageServer, files: TlsFiles) -> bool:
    """Return whether a certificate is not taken: with TLS 1.3 that comes with the first answer."""
    try:
        with secured(server, files) as line:
            line.sendall(b"\x0b" + MERGE % (b"2", b"A2") + b"\x1c\r")
            return line.recv(4096) == b""
    except OSError:
        return True


def test_messages_come_by_tls_too(
    start: Start, database: Database, speaks: ssl.SSLContext, ris: TlsFiles
) -> None:
    server = start(context=speaks)
    with secured(server, ris) as line:
        for number in range(1, 4):
            answer = answer_of(line, MERGE % (b"id%d" % number, b"A%d" % number))
            assert b"MSA|AA|id%d" % number in answer
        assert line.version() in {"TLSv1.2", "TLSv1.3"}
        long = MERGE % (b"big", b"A9") + b"ZZZ|" + b"x" * 600_000 + b"\r"
        assert b"MSA|AA|big" in answer_of(line, long)
    assert corrections(database) == 4


def test_openssl_s_own_client_is_answered(
    start: Start, speaks: ssl.SSLContext, ris: TlsFiles
) -> None:
    server = start(context=speaks)
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-quiet"]
    shown = ["-cert", str(ris.certificate), "-key", str(ris.key), "-CAfile", str(ris.authorities)]
    with subprocess.Popen(
        [*command, *shown, "-verify_return_error", "-servername", "localhost"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(b"\x0b" + MERGE % (b"id1", b"A1") + b"\x1c\r")
        client.stdin.flush()
        answer = b""
        while not answer.endswith(b"\x1c\r"):
            part = client.stdout.read1(4096)  # type: ignore[attr-defined]
            assert part, "the client ended"
            answer += part
        client.terminate()
    assert b"MSA|AA|id1" in answer


def test_nobody_comes_in_without_tls_or_without_a_certificate_of_ours(
    start: Start,
    database: Database,
    speaks: ssl.SSLContext,
    ris: TlsFiles,
    tmp_path: Path,
) -> None:
    server = start(context=speaks)
    with connected(server) as plain:
        plain.sendall(b"\x0b" + MERGE % (b"1", b"A1") + b"\x1c\r")
        assert is_cut(plain) or b"MSA" not in plain.recv(4096)
    stranger = Authority(tmp_path / "theirs").sign("stranger")
    foreign = TlsFiles(stranger.certificate, stranger.key, ris.authorities)
    for files in (TlsFiles(authorities=ris.authorities), foreign):
        assert is_refused(server, files)
    assert corrections(database) == 0
    with secured(server, ris) as line:
        assert b"MSA|AA" in answer_of(line, MERGE % (b"3", b"A3"))


def test_a_tls_client_that_never_speaks_is_let_go_and_counts_against_its_address(
    start: Start, speaks: ssl.SSLContext, ris: TlsFiles
) -> None:
    bounds = Bounds(handshake_s=1.0, connections_per_address=1)
    server = start(bounds=bounds, context=speaks)
    with connected(server) as silent:
        with connected(server) as second:
            assert is_cut(second)
        assert is_cut(silent)
    with secured(server, ris) as line:
        assert b"MSA|AA" in answer_of(line, MERGE % (b"1", b"A1"))


def test_a_stranger_is_cut_off_before_any_handshake(
    start: Start, speaks: ssl.SSLContext, ris: TlsFiles
) -> None:
    server = start(callers="192.0.2.1", context=speaks)
    with pytest.raises(OSError):  # noqa: PT011
        secured(server, ris)


def test_a_peer_that_stays_silent_in_tls_holds_up_no_stop(
    start: Start, speaks: ssl.SSLContext, ris: TlsFiles, stop: threading.Event
) -> None:
    server = start(context=speaks)
    with secured(server, ris) as line:
        assert b"MSA|AA" in answer_of(line, MERGE % (b"1", b"A1"))
        began = time.monotonic()
        stop.set()
        assert is_cut(line)
        assert time.monotonic() - began < 20.0  # asyncio alone would wait for half a minute
