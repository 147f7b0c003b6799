"""Dense lung in three dimensions: mass, nodule, consolidation, interstitial pattern."""

from typing import TYPE_CHECKING

import numpy as np

from models.simulate.atlas import LOBES_OF
from models.simulate.findings import AIR, LARGE_MM, WATER, soft_only
from models.vocabulary import Side, Sign

if TYPE_CHECKING:
    from models.simulate.findings import Inserted
    from models.simulate.tissue import Chest, Places

ADDED_MM = 5.0  # mm of water from which a mass or nodule counts as drawn
AIRWAY = 0.10  # lung less dense than this is the air of a bronchus


def ball(rng: np.random.Generator, chest: "Chest", side: Side, size_mm: float) -> "Inserted":
    """Return a mass or nodule ``size_mm`` across: lobed, sometimes spiked, hollow or calcified."""
    sign = Sign.MASS if size_mm >= LARGE_MM else Sign.NODULE
    places = chest.lung(side)
    if not len(places):  # nothing of this lung holds air
        empty = np.zeros(chest.shape, np.float32)
        return soft_only(sign, side, 0.0, empty, empty > 0)
    centre = _middle(rng, chest, side, margin_mm=size_mm * float(rng.uniform(0.1, 0.5)))
    offset = chest.zyx[:, places] - centre[:, None]
    close = (np.abs(offset) < 0.8 * size_mm).all(0)
    places, offset = places[close], offset[:, close]
    squeeze = rng.uniform(0.85, 1.15, (3, 1))
    away = np.sqrt(((offset * squeeze) ** 2).sum(0)) + 1e-3
    unit = offset / away
    radius = size_mm / 2 * (1.0 + _lobes(rng, unit))
    edge = float(rng.uniform(1.0, 3.5))
    share = np.clip((radius - away) / edge + 0.5, 0.0, 1.0).astype(np.float32)
    density = float(rng.uniform(0.85, 1.08))
    if size_mm < 16 and rng.random() < 0.3:  # noqa: PLR2004 - a calcified nodule
        density = float(rng.uniform(1.3, 2.0))
    inner = WATER * density * np.ones(len(places), np.float32)
    if size_mm > 25 and rng.random() < 0.2:  # noqa: PLR2004 - a cavity
        hollow = away < radius * float(rng.uniform(0.3, 0.7))
        inner[hollow] = AIR
    old = chest.density[places]
    inner = np.where(inner == AIR, inner, np.maximum(inner, old))
    added = chest.blend(places, share, inner)
    core = chest.path(places, share * (away < radius))
    seen = (core > 2.0) & (np.abs(added) > ADDED_MM / 2)  # noqa: PLR2004 - mm
    if np.abs(added).max(initial=0.0) < ADDED_MM:
        seen[:] = False
    return soft_only(sign, side, size_mm, added, seen)


def consolidation(
    rng: np.random.Generator, chest: "Chest", side: Side, size_mm: float
) -> "Inserted":
    """Airspaces filled: a whole lobe, or clouds about ``size_mm`` across; bronchi stay open."""
    lobe = int(rng.choice(LOBES_OF[side]))
    if rng.random() < 0.4:  # noqa: PLR2004 - confined to a lobe, sharp at the fissure
        places = chest.lobe(lobe)
        share = _clouds(rng, chest, places, size_mm * float(rng.uniform(1.2, 2.2)))
    else:
        places = chest.lung(side)
        share = _clouds(rng, chest, places, size_mm)
    patchy = float(rng.uniform(0.0, 0.45))
    grain = chest.noise(rng, places, float(rng.uniform(6, 16)))
    share = np.clip(share * (1.0 + patchy * grain), 0.0, 1.0)
    share = share * float(rng.uniform(0.45, 1.0))
    if rng.random() < 0.7:  # noqa: PLR2004 - air bronchograms
        share = np.where(chest.density[places] < AIRWAY, 0.0, share)
    added = chest.blend(places, share.astype(np.float32), WATER)
    limit = max(8.0, 0.3 * float(added.max(initial=0.0)))
    return soft_only(Sign.CONSOLIDATION, side, size_mm, added, (added > limit) & chest.field[side])


