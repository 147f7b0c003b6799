"""Step 1: project the phantom in many poses, with scenes of findings; resumable item by item.

``python -m models.training.cache --out DIR [--train 420] [--threads 1] [--parts train,valid]``
"""

import argparse
import json
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.lib.format import open_memmap

from models.simulate import (
    atlas,
    phantom,
    pose,
    region_masks,
    regions,
    scenes,
    source,
    truth,
)
from models.simulate.extra import ExtraDevices
from models.simulate.phantom import Structure
from models.simulate.pose import Projection
from models.simulate.projector import Detector, Projector
from models.simulate.tissue import Chest
from models.vocabulary import AnatomicStructure, MaskName, Sign

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.simulate.atlas import Atlas
    from models.simulate.pose import Pose
    from models.simulate.projector import Shadow
    from models.simulate.scenes import Scene

    Arrays = dict[str, NDArray[np.generic]]

SIDE = 384
SCENES = 8  # per base; the first is empty
REGIONS = tuple(AnatomicStructure)
RIGHT_LUNG, LEFT_LUNG, HEART, BODY = 1, 2, 4, 8  # bits of the field plane
PLANES = tuple(MaskName)[3:]  # bits of a scene's plane, 1 for the first
SEEDS = {"train": 101, "valid": 102, "test": 103, "sideways": 104}
PROJECTIONS = tuple(Projection)
ARMS_RAISED = 0.2  # share of PA films with the arms out of the beam


@dataclass(frozen=True, slots=True, eq=False)
class Bases:
    """A folder of base projections, ``n`` of them, each with ``k`` scenes (the first is empty).

    ``maps`` is ``(n, 4, side, side)`` float16: soft, bone, right and left lung thickness, mm of
    water or mm; ``fields`` ``(n, side, side)`` uint8 bits; ``boxes`` ``(n, 36, 4)`` float32, pixels
    of the base grid, NaN where a region is missing; ``regions`` ``(n, 36, side, side / 8)`` uint8,
    the regions' masks as bits along the last axis; ``facts`` ``(n, 2)`` float32: cardiothoracic
    ratio and index of the projection; ``poses`` ``(n, 8)`` float32: yaw, pitch, roll, recline,
    shift and widening of the mediastinum, domes right and left.

    Per scene: ``added`` ``(n, k, 2, side, side)`` float16, mm of water in soft and bone;
    ``planes`` ``(n, k, side, side)`` uint8, bits of PLANES; ``signs`` ``(n, k, 20)`` int8, 1
    present, 0 absent, -1 not to be answered; ``sides`` uint8 bits, right 1, left 2; ``sizes``
    float16 as the finding's maker means them; ``reach`` ``(n, k, 20, 4)`` float32, the box of a
    sign, NaN without; ``touches`` ``(n, k, 20, 36)`` uint8, 1 where a sign touches a region.
    """

    maps: "NDArray[np.float16]"
    fields: "NDArray[np.uint8]"
    boxes: "NDArray[np.float32]"
    regions: "NDArray[np.uint8]"
    facts: "NDArray[np.float32]"
    poses: "NDArray[np.float32]"
    added: "NDArray[np.float16]"
    planes: "NDArray[np.uint8]"
    signs: "NDArray[np.int8]"
    sides: "NDArray[np.uint8]"
    sizes: "NDArray[np.float16]"
    reach: "NDArray[np.float32]"
    touches: "NDArray[np.uint8]"

    def __len__(self) -> int:
        return len(self.maps)


