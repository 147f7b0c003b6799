"""Send things to a listener: as pynetdicom, as dcmtk, or as bare bytes."""

import os
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.association import Association

from dicom import receive
from dicom.notices import AssociationNotice, NoticeKind
from dicom.values import ReceivedInstance

STORESCU = shutil.which("storescu")


@dataclass
class Office:
    """Stands where the service stands: remembers what it is told, fails when it should."""

    received: list[ReceivedInstance] = field(default_factory=list)
    notices: list[AssociationNotice] = field(default_factory=list)
    failure: Exception | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)

    def accept(self, instance: ReceivedInstance) -> None:
        if self.failure is not None:
            raise self.failure
        with self.changed:
            self.received.append(instance)
            self.changed.notify_all()

    def notice(self, notice: AssociationNotice) -> None:
        with self.changed:
            self.notices.append(notice)
            self.changed.notify_all()

    def wait_for(self, kind: NoticeKind, timeout_s: float = 10.0) -> AssociationNotice:
        """Return the first notice of a kind, waiting for it."""

        def found() -> list[AssociationNotice]:
            return [notice for notice in self.notices if notice.kind is kind]

        with self.changed:
            assert self.changed.wait_for(found, timeout_s), f"no {kind} in {self.notices}"
            return found()[0]


@contextmanager
def listening(root: Path, office: Office, **changes: object) -> Iterator[receive.Listener]:
    """Run a listener on a free port, with a spool under ``root``."""
    config = receive.ListenerConfig(spool_root=root / "spool", port=0, disk_reserve_bytes=0)
    listener = receive.start(replace(config, **changes), office.accept, office.notice)  # type: ignore[arg-type]
    try:
        yield listener
    finally:
        listener.stop(grace_s=0.2)


@contextmanager
def association(
    port: int,
    contexts: list[tuple[str, list[str]]],
    called: str = "CARINA",
    calling: str = "MODALITY",
) -> Iterator[Association]:
    """Open an association and, at the end, release it when it is still there."""
    ae = AE(calling)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 20
    for abstract_syntax, transfer_syntaxes in contexts:
        ae.add_requested_context(abstract_syntax, transfer_syntaxes)
    assoc = ae.associate("127.0.0.1", port, ae_title=called)
    try:
        yield assoc
    finally:
        if assoc.is_established:
            assoc.release()


def store(port: int, ds: Dataset, **names: str) -> Dataset:
    """Send one data set as pynetdicom would and return the response."""
    with association(port, [(ds.SOPClassUID, [ds.file_meta.TransferSyntaxUID])], **names) as assoc:
        assert assoc.is_established
        return assoc.send_c_store(ds)


def storescu(port: int, path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Send a file with dcmtk."""
    return subprocess.run(
        [str(STORESCU), "-v", "-aec", "CARINA", *options, "127.0.0.1", str(port), str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "TCP_NODELAY": "1"},
    )


@contextmanager
def bare_connection(port: int) -> Iterator[socket.socket]:
    """Connect and speak no DICOM."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        yield connection


def pdu(kind: int, body: bytes, length: int | None = None) -> bytes:
    """Return a PDU (PS3.8 9.3.1), with a false length if one is given."""
    return struct.pack(">BBL", kind, 0, len(body) if length is None else length) + body


def is_closed_by_peer(connection: socket.socket, timeout_s: float) -> bool:
    """Wait until the peer closes (what it says before is read and thrown away)."""
    connection.settimeout(timeout_s)
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


def eventually(condition: Callable[[], bool], timeout_s: float = 10.0) -> bool:
    """Poll until a condition holds."""
    tick = threading.Event()
    for _ in range(int(timeout_s / 0.02)):
        if condition():
            return True
        tick.wait(0.02)
    return False


def raw_socket(assoc: Association) -> socket.socket:
    """Return the sender's socket, to write on it past its library."""
    assert assoc.dul.socket is not None
    assert assoc.dul.socket.socket is not None
    return assoc.dul.socket.socket


def pdv(context_id: int, control: int, fragment: bytes) -> bytes:
    """Return a presentation data value item (PS3.8 9.3.5.1)."""
    return struct.pack(">LBB", len(fragment) + 2, context_id, control) + fragment


def store_command(data_set_type: int = 0x0001) -> bytes:
    """Return the command set of a C-STORE request (PS3.7 9.3.1), implicit little endian.

    A ``data_set_type`` of 0x0101 says that no data set follows.
    """

    def element(number: int, value: bytes) -> bytes:
        return struct.pack("<HHL", 0, number, len(value)) + value

    body = b"".join(
        (
            element(0x0002, b"1.2.840.10008.5.1.4.1.1.1\0"),
            element(0x0100, struct.pack("<H", 0x0001)),
            element(0x0110, struct.pack("<H", 1)),
            element(0x0700, struct.pack("<H", 2)),
            element(0x0800, struct.pack("<H", data_set_type)),
            element(0x1000, b"1.2.3.4\0"),
        )
    )
    return element(0x0000, struct.pack("<L", len(body))) + body


def send_first_half(assoc: Association) -> None:
    """Send a command set and the beginning of its data set, and no more."""
    context_id = assoc.accepted_contexts[0].context_id
    assert context_id is not None
    raw_socket(assoc).send(pdu(0x04, pdv(context_id, 0x03, store_command())))
    raw_socket(assoc).send(pdu(0x04, pdv(context_id, 0x00, bytes(30000))))
