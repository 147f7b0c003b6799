"""Atelectasis: a lobe that folds towards its root, or a flat plate above the diaphragm."""

from typing import TYPE_CHECKING

import numpy as np

from models.simulate.atlas import (
    LEFT_LOWER,
    LEFT_UPPER,
    LOBES_OF,
    RIGHT_LOWER,
    RIGHT_MIDDLE,
    RIGHT_UPPER,
)
from models.simulate.findings import WATER, soft_only
from models.vocabulary import Side, Sign

if TYPE_CHECKING:
    from models.simulate.findings import Inserted
    from models.simulate.tissue import Chest

# Where what is left of each lobe lies: weights of height, front, and distance from the midline.
FOLDS = {
    RIGHT_UPPER: (1.0, 0.0, -0.9),
    RIGHT_MIDDLE: (-0.4, 0.3, -1.0),
    RIGHT_LOWER: (-0.7, -0.6, -1.0),
    LEFT_UPPER: (0.5, 0.8, -0.5),
    LEFT_LOWER: (-0.7, -0.6, -1.0),
}
VESSEL = 0.6  # lung samples denser than this do not get more air


def lobe(rng: np.random.Generator, chest: "Chest", side: Side, size_mm: float) -> "Inserted":
    """Collapse one lobe; ``size_mm`` (20 to 90) is what is left of it across its fold.

    The share of the lobe that turns dense lies against its root, bounded by a flat fissure; the
    lung around it takes the room and is darker. Shift and a raised dome belong to the pose.
    """
    zone = int(rng.choice(LOBES_OF[side]))
    places = chest.lobe(zone)
    if not len(places):
        return soft_only(Sign.ATELECTASIS, side, 0.0, *_nothing(chest))
    z, y, x = chest.zyx[:, places]
    outward = x if side is Side.LEFT else -x
    fold = np.asarray(FOLDS[zone]) + rng.normal(0, 0.15, 3)
    fold /= np.linalg.norm(fold)
    along = fold[0] * z + fold[1] * y + fold[2] * outward
    along = along + 2.0 * chest.noise(rng, places, 45.0)
    start = float(np.percentile(along, 99.0)) - size_mm
    share = np.clip((along - start) / 4.0 + 0.5, 0.0, 1.0)
    share = (share * float(rng.uniform(0.75, 1.0))).astype(np.float32)
    rest = chest.lung(side)
    dark = float(rng.uniform(0.72, 1.0))
    old = chest.density[rest]
    added = chest.become(rest, np.where(old < VESSEL, old * dark, old).astype(np.float32))
    dense = chest.blend(places, share, WATER)
    seen = (dense > np.maximum(8.0, 0.25 * float(dense.max(initial=0.0)))) & chest.field[side]
    return soft_only(Sign.ATELECTASIS, side, size_mm, added + dense, seen)


def plate(rng: np.random.Generator, chest: "Chest", side: Side, size_mm: float) -> "Inserted":
    """Return one to three flat plates, ``size_mm`` long, in the lower half of a lung."""
    places = chest.lung(side)
    z = chest.zyx[0, places]
    low = places[z < np.percentile(z, 45.0)] if len(places) else places
    if not len(low):
        return soft_only(Sign.ATELECTASIS, side, 0.0, *_nothing(chest))
    total = np.zeros(len(low), np.float32)
    zyx = chest.zyx[:, low]
    for _ in range(int(rng.integers(1, 4))):
        middle = zyx[:, int(rng.integers(len(low)))]
        normal = np.asarray((1.0, rng.normal(0, 0.12), rng.normal(0, 0.3)))
        normal /= np.linalg.norm(normal)
        offset = zyx - middle[:, None]
        high = (offset * normal[:, None]).sum(0)
        across = np.sqrt(np.clip((offset**2).sum(0) - high**2, 0, None))
        bend = high + 0.002 * across**2 * float(rng.normal(0, 1))
        thick = float(rng.uniform(2.5, 7.0))
        flat = np.clip(1.5 - np.abs(bend) / thick * 2, 0, 1)
        total = np.maximum(total, flat * np.clip((size_mm / 2 - across) / 6.0, 0, 1))
    added = chest.blend(low, total.astype(np.float32), WATER)
    return soft_only(Sign.ATELECTASIS, side, size_mm, added, (added > 5.0) & chest.field[side])  # noqa: PLR2004


def _nothing(chest: "Chest") -> "tuple[np.ndarray, np.ndarray]":
    return np.zeros(chest.shape, np.float32), np.zeros(chest.shape, bool)
