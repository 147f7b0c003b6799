"""Fluid in three dimensions: pleural effusion, pulmonary edema, a lung that is all white."""

from typing import TYPE_CHECKING

import numpy as np

from models.simulate.findings import FLUID, WATER, soft_only
from models.vocabulary import Side, Sign

if TYPE_CHECKING:
    from models.simulate.findings import Inserted
    from models.simulate.tissue import Chest

SHADOW_MM = 7.0  # fluid along a ray from which it counts as drawn
SUPINE = 45.0  # degrees of leaning back from which fluid layers behind the lung


def effusion(rng: np.random.Generator, chest: "Chest", side: Side, size_mm: float) -> "Inserted":
    """Free fluid up to ``size_mm`` above the deepest lung seen, along gravity.

    Upright its surface climbs the chest wall (the meniscus of a lung floating in a film of fluid);
    lying down the same law makes a veil behind the lung.
    """
    places = chest.lung(side)
    above = chest.height_mm[places] - chest.low_mm(side)
    flat = float(rng.uniform(0.2, 0.55))
    film_mm = float(rng.uniform(14, 34)) * (0.6 + size_mm / 160.0)
    level = size_mm * (flat + (1 - flat) * np.exp(-chest.wall_mm[places] / film_mm))
    share = np.clip((level - above) / 3.0 + 0.5, 0.0, 1.0).astype(np.float32)
    squeezed = np.exp(-np.clip(above - level, 0, None) / 25.0)
    old = chest.density[places]
    lung = np.minimum(old * (1.0 + float(rng.uniform(0.1, 0.7)) * squeezed), WATER)
    added = chest.become(places, (lung + share * (FLUID - lung)).astype(np.float32))
    fluid = chest.path(places, share)
    chest.displace(places[share > 0.5])  # noqa: PLR2004
    behind = chest.rays.pose.recline > SUPINE
    enough = fluid > np.maximum(SHADOW_MM, (0.12 if behind else 0.25) * chest.thickness[side])
    return soft_only(Sign.PLEURAL_EFFUSION, side, size_mm, added, enough & chest.field[side])


def white(rng: np.random.Generator, chest: "Chest", side: Side, *, pulled: bool) -> "Inserted":
    """Return one lung without air: collapsed (``pulled``) or drowned by an effusion."""
    places = chest.lung(side)
    density = float(rng.uniform(0.92, 1.03))
    share = np.full(len(places), float(rng.uniform(0.9, 1.0)), np.float32)
    if rng.random() < 0.4:  # noqa: PLR2004 - some air is left at the top
        top = chest.high_mm(side) - float(rng.uniform(0, 45))
        share *= np.clip((top - chest.height_mm[places]) / 25.0, 0.0, 1.0).astype(np.float32)
    added = chest.blend(places, share, density)
    seen = (chest.path(places, share) > 0.4 * chest.thickness[side]) & chest.field[side]
    sign = Sign.ATELECTASIS if pulled else Sign.PLEURAL_EFFUSION
    return soft_only(sign, side, 250.0, added, seen)


def edema(rng: np.random.Generator, chest: "Chest", strength: float) -> "Inserted":
    """Water in both lungs around the hila and downwards, with septal lines at the walls.

    ``strength`` 0..1 from haze to a bat's wings.
    """
    added = np.zeros(chest.shape, np.float32)
    water = np.zeros(chest.shape, np.float32)
    reach = float(rng.uniform(45, 85))
    sink = float(rng.uniform(0.0, 0.9))
    for side in Side:
        places = chest.lung(side)
        z, y, x = chest.zyx[:, places]
        hilum = chest.from_volume(chest.atlas.hila[side])
        away = np.sqrt((z - hilum[0]) ** 2 / 1.7 + (y - hilum[1]) ** 2 + (x - hilum[2]) ** 2)
        wing = np.exp(-((away / reach) ** 2))
        low, high = chest.low_mm(side), chest.high_mm(side)
        depth = np.clip((high - chest.height_mm[places]) / max(high - low, 1.0), 0.0, 1.0)
        cloudy = 1.0 + 0.5 * chest.noise(rng, places, 12.0) + 0.35 * chest.noise(rng, places, 30.0)
        core = np.clip(chest.wall_mm[places] / 22.0, 0.25, 1.0)
        share = strength * np.clip((wing + sink * depth**2 * 0.6) * cloudy, 0.0, 1.2) * core * 0.8
        lines = _septa(rng, chest, side) * strength
        share = np.clip(share + lines, 0.0, 0.95).astype(np.float32)
        added += chest.blend(places, share, WATER)
        water += chest.path(places, share) * chest.field[side]
    limit = max(10.0, 0.35 * float(np.percentile(water[water > 0], 98)) if water.any() else 10.0)
    return soft_only(Sign.PULMONARY_EDEMA, None, 100.0 * strength, added, water > limit)


def _septa(rng: np.random.Generator, chest: "Chest", side: Side) -> "np.ndarray":
    """Short level lines near the wall of the lower half: thickened septa (Kerley B)."""
    places = chest.lung(side)
    z, _, x = chest.zyx[:, places]
    wavy = z + 0.06 * np.abs(x) + 1.5 * chest.noise(rng, places, 25.0)
    spacing = float(rng.uniform(7.0, 11.0))
    line = np.clip(3.0 * (np.cos(2 * np.pi * wavy / spacing) - 0.62), 0.0, 1.0)
    near = (chest.wall_mm[places] < rng.uniform(8, 18)) & (z < 0)
    broken = np.clip(chest.noise(rng, places, 18.0), 0.0, 1.0)
    return np.asarray(line * near * broken * float(rng.uniform(0.1, 0.45)), np.float32)
