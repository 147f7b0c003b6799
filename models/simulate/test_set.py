"""The frozen test of the simulator: own wishes, own seeds, factors that no training film has.

Every film takes its pose or its shape from a held-out range (lordotic or badly turned beyond
training, finer waves), every third the held-out tone, every fourth has its findings by the second
method. Change nothing here: figures are only comparable on the same films, and some of them are
recorded beside it.

``python -m models.simulate.test_set --cache DIR --out DIR [--n 420]`` writes the films;
``--check`` compares some of them with the record.
"""

import argparse
import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from models.simulate import attributes, generate, wishes
from models.simulate.film import HELD_OUT_TONE
from models.simulate.studio import Studio
from models.simulate.wishes import Kind
from models.vocabulary import Side

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from models.simulate.studio import Taken
    from models.simulate.wishes import Wish

SEED = 20_261_122  # of nothing else
SIDE = 448
TONE_EVERY, FLAT_EVERY = 3, 4
# Every kind as often as any other, so that each has its figure; normal films three times.
KINDS = (
    Kind.NORMAL, Kind.EFFUSION, Kind.PNEUMOTHORAX, Kind.CONSOLIDATION, Kind.NORMAL,
    Kind.ATELECTASIS, Kind.MASS, Kind.NODULE, Kind.INTERSTITIAL, Kind.EDEMA, Kind.NORMAL,
    Kind.LARGE_HEART, Kind.WIDE_MEDIASTINUM, Kind.SHIFT, Kind.RAISED_DOME, Kind.FREE_AIR,
    Kind.RIB_FRACTURE, Kind.CLAVICLE_FRACTURE, Kind.WHITE_OUT, Kind.TUBES, Kind.PACEMAKER,
)  # fmt: skip
FLAT = (Kind.EFFUSION, Kind.CONSOLIDATION, Kind.MASS, Kind.NODULE)
COARSE = 32  # side of the picture whose rounded grey levels are recorded
GREY_STEPS = 16
# Recorded: one of nearly every kind, and one whose effusion came by the second method.
KEPT = (0, 1, 2, 3, 5, 6, 7, 8, 9, 16, 17, 19, 20, 64)
RECORDED = Path(__file__).with_name("test_set.json")


def wish(number: int) -> "Wish":
    """Return what test film ``number`` shows; sides alternate with each round of kinds."""
    turn, place = divmod(number, len(KINDS))
    rng = np.random.default_rng((SEED, number, 1))
    drawn = wishes.draw(rng, KINDS[place])
    return replace(
        drawn,
        side=Side.RIGHT if turn % 2 == 0 else Side.LEFT,
        devices=drawn.devices or None,
        held_out=True,
        flat=KINDS[place] in FLAT and turn % FLAT_EVERY == FLAT_EVERY - 1,
        tone=HELD_OUT_TONE if number % TONE_EVERY == TONE_EVERY - 1 else None,
    )


def films(studio: Studio, n: int, first: int = 0) -> "Iterator[tuple[str, Taken]]":
    """Take the test films from ``first`` up to ``n`` with their names; each has its own seed."""
    for number in range(first, n):
        taken = studio.take((SEED, number, 2), wish(number), side=SIDE)
        yield f"test_{number:05d}", taken


def truth_digest(taken: "Taken") -> str:
    """Return the SHA-256 of a film's truth; boxes count to whole pixels."""
    told = generate.truth(taken, attributes.signs(taken))
    return hashlib.sha256(json.dumps(_rounded(told), sort_keys=True).encode()).hexdigest()


def look_digest(taken: "Taken") -> str:
    """Return the SHA-256 of a coarse picture: processors differ in the last bits, not in these."""
    image = Image.fromarray(generate.to_8_bit(taken.pixels))
    small = image.resize((COARSE, COARSE), Image.Resampling.BOX)
    steps = np.round(np.asarray(small, np.float32) / GREY_STEPS).astype(np.uint8)
    return hashlib.sha256(steps.tobytes()).hexdigest()


def record(studio: Studio, numbers: "Sequence[int]") -> list[dict[str, str]]:
    """Return what the films of these numbers are, for the record."""
    return [
        {"name": name, "truth": truth_digest(taken), "look": look_digest(taken)}
        for number in numbers
        for name, taken in films(studio, number + 1, number)
    ]


def _rounded(value: object) -> object:
    """Round all numbers that come from geometry: to whole pixels, degrees or mm."""
    if isinstance(value, float):
        return round(value)
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return value


def main() -> None:
    """Write the test films, or compare some of them with the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--n", type=int, default=420)
    parser.add_argument("--check", action="store_true", help="compare with the record")
    parser.add_argument("--record", action="store_true", help="write the record anew")
    chosen = parser.parse_args()
    studio = Studio.of_ct(chosen.cache)
    if chosen.record:
        RECORDED.write_text(json.dumps(record(studio, KEPT), indent=1) + "\n")
    if chosen.check:
        known = json.loads(RECORDED.read_text())
        changed = [old["name"] for old, new in zip(known, record(studio, KEPT), strict=True)
                   if old != new]  # fmt: skip
        sys.exit(f"changed: {', '.join(changed)}" if changed else 0)
    if chosen.out is not None:
        chosen.out.mkdir(parents=True, exist_ok=True)
        done = len(list(chosen.out.glob("test_*.json")))  # of a film, written last
        for name, taken in films(studio, chosen.n, done):
            generate.write(taken, chosen.out / name)


if __name__ == "__main__":
    main()
