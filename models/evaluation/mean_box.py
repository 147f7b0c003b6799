"""The mean box of each region over simulated training films: what any network must beat.

``python -m models.evaluation.mean_box --bases DIR`` takes it anew and keeps it as data, so that the
report can be made without the training projections.
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.anatomy.heads import REGIONS
from models.anatomy.network import INPUT_SIDE
from models.training import cache
from models.training.samples import Simulator

if TYPE_CHECKING:
    from models.training.measures import Numbers

FILE = Path(__file__).parent / "mean_box.json"
FILMS, SEED, PLACES = 300, 41, 4


def of_films(bases: Path) -> "Numbers":
    """Average the boxes of training films ``(36, 4)``, corners in 0..1 of the square."""
    simulator = Simulator(cache.load(bases, "train"))
    rng = np.random.default_rng(SEED)
    sums, counts = np.zeros((len(REGIONS), 4)), np.zeros((len(REGIONS), 1))
    for number in range(FILMS):
        sample = simulator.scene(rng, number % len(simulator.bases), 0)
        low = sample.boxes[:, :2] - sample.boxes[:, 2:] / 2
        known = sample.present[:, None] > 0
        sums += np.concatenate([low, low + sample.boxes[:, 2:]], axis=1) * known
        counts += known
    return np.asarray(sums / np.maximum(counts, 1))


def kept() -> "Numbers":
    """Return the mean boxes ``(36, 4)``, corners in px of the network's square."""
    told = json.loads(FILE.read_text())["corners"]
    return np.asarray([told[name.value] for name in REGIONS]) * INPUT_SIDE


def main() -> None:
    """Take and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bases", type=Path, required=True)
    chosen = parser.parse_args()
    corners = of_films(chosen.bases).round(PLACES).tolist()
    told = dict(zip((name.value for name in REGIONS), corners, strict=True))
    FILE.write_text(json.dumps({"films": FILMS, "corners": told}, indent=1) + "\n")


if __name__ == "__main__":
    main()
