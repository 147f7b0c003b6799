"""The spool: where received bytes become durable, under names that nobody outside can choose.

::

    <root>/incoming/<random>.dcm                        being received
    <root>/objects/<aa>/<study>/<instance>-<data>.dcm   received, never changed

``study`` and ``instance`` are hashes of the UIDs, ``data`` of the data set, ``aa`` the first two
digits of ``study``. The order of writing is fsync(file), rename, fsync(directory): after a power
cut a file under its final name is whole. The root is a POSIX file system, never an object store.
"""

import errno
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from dicom import failpoints
from dicom.errors import SpoolUnavailable, UndecodableInstance
from dicom.failpoints import Failpoint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

_PREAMBLE = 128 + len(b"DICM")  # PS3.10 7.1
_GROUP_LENGTH_END = _PREAMBLE + 12  # (0002,0000) UL, explicit VR: tag, VR, length, value
_MEBIBYTE = 1 << 20
_UID_DIGITS = 32
_DATA_DIGITS = 16
_SETTLED_MAX = 4096

_settled: dict[Path, int] = {}  # folders whose name this process brought to the disk, by inode


def incoming_folder(root: Path) -> Path:
    """Return the folder of what is being received."""
    return root / "incoming"


def objects_folder(root: Path) -> Path:
    """Return the folder of what has been received."""
    return root / "objects"


def prepare(root: Path) -> None:
    """Make the spool's folders, for the owner's eyes only, durably.

    Raises
    ------
    SpoolUnavailable
        If they cannot be made.
    """
    try:
        for folder in (root, incoming_folder(root), objects_folder(root)):
            make_durably(folder)
            _settle(folder)
    except OSError as error:
        raise SpoolUnavailable(f"no spool: {errno.errorcode.get(error.errno or 0)}") from error


def object_path(root: Path, study_instance_uid: str, sop_instance_uid: str, sha256: str) -> Path:
    """Return the final path of an instance; no text of the sender is part of it."""
    study = hashlib.sha256(study_instance_uid.encode()).hexdigest()[:_UID_DIGITS]
    instance = hashlib.sha256(sop_instance_uid.encode()).hexdigest()[:_UID_DIGITS]
    name = f"{instance}-{sha256[:_DATA_DIGITS]}.dcm"
    return objects_folder(root) / study[:2] / study / name


def move(incoming: Path, final: Path) -> None:
    """Give a file, already fsynced, its final name; when this returns the name is durable.

    A file of that name is replaced: it holds the same data set.

    Raises
    ------
    OSError
        If the file system refuses. The file is then under its old or its new name, whole.
    """
    make_durably(final.parent.parent.parent)
    _settle(final.parent.parent)
    _settle(final.parent)
    incoming.rename(final)
    failpoints.reach(Failpoint.FILE_RENAMED)
    _sync_folder(final.parent)
    failpoints.reach(Failpoint.FOLDER_SYNCED)


def data_set_start(head: bytes | bytearray) -> int | None:
    """Return where the data set begins in a Part 10 file; None when ``head`` is too short to say.

    Raises
    ------
    UndecodableInstance
        If this is no Part 10 file.
    """
    if len(head) < _GROUP_LENGTH_END:
        return None
    if head[128:_PREAMBLE] != b"DICM" or head[_PREAMBLE : _PREAMBLE + 6] != b"\2\0\0\0UL":
        raise UndecodableInstance("no Part 10 file")
    return _GROUP_LENGTH_END + int.from_bytes(
        head[_GROUP_LENGTH_END - 4 : _GROUP_LENGTH_END], "little"
    )


def digest(path: Path) -> str:
    """Return the SHA-256 of a Part 10 file's data set: everything after group 2.

    Raises
    ------
    UndecodableInstance
        If this is no Part 10 file.
    """
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        start = data_set_start(file.read(_GROUP_LENGTH_END))
        if start is None:
            raise UndecodableInstance("no Part 10 file")
        file.seek(start)
        while chunk := file.read(_MEBIBYTE):
            sha256.update(chunk)
    return sha256.hexdigest()


def free_bytes(root: Path) -> int:
    """Return the space an ordinary user can still write, bytes."""
    state = os.statvfs(root)
    return state.f_bavail * state.f_frsize


def sweep_incoming(root: Path, older_than: "datetime") -> int:
    """Remove what was begun and never finished, last written before ``older_than``; count it.

    A listener removes its own leftovers; these are of one that was killed.
    """
    removed = 0
    for path in incoming_folder(root).iterdir():
        try:
            if path.stat().st_mtime < older_than.timestamp():
                path.unlink()
                removed += 1
        except FileNotFoundError:
            continue  # its listener was quicker
    return removed


def reconcile(root: Path) -> "Iterator[Path]":
    """Yield every received file.

    A row is written after its file, so a listener killed between the two leaves a file without a
    row; the service asks for all of them at start and records the missing ones.
    """
    for path in sorted(objects_folder(root).glob("??/*/*.dcm")):
        yield path.absolute()


def make_durably(folder: Path) -> None:
    """Make a folder and those above it that are missing; each name is on the disk on return.

    Raises
    ------
    OSError
        If the file system refuses.
    """
    if not folder.is_dir():
        make_durably(folder.parent)
        _settle(folder)


def _settle(folder: Path) -> None:
    """Make a folder if it is missing; on return its name is on the disk, whoever made it.

    One that is there may have been made by another thread or process a moment ago, whose fsync of
    the folder above has not ended. So it counts only when this process has seen to it itself.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    number = folder.stat().st_ino
    if _settled.get(folder) == number:
        return
    _sync_folder(folder.parent)
    if len(_settled) >= _SETTLED_MAX:
        _settled.clear()
    _settled[folder] = number


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
