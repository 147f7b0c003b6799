"""The sealed heads, outside the database: one JSON line for every batch of the sealer.

Whoever can change the database still cannot make it agree with this file. Keep it where the
database's administrator cannot write, or copy it there: the last line that left the house is what
proves everything before it.
"""

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from service.files import OWNER_ONLY, private_folder, sync_folder

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path
    from typing import BinaryIO

FIRST_STEP: Final = 16 * 1024  # some hundred heads


@dataclass(frozen=True, slots=True)
class Head:
    """The end of one sealed batch: the links from ``first`` to ``position``."""

    first: int
    position: int
    chain_sha256: str
    sealed_at: str


def read(path: "Path") -> tuple[Head, ...]:
    """Return all heads, oldest first, none when there is no file; raises as :func:`stream`."""
    return tuple(stream(path, size(path)))


def size(path: "Path") -> int:
    """Return how many bytes the file has now; 0 when there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def stream(path: "Path", ends: int, behind: int = 0) -> "Generator[Head, None, None]":
    """Give the heads of the first ``ends`` bytes, oldest first, one at a time.

    ``behind``: heads that speak for no link behind this one are left out, all but a few; the file
    is read from its end for that. A last line without its end was never finished (a power cut) and
    does not count.

    Raises
    ------
    ValueError
        If a finished line is not a head.
    """
    if not ends:
        return
    with path.open("rb") as file:
        offset = _begin(file, ends, behind) if behind else 0
        file.seek(offset)
        for line in file:
            offset += len(line)
            if offset > ends or not line.endswith(b"\n"):
                return
            yield _head(line, path)


def _head(line: bytes, path: "Path") -> Head:
    try:
        return Head(**json.loads(line))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path.name} holds a line that is not a sealed head") from error


def _begin(file: "BinaryIO", ends: int, behind: int) -> int:
    """Return where a line begins whose head lies at ``behind`` or before it, near the end if so.

    Steps back from the end, twice as far each time. A line that is no head is stepped over here:
    whoever reads on from there meets it, or it lies in front of what is asked for.
    """
    step = FIRST_STEP
    while step < ends:
        file.seek(ends - step)
        file.readline()  # the rest of a line
        offset = file.tell()
        with contextlib.suppress(TypeError, ValueError):
            if offset < ends and Head(**json.loads(file.readline())).position <= behind:
                return offset
        step *= 2
    return 0


def last(path: "Path") -> Head | None:
    """Return the newest head, reading the end of the file only."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 4096))
            lines = file.read().splitlines(keepends=True)
    except FileNotFoundError:
        return None
    finished = [line for line in lines if line.endswith(b"\n")]
    try:
        return Head(**json.loads(finished[-1])) if finished else None
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path.name} ends in a line that is not a sealed head") from error


def begin(path: "Path") -> None:
    """Make an empty file, if there is none, for a trail that has nothing sealed yet."""
    private_folder(path.parent)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, OWNER_ONLY))
    sync_folder(path.parent)


def append(path: "Path", head: Head) -> None:
    """Add a head; it is on the disk when this returns."""
    begin(path)
    with path.open("r+b") as file:
        _drop_unfinished(file.fileno())
        file.seek(0, os.SEEK_END)
        file.write(json.dumps(asdict(head), separators=(",", ":")).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _drop_unfinished(descriptor: int) -> None:
    """Cut off a last line that a power cut left without its end."""
    size = os.fstat(descriptor).st_size
    end = os.pread(descriptor, min(size, 4096), max(0, size - 4096))
    if end and not end.endswith(b"\n"):
        os.ftruncate(descriptor, size - len(end) + end.rfind(b"\n") + 1)
