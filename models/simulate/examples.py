"""The wishes behind the frozen example films of ``models/examples``.

Those files were drawn once, by the first version of the simulator (flat findings), before any
network saw them, and do not change: tests and the demonstration rest on them. This module draws the
same wishes with the simulator as it is now, which gives other films of the same kinds.

``python -m models.simulate.examples --cache DIR --out DIR``
"""

import argparse
from pathlib import Path

from models.simulate import generate
from models.simulate.pose import Projection
from models.simulate.studio import Studio
from models.simulate.wishes import LARGE_HEART, Kind, Wish
from models.vocabulary import Side

DEMONSTRATION = {
    "frontal-with-mass": (2026112101, Wish((Kind.MASS,), side=Side.RIGHT, strength=0.3)),
    "frontal-without-finding": (2026112102, Wish()),
    "lateral": (2026112103, Wish((Kind.LATERAL,), Projection.LATERAL)),
}
VIEWS = (Projection.PA, Projection.AP)
WISHES = (
    *(Wish(projection=view) for view in VIEWS * 2),
    *(
        Wish((kind,), view, side, 0.6)
        for kind in (Kind.EFFUSION, Kind.CONSOLIDATION, Kind.MASS)
        for side in Side
        for view in VIEWS
    ),
    *(Wish((Kind.LARGE_HEART,), view, heart=LARGE_HEART) for view in VIEWS),
    *(Wish((Kind.LATERAL,), Projection.LATERAL) for _ in range(2)),
)
TEST_FILMS = {f"test-{i:02d}": (3000 + i, wish) for i, wish in enumerate(WISHES)}
LARGE_SIDE, SMALL_SIDE = 1800, 620


def write(studio: Studio, out: Path) -> None:
    """Write demonstration and test films with their truth."""
    out.mkdir(parents=True, exist_ok=True)
    for films, side in ((DEMONSTRATION, LARGE_SIDE), (TEST_FILMS, SMALL_SIDE)):
        for name, (seed, wish) in films.items():
            taken = studio.take((seed,), wish, side=side)
            generate.write(taken, out / name, with_masks=False)


def main() -> None:
    """Write all examples."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    write(Studio.of_ct(chosen.cache, every=1), chosen.out)


if __name__ == "__main__":
    main()
