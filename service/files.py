"""Small files that must be whole, or private, or both."""

import os
from pathlib import Path

from dicom import spool

OWNER_ONLY = 0o600
OWNER_ONLY_FOLDER = 0o700


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, at once: readers see the old or the new one.

    It is on the disk when this returns.
    """
    write_private_bytes(path, text.encode())


def write_private_bytes(path: Path, content: bytes) -> None:
    """Write bytes as :func:`write_private` writes text."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, OWNER_ONLY)
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    scratch.replace(path)
    sync_folder(path.parent)


def private_folder(path: Path) -> Path:
    """Make a folder that only its owner can enter, durably, if it is not there; return it."""
    if not path.is_dir():
        spool.make_durably(path)
        path.chmod(OWNER_ONLY_FOLDER)
    return path


def sync_folder(path: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def tail(path: Path, lines: int = 12, limit: int = 20_000) -> str:
    """Return the last lines of a log; "" when there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - limit))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
