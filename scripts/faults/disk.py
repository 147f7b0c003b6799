"""The file system of a campaign's spool, which can be filled, closed, and looked at from below."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SPOOL_MB = 1500
LATE_COMMIT_S = 600
"""The kernel brings nothing to the disk by itself for so long: only what is asked for is there."""


@dataclass(frozen=True, slots=True)
class Spool:
    """Whether it has a file system of its own, and the file that is its disk, if it has one."""

    is_mounted: bool = False
    disk: Path | None = None


@contextlib.contextmanager
def mounted(folder: Path) -> Iterator[Spool]:
    """Give the spool the best this machine lets us mount: ext4 on a file, a tmpfs, or nothing."""
    place = folder / "carina" / "spool"
    place.mkdir(parents=True)
    place.parent.chmod(0o711)
    try:
        yield _mount(place, folder / "spool.disk")
    finally:
        unmount(place)


def _mount(place: Path, disk: Path) -> Spool:
    place.chmod(0o700)
    if os.geteuid() != 0:
        return Spool()
    if _make(disk) and _is_done(
        *("mount", "-t", "ext4", "-o", f"loop,commit={LATE_COMMIT_S}", str(disk), str(place))
    ):
        place.chmod(0o700)
        (place / "lost+found").rmdir()
        return Spool(is_mounted=True, disk=disk)
    disk.unlink(missing_ok=True)
    options = f"size={SPOOL_MB}m,mode=0700"
    words = ("mount", "-t", "tmpfs", "-o", options, "carina-faults", str(place))
    return Spool(is_mounted=_is_done(*words))


def _make(disk: Path) -> bool:
    with disk.open("wb") as file:
        file.truncate(SPOOL_MB << 20)
    # No table or journal is left to be cleared later: that would be writing behind our back.
    eager = "lazy_itable_init=0,lazy_journal_init=0"
    return _is_done("mkfs.ext4", "-q", "-m", "0", "-J", "size=16", "-E", eager, str(disk))


def _is_done(*words: str) -> bool:
    try:
        return subprocess.run(words, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:  # there is no such program
        return False


def unmount(place: Path) -> None:
    """Take the file system away, whoever still looks into it."""
    if place.is_mount():
        subprocess.run(["umount", "--lazy", str(place)], check=False)


@contextlib.contextmanager
def as_found(disk: Path) -> Iterator[Path]:
    """Copy a disk, and mount the copy as a machine does that comes up after a power cut.

    Nobody may write to it meanwhile: a disk that loses power is of one moment.
    """
    copy, place = disk.with_suffix(".copy"), disk.with_suffix(".found")
    place.mkdir(exist_ok=True)
    subprocess.run(["cp", "--sparse=always", str(disk), str(copy)], check=True)
    subprocess.run(["mount", "-o", "loop", str(copy), str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)
        copy.unlink()