def layout(part: str) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape of one base's row in each array; laterals have only the empty scene."""
    k, signs = (1 if part == "sideways" else SCENES), len(Sign)
    return {
        "maps": ("<f2", (4, SIDE, SIDE)),
        "fields": ("|u1", (SIDE, SIDE)),
        "boxes": ("<f4", (len(REGIONS), 4)),
        "regions": ("|u1", (len(REGIONS), SIDE, SIDE // 8)),
        "facts": ("<f4", (2,)),
        "poses": ("<f4", (8,)),
        "added": ("<f2", (k, 2, SIDE, SIDE)),
        "planes": ("|u1", (k, SIDE, SIDE)),
        "signs": ("|i1", (k, signs)),
        "sides": ("|u1", (k, signs)),
        "sizes": ("<f2", (k, signs)),
        "reach": ("<f4", (k, signs, 4)),
        "touches": ("|u1", (k, signs, len(REGIONS))),
    }


def load(folder: Path, part: str) -> Bases:
    """Open what is finished of one part, read-only.

    Raises
    ------
    FileNotFoundError
        If there is no such part, or an earlier version made it, which knew less.
    """
    done = int(json.loads((folder / f"{part}.json").read_text())["done"])
    names = [field.name for field in fields(Bases)]
    lacking = [name for name in names if not (folder / f"{part}.{name}.npy").is_file()]
    if lacking:
        raise FileNotFoundError(f"{folder} holds no {', '.join(lacking)}: project {part} anew")
    arrays = {name: np.load(folder / f"{part}.{name}.npy", mmap_mode="r") for name in names}
    return Bases(*(arrays[name][:done] for name in names))


class Maker:
    """Fills bases, with arms hanging down, raised, or out of the beam sideways."""

    def __init__(self, ct: source.SourceCt) -> None:
        whole = phantom.build(ct)
        self._hanging = Projector(whole)
        self._raised = Projector(phantom.build(ct, arms=False))
        self._atlas: Atlas = atlas.build(ct, whole)

    def stand(self, rng: np.random.Generator, part: str) -> "tuple[Projector, Pose, scenes.Theme]":
        """Draw who stands how; with the generator of a base, as that base's patient does."""
        if part == "sideways":
            kind = Projection.LATERAL if rng.random() < 0.75 else Projection.OBLIQUE  # noqa: PLR2004
        else:
            kind = Projection.AP if rng.random() < 0.5 else Projection.PA  # noqa: PLR2004
        held_out, even = part == "test", part == "train"
        stance, theme = pose.draw(rng, kind, held_out=held_out, even=even), scenes.Theme()
        if part != "sideways":
            stance, theme = scenes.themed(rng, stance)
        lifted = kind is Projection.PA and rng.random() < ARMS_RAISED
        projector = self._raised if lifted or part == "sideways" else self._hanging
        return projector, stance, theme

    def fresh(self, part: str, first: int, count: int) -> Bases:
        """Project ``count`` bases of a part from number ``first`` on, in memory alone."""
        arrays: Arrays = {
            name: np.zeros((count, *shape), dtype) for name, (dtype, shape) in layout(part).items()
        }
        for index in range(count):
            self.fill(arrays, index, part, number=first + index)
        return Bases(**arrays)  # type: ignore[arg-type]

    def devices(self, part: str, bases: Bases, first: int = 0) -> ExtraDevices:
        """Draw tubes and lines into the bases of a part; the height of the domes is theirs.

        ``first`` is the number in the part of the first of ``bases``.
        """

        def of_base(index: int) -> "tuple[Projector, Pose]":
            rng = np.random.default_rng((SEEDS[part], first + index))
            projector, stance, _ = self.stand(rng, part)
            right, left = (float(v) for v in bases.poses[index, 6:8])
            return projector, replace(stance, domes_mm=(right, left))

        return ExtraDevices(of_base, Detector(side=SIDE))

    def fill(self, arrays: "Arrays", index: int, part: str, number: int | None = None) -> None:
        """Project base ``number``, make its scenes and write row ``index``; each has its seed."""
        rng = np.random.default_rng((SEEDS[part], index if number is None else number))
        projector, stance, theme = self.stand(rng, part)
        film = Detector(side=SIDE)
        rays = projector.rays(stance, film)
        shadow = rays.shadow()
        seen = regions.visible_fields(shadow, film.pixel_mm)
        _write_base(arrays, index, shadow, seen)
        view = PROJECTIONS.index(stance.projection)
        arrays["facts"][index] = (regions.cardiothoracic_ratio(seen), view)
        arrays["poses"][index] = truth.describe(stance)
        if part == "sideways":
            arrays["boxes"][index] = np.nan
            return
        boxes = regions.boxes(shadow, seen)
        arrays["boxes"][index] = [boxes.get(name, (np.nan,) * 4) for name in REGIONS]
        for name, mask in region_masks.masks(shadow, seen, boxes).items():
            arrays["regions"][index, REGIONS.index(name)] = np.packbits(mask, axis=-1)
        chest = Chest(rays, projector, self._atlas)
        chest.look(seen, shadow.structures[Structure.ABDOMEN])
        body = truth.of_the_body(stance, arrays["boxes"][index], seen)
        for place in range(SCENES):
            scene = scenes.draw(rng, chest, theme) if place else scenes.Scene()
            _write_scene(arrays, (index, place), scene, body)


def make(folder: Path, part: str, count: int, maker: Maker) -> None:
    """Make ``count`` bases of one part; a half-made or smaller part goes on where it stopped."""
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / f"{part}.json"
    done = int(json.loads(state.read_text())["done"]) if state.is_file() else 0
    arrays = {
        name: _rows(folder / f"{part}.{name}.npy", dtype, (count, *shape), done)
        for name, (dtype, shape) in layout(part).items()
    }
    started = time.monotonic()
    for index in range(done, count):
        maker.fill(arrays, index, part)
        if index % 20 == 19 or index == count - 1:  # noqa: PLR2004 - how often progress is kept
            state.write_text(json.dumps({"done": index + 1, "seed": SEEDS[part]}))
            pace = (time.monotonic() - started) / (index + 1 - done)
            print(f"{part}: {index + 1}/{count}, {pace:.2f} s each", flush=True)  # noqa: T201


def _rows(path: Path, dtype: str, shape: tuple[int, ...], done: int) -> "NDArray[np.generic]":
    """Open an array on disk, made longer where fewer rows than wanted were planned before."""
    if not done:
        return open_memmap(path, "w+", dtype, shape)
    kept: NDArray[np.generic] = np.load(path, mmap_mode="r+")
    if len(kept) >= shape[0]:
        return kept
    grown = open_memmap(path.with_suffix(".tmp.npy"), "w+", dtype, shape)
    grown[:done] = kept[:done]
    grown.flush()
    path.with_suffix(".tmp.npy").rename(path)
    return grown


def _write_base(arrays: "Arrays", index: int, shadow: "Shadow", seen: regions.Fields) -> None:
    lungs = shadow.structures[[Structure.RIGHT_LUNG, Structure.LEFT_LUNG]]
    arrays["maps"][index] = np.stack([shadow.soft, shadow.bone, *lungs]).astype(np.float16)
    arrays["fields"][index] = (
        RIGHT_LUNG * seen.right_lung
        + LEFT_LUNG * seen.left_lung
        + HEART * seen.heart
        + BODY * seen.body
    )


def _write_scene(
    arrays: "Arrays", at: tuple[int, int], scene: "Scene", body: truth.Answers
) -> None:
    shape = (SIDE, SIDE)
    arrays["added"][at] = np.stack(scene.added(shape)).astype(np.float16)
    arrays["planes"][at] = sum(
        (scene.plane(name, shape).astype(np.uint8) << bit) for bit, name in enumerate(PLANES)
    )
    answers = truth.of_scene(scene, body, arrays["boxes"][at[0]])
    for name in ("signs", "sides", "sizes", "reach", "touches"):
        arrays[name][at] = getattr(answers, name)


def main() -> None:
    """Make all parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--train", type=int, default=420)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--parts", default="valid,sideways,train,test")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    counts = {"train": chosen.train, "valid": 60, "sideways": 80, "test": 120}
    maker = Maker(source.read(source.fetch(chosen.out / "source")))
    for part in chosen.parts.split(","):
        make(chosen.out, part, counts[part], maker)


if __name__ == "__main__":
    main()
