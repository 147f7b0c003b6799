"""A file being received: hashed and written back as it comes, and never a lost answer.

pynetdicom writes it from the thread that reads the network, where an error would cut the
connection without a status. So a failure is remembered here, the rest of the data set is thrown
away, and the C-STORE handler answers with it.
"""

import ctypes
import errno
import hashlib
import os
import secrets
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dicom import failpoints, spool
from dicom.errors import SpoolUnavailable
from dicom.failpoints import Failpoint
from dicom.watermark import Watermark

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Thread

    from dicom.watermark import Room

_WRITE_BACK_BYTES = 1 << 20
_WRITE_BYTES = 1 << 19  # a film comes in some 60 fragments: one call to the kernel for several
_SYNC_FILE_RANGE_WRITE = 2
_sync_file_range = getattr(ctypes.CDLL(None, use_errno=True), "sync_file_range", None)


class IncomingFile:
    """What pynetdicom takes for a temporary file: ``name``, ``file``, ``write``, ``close``."""

    def __init__(self, folder: "IncomingFolder", owner: "Thread") -> None:
        self.path = spool.incoming_folder(folder.root) / f"{secrets.token_hex(16)}.dcm"
        self.name = str(self.path)
        self.owner = owner
        self.size_bytes = 0
        self.failure: OSError | None = None
        self._watermark = folder.watermark
        self._maximum_bytes = folder.room.maximum_object_bytes
        self._descriptor: int | None = None
        self._head: bytearray | None = bytearray()
        self._sha256 = hashlib.sha256()
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._written_back = 0
        self._guarded(self._open)

    @property
    def file(self) -> "IncomingFile":
        """The file inside the temporary file, which pynetdicom flushes: there is no other."""
        return self

    def flush(self) -> None:
        """Do nothing: pynetdicom asks for it behind every fragment. See :meth:`finish`."""

    def write(self, data: bytes | memoryview) -> int:
        """Take the next bytes; after a failure they are counted and thrown away."""
        self._guarded(lambda: self._put(data))
        failpoints.reach(Failpoint.CHUNK_RECEIVED)
        return len(data)

    def close(self) -> None:
        """Close the file; twice is allowed."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def discard(self) -> None:
        """Close the file and remove what still lies in the incoming folder."""
        self.close()
        with suppress(OSError):  # moved to its final name, or the folder itself is failing
            self.path.unlink()

    def finish(self) -> None:
        """Put everything that came into the file, where it can be read.

        Raises
        ------
        SpoolUnavailable
            If any byte could not be written.
        """
        self._guarded(self._write_held)
        self.raise_failure()

    def make_durable(self) -> None:
        """Bring everything that came to the disk.

        Raises
        ------
        SpoolUnavailable
            If any byte could not be written.
        """
        self.finish()
        self._guarded(lambda: os.fsync(self._open_descriptor()))
        self.raise_failure()
        failpoints.reach(Failpoint.FILE_SYNCED)

    def raise_failure(self) -> None:
        """Raise :class:`SpoolUnavailable` if a byte could not be written."""
        if self.failure is not None:
            name = errno.errorcode.get(self.failure.errno or 0, "unknown")
            raise SpoolUnavailable(f"the spool cannot take the data set: {name}")

    @property
    def sha256(self) -> str:
        """SHA-256 of the data set, without group 2, of a finished file."""
        return self._sha256.hexdigest()

    def _guarded(self, act: "Callable[[], object]") -> None:
        if self.failure is not None:
            return
        try:
            act()
        except OSError as error:
            self.failure = error
            self._give_space_back()

    def _open_descriptor(self) -> int:
        if self._descriptor is None:
            raise OSError(errno.EBADF, "the association has ended")
        return self._descriptor

    def _open(self) -> None:
        self._watermark.check_new()
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

    def _put(self, data: bytes | memoryview) -> None:
        if self.size_bytes + len(data) > self._maximum_bytes:
            raise OSError(errno.EFBIG, "larger than allowed")
        self._open_descriptor()
        self._held.append(bytes(data))  # a view is of a buffer that is used again
        self._held_bytes += len(data)
        self.size_bytes += len(data)
        if self._held_bytes >= _WRITE_BYTES:
            self._write_held()

    def _write_held(self) -> None:
        descriptor = self._open_descriptor()
        data = b"".join(self._held)
        self._held, self._held_bytes = [], 0
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        self._hash(data)
        if self.size_bytes - self._written_back >= _WRITE_BACK_BYTES:
            self._watermark.check_begun()
            self._write_back()

    def _hash(self, data: bytes) -> None:
        if self._head is None:
            self._sha256.update(data)
            return
        self._head += data
        start = spool.data_set_start(self._head)
        if start is not None and start <= len(self._head):
            self._sha256.update(self._head[start:])
            self._head = None

    def _write_back(self) -> None:
        """Let the disk begin now, so that the fsync at the end has little left to do."""
        if _sync_file_range is not None:
            _sync_file_range(
                ctypes.c_int(self._open_descriptor()),
                ctypes.c_int64(self._written_back),
                ctypes.c_int64(self.size_bytes - self._written_back),
                ctypes.c_uint(_SYNC_FILE_RANGE_WRITE),
            )
        self._written_back = self.size_bytes

    def _give_space_back(self) -> None:
        self._held, self._held_bytes = [], 0
        if self._descriptor is not None:
            with suppress(OSError):
                os.ftruncate(self._descriptor, 0)


class IncomingFolder:
    """All files being received by one listener, each owned by the thread of its association."""

    def __init__(self, root: Path, room: "Room") -> None:
        self.root = root
        self.room = room
        self.watermark = Watermark(root, room)
        self._lock = threading.Lock()
        self._files: dict[Path, IncomingFile] = {}

    def open(self, owner: "Thread") -> IncomingFile:
        """Begin a file; it never raises, see the module."""
        incoming = IncomingFile(self, owner)
        with self._lock:
            self._files[incoming.path] = incoming
        return incoming

    def claim(self, path: Path | None) -> IncomingFile | None:
        """Return a finished file to the handler, which must discard it; None when there is none."""
        with self._lock:
            return None if path is None else self._files.pop(path, None)

    def discard_orphans(self) -> None:
        """Remove the files of associations that ended before their data set did."""
        with self._lock:
            orphans = [file for file in self._files.values() if not file.owner.is_alive()]
            for file in orphans:
                del self._files[file.path]
        for file in orphans:
            file.discard()

    def discard_of(self, owner: "Thread") -> None:
        """Remove the unfinished files of one association, which has been aborted."""
        with self._lock:
            theirs = [file for file in self._files.values() if file.owner is owner]
            for file in theirs:
                del self._files[file.path]
        for file in theirs:
            file.discard()
