"""Keeps the log files of an installation from growing without end."""

import shutil
from pathlib import Path

LIMIT_BYTES = 10_000_000
KEPT = 5


def rotate(folder: Path, limit_bytes: int = LIMIT_BYTES, kept: int = KEPT) -> tuple[Path, ...]:
    """Set aside every log over the limit as ``.1``, older ones as ``.2`` …; return which.

    Several processes append to one file and none of them can be asked to open another, so it is
    copied and emptied in place. A line written in between the two is lost; that is the price.
    """
    full = [path for path in sorted(folder.glob("*.log")) if path.stat().st_size > limit_bytes]
    for path in full:
        for number in range(kept, 1, -1):
            older = _aside(path, number - 1)
            if older.exists():
                older.replace(_aside(path, number))
        shutil.copy2(path, _aside(path, 1))
        with path.open("r+b") as file:
            file.truncate(0)
    return tuple(full)


def _aside(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")