def interstitial(rng: np.random.Generator, chest: "Chest", strength: float) -> "Inserted":
    """Nets, or small spots, through both lungs; ``strength`` 0..1."""
    added = np.zeros(chest.shape, np.float32)
    affected = np.zeros(chest.shape, np.float32)
    spots = rng.random() < 0.4  # noqa: PLR2004
    where = str(rng.choice(("everywhere", "base and wall", "top"), p=(0.35, 0.45, 0.2)))
    cell = float(rng.uniform(3.5, 7.0))
    for side in Side:
        places = chest.lung(side)
        weight = _spread(chest, places, where) * (1.0 + 0.4 * chest.noise(rng, places, 40.0))
        fine = chest.noise(rng, places, cell)
        if spots:
            pattern = np.clip((fine - 1.5) * 2.0, 0.0, 1.0)
        else:
            other = chest.noise(rng, places, cell)
            pattern = np.clip(1.0 - np.minimum(np.abs(fine), np.abs(other)) / 0.28, 0.0, 1.0)
            pattern = 0.6 * pattern + 0.06
        share = np.clip(strength * pattern * np.clip(weight, 0, 1.3), 0.0, 0.95)
        added += chest.blend(places, share.astype(np.float32), WATER)
        affected += chest.path(places, (weight > 0.35).astype(np.float32)) * chest.field[side]  # noqa: PLR2004
    mask = affected > 0.3 * float(affected.max(initial=1.0))
    return soft_only(Sign.INTERSTITIAL_PATTERN, None, 100.0 * strength, added, mask)


def _spread(chest: "Chest", places: "Places", where: str) -> "np.ndarray":
    """How much of a lung is affected where: 0..1 per sample."""
    z = chest.zyx[0, places]
    low, high = np.percentile(z, (2, 98)) if len(places) else (0.0, 1.0)
    height = (z - low) / max(high - low, 1.0)
    if where == "base and wall":
        wall = np.exp(-chest.wall_mm[places] / 28.0)
        return np.asarray(np.clip(1.3 - 1.5 * height, 0.0, 1.0) * (0.25 + wall))
    if where == "top":
        return np.asarray(np.clip(1.6 * height - 0.3, 0.0, 1.0))
    return np.ones(len(places))


def _clouds(
    rng: np.random.Generator, chest: "Chest", places: "Places", size_mm: float
) -> "np.ndarray":
    """Overlapping round clouds around a random sample of ``places``: 0..1 per sample."""
    share = np.zeros(len(places))
    if not len(places):
        return share
    zyx = chest.zyx[:, places]
    heart = zyx[:, int(rng.integers(len(places)))]
    for _ in range(int(rng.integers(3, 7))):
        middle = heart + rng.normal(0, size_mm * 0.2, 3)
        radius = size_mm * rng.uniform(0.25, 0.5) * rng.uniform(0.75, 1.3, 3)
        reach = (((zyx - middle[:, None]) / radius[:, None]) ** 2).sum(0)
        share = np.maximum(share, np.exp(-(reach**1.7)))
    return share


def _middle(
    rng: np.random.Generator, chest: "Chest", side: Side, *, margin_mm: float
) -> "np.ndarray":
    """Return a place in the lung, mostly where a reader sees it: z, y, x in mm."""
    places = chest.lung(side)
    fit = chest.field[side].ravel()[chest.pixel[places]] & (chest.wall_mm[places] > margin_mm)
    places = places[fit] if fit.any() else places
    return np.asarray(chest.zyx[:, places[int(rng.integers(len(places)))]])


def _lobes(rng: np.random.Generator, unit: "np.ndarray") -> "np.ndarray":
    """Uneven radius by direction ``(3, n)``: a few broad lobes, sometimes spikes."""
    uneven = np.zeros(unit.shape[1])
    for order in (2.0, 3.0, 5.0):
        turn = rng.normal(0, 1, (3, 1))
        along = (unit * turn).sum(0) / np.linalg.norm(turn)
        uneven += float(rng.uniform(0, 0.09)) * np.cos(order * along * 2 + float(rng.uniform(0, 6)))
    if rng.random() < 0.25:  # noqa: PLR2004
        spikes = rng.normal(0, 1, (3, 14))
        spikes /= np.linalg.norm(spikes, axis=0)
        uneven += 0.5 * np.clip((spikes.T @ unit).max(0) - 0.93, 0, None) / 0.07
    return uneven
