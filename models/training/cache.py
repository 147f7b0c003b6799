"""Step 1: project the phantom in many poses into memory-mapped arrays; resumable item by item.

``python -m models.training.cache --out DIR [--train 900] [--threads 2]``
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.lib.format import open_memmap

from models.simulate import phantom, pose, regions, source
from models.simulate.phantom import Structure
from models.simulate.pose import Projection
from models.simulate.projector import Detector, Projector
from models.vocabulary import AnatomicStructure

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 288
REGIONS = tuple(AnatomicStructure)
RIGHT_LUNG, LEFT_LUNG, HEART, BODY = 1, 2, 4, 8  # bits of the field plane
SEEDS = {"train": 1, "valid": 2, "test": 3, "sideways": 4}
PROJECTIONS = tuple(Projection)


@dataclass(frozen=True, slots=True, eq=False)
class Bases:
    """A folder of base projections, ``n`` of them.

    ``maps`` is ``(n, 4, side, side)`` float16: soft, bone, right and left lung thickness, mm of
    water or mm; ``fields`` ``(n, side, side)`` uint8 bits; ``boxes`` ``(n, 36, 4)`` float32, pixels
    of the base grid, NaN where a region is missing; ``facts`` ``(n, 2)`` float32: cardiothoracic
    ratio and index of the projection.
    """

    maps: "NDArray[np.float16]"
    fields: "NDArray[np.uint8]"
    boxes: "NDArray[np.float32]"
    facts: "NDArray[np.float32]"

    def __len__(self) -> int:
        return len(self.maps)


LAYOUT: dict[str, tuple[str, tuple[int, ...]]] = {
    "maps": ("<f2", (4, SIDE, SIDE)),
    "fields": ("|u1", (SIDE, SIDE)),
    "boxes": ("<f4", (len(REGIONS), 4)),
    "facts": ("<f4", (2,)),
}


def load(folder: Path, part: str) -> Bases:
    """Open what is finished of one part, read-only."""
    done = int(json.loads((folder / f"{part}.json").read_text())["done"])
    arrays = {name: np.load(folder / f"{part}.{name}.npy", mmap_mode="r") for name in LAYOUT}
    return Bases(*(arrays[name][:done] for name in LAYOUT))


def make(folder: Path, part: str, count: int, projector: Projector) -> None:
    """Project ``count`` poses of one part; a half-made part goes on where it stopped."""
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / f"{part}.json"
    begun = state.is_file()
    done = int(json.loads(state.read_text())["done"]) if begun else 0
    arrays = {
        name: np.load(folder / f"{part}.{name}.npy", mmap_mode="r+")
        if begun
        else open_memmap(folder / f"{part}.{name}.npy", "w+", dtype, (count, *shape))
        for name, (dtype, shape) in LAYOUT.items()
    }
    started = time.monotonic()
    for index in range(done, count):
        _fill(arrays, index, part, projector)
        if index % 20 == 19 or index == count - 1:  # noqa: PLR2004 - how often progress is kept
            state.write_text(json.dumps({"done": index + 1, "seed": SEEDS[part]}))
            pace = (time.monotonic() - started) / (index + 1 - done)
            print(f"{part}: {index + 1}/{count}, {pace:.2f} s each", flush=True)  # noqa: T201


def _fill(
    arrays: "dict[str, NDArray[np.generic]]", index: int, part: str, projector: Projector
) -> None:
    """Project one pose and write its row."""
    rng = np.random.default_rng((SEEDS[part], index))
    if part == "sideways":
        kind = Projection.LATERAL if rng.random() < 0.75 else Projection.OBLIQUE  # noqa: PLR2004
    else:
        kind = Projection.AP if rng.random() < 0.5 else Projection.PA  # noqa: PLR2004
    film = Detector(side=SIDE)
    shadow = projector.project(pose.draw(rng, kind), film)
    fields = regions.visible_fields(shadow, film.pixel_mm)
    lungs = shadow.structures[[Structure.RIGHT_LUNG, Structure.LEFT_LUNG]]
    arrays["maps"][index] = np.stack([shadow.soft, shadow.bone, *lungs]).astype(np.float16)
    arrays["fields"][index] = (
        RIGHT_LUNG * fields.right_lung
        + LEFT_LUNG * fields.left_lung
        + HEART * fields.heart
        + BODY * fields.body
    )
    boxes = {} if part == "sideways" else regions.boxes(shadow, fields)
    missing = (np.nan,) * 4
    arrays["boxes"][index] = [boxes.get(name, missing) for name in REGIONS]
    arrays["facts"][index] = (regions.cardiothoracic_ratio(fields), PROJECTIONS.index(kind))


def main() -> None:
    """Make all parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--train", type=int, default=900)
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    counts = {"train": chosen.train, "valid": 60, "sideways": 80, "test": 100}
    ct = source.read(source.fetch(chosen.out / "source"))
    armless = Projector(phantom.build(ct, arms=False))
    frontal = Projector(phantom.build(ct))
    for part, count in counts.items():
        make(chosen.out, part, count, armless if part == "sideways" else frontal)


if __name__ == "__main__":
    main()
