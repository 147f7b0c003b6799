"""A folder of simulated films with their truth, for demonstrations, tests and load.

Film ``i`` of a seed is the same whatever the number of films: ``film_00007.png``, its truth in
``film_00007.json``, its masks in ``film_00007.masks/``. Identical arguments give identical bytes on
one machine with one version of the libraries.

``python -m models.simulate.generate --cache DIR [--n 8] [--side 640]`` says where the time goes.
"""

import argparse
import cProfile
import json
import pstats
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from models.simulate import attributes, sentences, wishes
from models.simulate.pose import Projection
from models.simulate.studio import Studio, Taken
from models.simulate.wishes import Kind
from models.vocabulary import AnatomicStructure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from models.simulate.attributes import SignTruth
    from models.simulate.devices import Device
    from models.simulate.regions import Box

FORMAT = 2  # of the truth files
FILM, WISH = 77, 5  # streams of random numbers: one must not move the other
SUPINE_DEGREES = 45.0


@dataclass(frozen=True, slots=True)
class Order:
    """What to make: ``n`` films of a ``seed``, ``side`` pixels before collimation."""

    n: int = 1
    seed: int = 0
    kind: Kind = Kind.MIXED
    side: int = 640
    with_masks: bool = True


def films(studio: Studio, order: Order) -> "Iterator[tuple[str, Taken]]":
    """Take the films of an order one by one, with their names."""
    for number in range(order.n):
        wish = wishes.draw(np.random.default_rng((order.seed, number, WISH)), order.kind)
        yield f"film_{number:05d}", studio.take((order.seed, number, FILM), wish, side=order.side)


def simulate(studio: Studio, order: Order, out: Path) -> "Iterator[tuple[Path, Taken]]":
    """Write the films of an order one by one; yields each picture's path and the film.

    Pictures are 8 bit, bright = dense, and lie beside their truth and masks.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name, taken in films(studio, order):
        yield write(taken, out / name, with_masks=order.with_masks), taken


def write(taken: Taken, stem: Path, *, with_masks: bool = True) -> Path:
    """Write one film beside its truth and masks; returns the picture's path."""
    picture = stem.with_suffix(".png")
    Image.fromarray(to_8_bit(taken.pixels)).save(picture)
    facts = attributes.signs(taken)
    told = truth(taken, facts)
    if with_masks:
        folder = stem.with_suffix(".masks")
        folder.mkdir(exist_ok=True)
        for kind, masks in _masks(taken, facts).items():
            for name, mask in masks.items():
                target = folder / f"{name.replace(' ', '-')}.png"
                Image.fromarray(mask).save(target)  # one bit per pixel
                told["masks"][kind][name] = f"{folder.name}/{target.name}"
    stem.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return picture


def to_8_bit(pixels: "NDArray[np.float32]") -> "NDArray[np.uint8]":
    """Round 0..1 to 0..255."""
    return np.round(pixels * 255).astype(np.uint8)


def truth(taken: Taken, facts: "tuple[SignTruth, ...]") -> dict[str, Any]:
    """Return the truth of a film as plain JSON values; boxes are pixels of the film."""
    ratio = taken.cardiothoracic_ratio
    lateral = taken.wish.projection is Projection.LATERAL
    lying = taken.stance.recline > SUPINE_DEGREES
    return {
        "format": FORMAT,
        "kinds": [kind.value for kind in taken.wish.kinds],
        "rows": taken.pixels.shape[0],
        "columns": taken.pixels.shape[1],
        "view": taken.wish.projection.value,
        "view_position": view_position(taken),
        "position": "supine" if lying else "erect",
        "mirrored": False,
        "tone": taken.tone.value,
        "pixel_mm": round(taken.pixel_mm, 4),
        "detector_pixel_mm": round(taken.detector_mm, 4),
        "source_to_patient_mm": round(taken.stance.source_mm, 1),
        "quality": {name.value: hit for name, hit in attributes.quality(taken).items()},
        "cardiothoracic_ratio": None if np.isnan(ratio) else round(ratio, 4),
        "regions": [] if lateral else [_region(taken, name, facts) for name in AnatomicStructure],
        "signs": [_sign(fact) for fact in facts],
        "devices": [_device(one) for one in taken.devices],
        "report": {
            "findings": sentences.findings(facts, taken.devices),
            "impression": sentences.impression(facts, taken.devices) if facts else [],
        },
        "masks": {"regions": {}, "signs": {}},
    }


def view_position(taken: Taken) -> str:
    """Return View Position (0018,5101): PA, AP, or the side of the patient at the detector."""
    if taken.wish.projection in {Projection.PA, Projection.AP}:
        return taken.wish.projection.value
    return "RL" if taken.stance.yaw > 0 else "LL"


def _region(
    taken: Taken, name: AnatomicStructure, facts: "tuple[SignTruth, ...]"
) -> dict[str, Any]:
    """Return one region: box (None off the film), attributes, sentence."""
    box = taken.boxes.get(name)
    here = [fact.sign.value for fact in facts if name in fact.regions]
    return {
        "name": name.value,
        "box": None if box is None else _rounded(box),
        "attributes": here if box is not None else [],
        "sentence": None if box is None else sentences.of_region(name, facts),
    }


def _sign(fact: "SignTruth") -> dict[str, Any]:
    return {
        "sign": fact.sign.value,
        "state": fact.state.value,
        "sides": [side.value for side in fact.sides],
        "severity": fact.severity,
        "size": round(fact.size, 3),
        "box": None if fact.box is None else _rounded(fact.box),
        "regions": [name.value for name in fact.regions],
    }


def _device(one: "Device") -> dict[str, Any]:
    return {
        "sign": one.sign.value,
        "kind": one.kind,
        "side": None if one.side is None else one.side.value,
        "tip": one.tip.value,
        "misplaced": one.misplaced,
        "tip_px": [round(value, 1) for value in one.tip_px],
        "tip_above_carina_mm": round(one.tip_above_carina_mm, 1),
    }


def _masks(
    taken: Taken, facts: "tuple[SignTruth, ...]"
) -> "dict[str, dict[str, NDArray[np.bool_]]]":
    """Return every mask that has a pixel, of regions and of signs."""
    of_regions = {name.value: mask for name, mask in taken.masks.items() if mask.any()}
    of_signs = {fact.sign.value: fact.mask for fact in facts if fact.mask is not None}
    return {"regions": of_regions, "signs": of_signs}


def _rounded(box: "Box") -> list[float]:
    return [round(value, 1) for value in box]


def main() -> None:
    """Take films without writing them and print the pace and the costliest functions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--n", type=int, default=8)
    parser.add_argument("--side", type=int, default=640)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    studio = Studio.of_ct(chosen.cache)
    profile = cProfile.Profile()
    started, ticks = time.monotonic(), time.process_time()
    with profile:
        for _ in films(studio, Order(chosen.n, side=chosen.side)):
            pass
    wall, cpu = time.monotonic() - started, time.process_time() - ticks
    print(f"{chosen.n / wall:.2f} films/s by the clock, {chosen.n / cpu:.2f} per core")  # noqa: T201
    pstats.Stats(profile).sort_stats("cumulative").print_stats("models/simulate|grid_sample", 24)


if __name__ == "__main__":
    main()
