"""How far the trail was found intact the last time, so that the next look can go on from there."""

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from service.files import private_folder, write_private

if TYPE_CHECKING:
    from pathlib import Path

FILE = "verified.json"


@dataclass(frozen=True, slots=True)
class Verified:
    """The last link of a trail that was intact: its place, its event, its hash."""

    position: int
    event_id: int
    chain_sha256: str


def read(folder: "Path") -> Verified | None:
    """Return the last mark; None when there is none or it cannot be read."""
    try:
        return Verified(**json.loads((folder / FILE).read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError):
        return None


def write(folder: "Path", mark: Verified) -> None:
    """Keep a mark; it is on the disk when this returns."""
    write_private(private_folder(folder) / FILE, json.dumps(asdict(mark)) + "\n")
