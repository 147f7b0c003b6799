"""What a training learnt from: hashes that say whether two runs had the same data and weights."""

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SHORT = 16  # hexadecimal digits that are told


def of_files(paths: "Iterable[Path]") -> str:
    """Return the beginning of a SHA-256 over names and contents, in the order of the names."""
    whole = hashlib.sha256()
    for path in sorted(paths, key=lambda one: one.name):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256")
        whole.update(f"{path.name} {content.hexdigest()}\n".encode())
    return whole.hexdigest()[:SHORT]


def line(step: int, plan: object, **files: "Iterable[Path]") -> str:
    """Return one line of a run's history: from which step on, with what plan, on what."""
    hashes = ", ".join(f"{name} {of_files(paths)}" for name, paths in files.items())
    return f"from step {step}: {plan}; {hashes}"


def end(step: int, **files: "Iterable[Path]") -> str:
    """Return the last line of a history: of banks that grew, all that was learnt from."""
    counted = {name: sorted(paths) for name, paths in files.items()}
    told = ", ".join(f"{name} {len(own)} chunks {of_files(own)}" for name, own in counted.items())
    return f"to step {step}: {told}"
