"""The frozen example films of ``models/examples``: seeds written down before any network saw them.

``python -m models.simulate.examples --cache DIR --out models/examples``
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from models.simulate.generate import LARGE_HEART, Studio, Wish
from models.simulate.pose import Projection
from models.vocabulary import Observation, Side

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEMONSTRATION = {
    "frontal-with-mass": (2026112101, Wish(Projection.PA, Observation.MASS, Side.RIGHT, 40.0)),
    "frontal-without-finding": (2026112102, Wish(Projection.PA)),
    "lateral": (2026112103, Wish(Projection.LATERAL)),
}
KINDS = (
    *(Wish(view) for view in (Projection.PA, Projection.AP) * 2),
    *(
        Wish(view, kind, side, size)
        for kind, size in (
            (Observation.PLEURAL_EFFUSION, 90.0),
            (Observation.LUNG_OPACITY, 90.0),
            (Observation.MASS, 45.0),
        )
        for side in (Side.RIGHT, Side.LEFT)
        for view in (Projection.PA, Projection.AP)
    ),
    Wish(Projection.PA, Observation.ENLARGED_CARDIAC_SILHOUETTE, heart=LARGE_HEART),
    Wish(Projection.AP, Observation.ENLARGED_CARDIAC_SILHOUETTE, heart=LARGE_HEART),
    Wish(Projection.LATERAL),
    Wish(Projection.LATERAL),
)
TEST_FILMS = {f"test-{i:02d}": (3000 + i, wish) for i, wish in enumerate(KINDS)}
LARGE_SIDE, LARGE_STEPS = 1800, 160
SMALL_SIDE = 620
FULL_SCALE = 4095  # 12 bits, of which the two lowest are grain and dropped: 10 bits are kept


def write(cache: Path, out: Path) -> None:
    """Write demonstration films (10 bit in 16-bit PNG), test films (8 bit) and the truth."""
    out.mkdir(parents=True, exist_ok=True)
    truths: dict[str, Any] = {}
    fine = Studio(cache, every=1)
    for name, (seed, wish) in DEMONSTRATION.items():
        made = fine.film(seed, wish, side=LARGE_SIDE, steps=LARGE_STEPS)
        _save(np.round(made.pixels * FULL_SCALE).astype(np.uint16) >> 2, out / f"{name}.png")
        truths[f"{name}.png"] = {**made.truth(), "bits": 10}
    coarse = Studio(cache)
    for name, (seed, wish) in TEST_FILMS.items():
        made = coarse.film(seed, wish, side=SMALL_SIDE)
        _save(np.round(made.pixels * 255).astype(np.uint8), out / f"{name}.png")
        truths[f"{name}.png"] = {**made.truth(), "bits": 8}
    (out / "truth.json").write_text(json.dumps(truths, indent=1) + "\n")


def _save(pixels: "NDArray[np.generic]", path: Path) -> None:
    Image.fromarray(pixels).save(path, optimize=True)


def main() -> None:
    """Write all examples."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    write(chosen.cache, chosen.out)


if __name__ == "__main__":
    main()
