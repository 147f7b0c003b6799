"""The layers that read strangers' bytes, each behind the same three questions.

A target makes an input, tries it and says what came of it in one word, and at its end says what it
left behind. An input may be refused or understood; any exception that is not one of our own is a
crash, and so is an answer that does not come.
"""

import shutil
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from dicom import header, pixels, receive, spool
from dicom.errors import DicomError
from scripts.fuzz import mutate, samples

if TYPE_CHECKING:
    import random

    from dicom.values import ReceivedInstance

PATIENCE_S = 60.0
PIXEL_DATA = b"\xe0\x7f\x10\x00"
CHECK_EVERY = 100
LEFT_MAX_S = 10.0
ASSOCIATE_AC = 0x02


class Broken(Exception):
    """What must never happen has happened; the message says what."""


class Target(Protocol):
    """One layer under test, in a folder of its own."""

    def make(self, chance: "random.Random") -> bytes:
        """Return one input."""

    def put(self, data: bytes) -> str:
        """Try an input; return what came of it in one word. Any exception is a crash."""

    def close(self) -> None:
        """End; raises :class:`Broken` when something is left that should not be."""


class FileTarget:
    """Reads inputs as files that lie in the spool already."""

    def __init__(
        self, folder: Path, originals: tuple[bytes, ...], read: Callable[[Path], object]
    ) -> None:
        self._folder = folder
        self._originals = originals
        self._read = read
        self._path = folder / "input.dcm"

    def make(self, chance: "random.Random") -> bytes:
        """Return one of the films, damaged anywhere."""
        return mutate.mutated(chance.choice(self._originals), chance)

    def put(self, data: bytes) -> str:
        """Read the input."""
        self._path.write_bytes(data)
        try:
            self._read(self._path)
        except DicomError as error:
            return type(error).__name__
        return "understood"

    def close(self) -> None:
        """See that reading wrote nothing."""
        self._path.unlink(missing_ok=True)
        if left := sorted(one.name for one in self._folder.iterdir()):
            raise Broken(f"files were left: {left}")


class PixelTarget(FileTarget):
    """Damages only the pixel data, so that every input gets as far as its decoder."""

    def make(self, chance: "random.Random") -> bytes:
        """Return one of the compressed films, damaged behind its header."""
        original = chance.choice(self._originals)
        start = original.rindex(PIXEL_DATA) + len(PIXEL_DATA)
        return original[:start] + mutate.mutated(original[start:], chance)


class WireTarget:
    """Speaks to a listener; with ``associated`` the request is sound and what follows is not."""

    def __init__(self, folder: Path, *, associated: bool) -> None:
        self._folder = folder
        self._associated = associated
        self._crashes: list[str] = []
        self._received: list[Path] = []
        self._tried = 0
        self._hook, threading.excepthook = threading.excepthook, self._crashed
        config = receive.ListenerConfig(
            spool_root=folder / "spool",
            port=0,
            disk_reserve_bytes=0,
            acse_timeout_s=PATIENCE_S,  # a starved machine is no finding
        )
        self._listener = receive.start(config, self._accept, lambda _: None)
        self._request, self._store = samples.association_request(), samples.store_request()
        self._threads = threading.active_count()

    def make(self, chance: "random.Random") -> bytes:
        """Return what is sent after, or instead of, the association request."""
        return mutate.mutated(self._store if self._associated else self._request, chance)

    def put(self, data: bytes) -> str:
        """Send it and wait until the listener closes; raises when it does not, or has crashed."""
        self._tried += 1
        word = self._speak(data)
        if self._tried % CHECK_EVERY == 0:
            self._check_serves()
        if self._crashes:
            raise Broken(self._crashes.pop())
        return word

    def close(self) -> None:
        """See that it still serves, that its threads have gone, and what it wrote and where."""
        self._check_serves()
        deadline = threading.Event()
        for _ in range(int(LEFT_MAX_S / 0.05)):
            if threading.active_count() <= self._threads and not self._unfinished():
                break
            deadline.wait(0.05)
        threads, unfinished = threading.active_count() - self._threads, self._unfinished()
        self._listener.stop(grace_s=0.2)
        threading.excepthook = self._hook
        outside = [one.name for one in self._folder.iterdir() if one.name != "spool"]
        shutil.rmtree(self._folder / "spool")
        if threads > 0 or unfinished or outside or self._crashes:
            raise Broken(
                f"{threads} threads, {unfinished} unfinished files, outside the spool {outside},"
                f" crashes {self._crashes}"
            )

    def _unfinished(self) -> int:
        return sum(1 for _ in spool.incoming_folder(self._folder / "spool").iterdir())

    def _speak(self, data: bytes) -> str:
        address = ("127.0.0.1", self._listener.port)
        with socket.create_connection(address, timeout=PATIENCE_S) as line:
            try:
                if self._associated:
                    line.sendall(self._request)
                    if line.recv(1) != bytes([ASSOCIATE_AC]):
                        raise Broken("a sound association request was not accepted")
                line.sendall(data + samples.RELEASE)
                line.shutdown(socket.SHUT_WR)
                answered = 0
                while piece := line.recv(65536):
                    answered += len(piece)
            except TimeoutError:
                raise Broken(f"no end within {PATIENCE_S:.0f} s") from None
            except OSError:
                return "closed"
        return "answered" if answered else "closed"

    def _check_serves(self) -> None:
        self._received.clear()
        address = ("127.0.0.1", self._listener.port)
        with socket.create_connection(address, timeout=PATIENCE_S) as line:
            line.sendall(self._request)
            line.recv(65536)
            line.sendall(self._store)
            line.recv(65536)  # the response: whoever hangs up before it is not heard out
            line.sendall(samples.RELEASE)
        if not self._received:
            raise Broken("a sound film is no longer taken")

    def _accept(self, received: "ReceivedInstance") -> None:
        objects = spool.objects_folder(self._folder / "spool").resolve()
        if not received.spool_path.resolve().is_relative_to(objects):
            self._crashes.append("a file came to lie outside the spool")
        self._received.append(received.spool_path)
        received.spool_path.unlink()

    def _crashed(self, what: threading.ExceptHookArgs) -> None:
        self._crashes.append(f"a thread ended with {what.exc_type.__name__}")


def _header(path: Path) -> object:
    found = header.read(path)
    root = path.parent / "spool"
    ref = found.ref
    final = spool.object_path(root, ref.study_instance_uid, ref.sop_instance_uid, "0" * 64)
    if not final.resolve().is_relative_to(root.resolve()):
        raise Broken("a path left the spool")
    return found


def _native() -> tuple[bytes, ...]:
    return tuple(map(samples.part10, samples.NATIVE))


def _compressed() -> tuple[bytes, ...]:
    return tuple(map(samples.part10, samples.COMPRESSED))


LAYERS: Mapping[str, Callable[[Path], Target]] = {
    "association": lambda folder: WireTarget(folder, associated=False),
    "pdu": lambda folder: WireTarget(folder, associated=True),
    "header": lambda folder: FileTarget(folder, (*_native(), *_compressed()), _header),
    "data set": lambda folder: FileTarget(folder, _native(), pixels.read_with_remarks),
    "pixels": lambda folder: PixelTarget(folder, _compressed(), pixels.read_with_remarks),
}
