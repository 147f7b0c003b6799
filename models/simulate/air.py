"""Air where none belongs: pneumothorax, and free air below the domes."""

from typing import TYPE_CHECKING

import numpy as np

from models.simulate.findings import AIR, WATER, soft_only
from models.simulate.fluid import SUPINE
from models.simulate.tissue import UNDER
from models.vocabulary import Side, Sign

if TYPE_CHECKING:
    from models.simulate.findings import Inserted
    from models.simulate.tissue import Chest

PLEURA_MM = 1.6  # thickness drawn for the line of the visceral pleura
DIAPHRAGM_MM = 3.5
SEEN_MM = 10.0  # air along a ray from which it shows


def pneumothorax(
    rng: np.random.Generator, chest: "Chest", side: Side, size_mm: float
) -> "Inserted":
    """Air between chest wall and lung, ``size_mm`` wide where it is widest.

    It gathers at the highest point: the apex of a patient upright, in front of the lung of one
    lying down. The lung beside it is smaller and so denser, and ends in a fine line.
    """
    places = chest.lung(side)
    low, high = chest.low_mm(side), chest.high_mm(side)
    reach = float(rng.uniform(0.35, 1.0)) if size_mm < 35 else float(rng.uniform(0.75, 1.3))  # noqa: PLR2004
    start = high - reach * (high - low)
    rise = np.clip((chest.height_mm[places] - start) / max(high - start, 1.0), 0.0, 1.0)
    wall = chest.wall_mm[places]
    gap = size_mm * rise ** float(rng.uniform(0.5, 1.1)) - wall
    air = np.clip(gap / 1.5 + 0.5, 0.0, 1.0).astype(np.float32)
    air[rise <= 0] = 0.0
    lost = float(air.sum()) / max(len(air), 1)
    old = chest.density[places]
    denser = (1.0 / max(1.0 - lost, 0.3)) ** float(rng.uniform(0.4, 0.9))
    lung = np.minimum(old * denser, np.maximum(old, WATER))
    line = np.exp(-((gap / PLEURA_MM) ** 2)) * (rise > 0) * float(rng.uniform(0.5, 1.0))
    lung = np.maximum(lung, line)
    added = chest.become(places, (lung + air * (AIR - lung)).astype(np.float32))
    chest.displace(places[air > 0.5])  # noqa: PLR2004
    empty, whole = chest.path(places, air), chest.thickness[side]
    if chest.rays.pose.recline > SUPINE:
        seen = empty > np.maximum(SEEN_MM, 0.22 * whole)
    else:
        seen = (empty > 0.72 * whole) & (whole > 5.0)  # noqa: PLR2004 - beyond the line: no lung left
    return soft_only(Sign.PNEUMOTHORAX, side, size_mm, added, seen & chest.field[side])


def subdiaphragmatic(
    rng: np.random.Generator, chest: "Chest", side: Side, size_mm: float
) -> "Inserted":
    """Free air under a dome of a patient upright: a crescent ``size_mm`` high."""
    places = np.flatnonzero(chest.zone == UNDER[side])
    z, y, x = chest.zyx[:, places] + chest.projector.origin_mm[:, None]
    dome = chest.atlas.dome_mm
    steps = chest.projector.extent_mm[1:] / (np.asarray(dome.shape) - 1)
    rows = np.clip(np.rint(y / steps[0]), 0, dome.shape[0] - 1).astype(np.intp)
    columns = np.clip(np.rint(x / steps[1]), 0, dome.shape[1] - 1).astype(np.intp)
    below = dome[rows, columns] - z
    height = chest.height_mm[places]
    close = (below > 0) & (below < 2 * DIAPHRAGM_MM)
    summit = float(np.percentile(height[close], 99.0)) if close.any() else 0.0
    level = summit - size_mm - DIAPHRAGM_MM + float(rng.uniform(-1, 1))
    share = np.clip((below - DIAPHRAGM_MM) / 2.0, 0, 1) * np.clip((height - level) / 2.0, 0, 1)
    share = share.astype(np.float32)
    added = chest.blend(places, share, AIR)
    return soft_only(
        Sign.SUBDIAPHRAGMATIC_AIR, side, size_mm, added, chest.path(places, share) > SEEN_MM
    )
