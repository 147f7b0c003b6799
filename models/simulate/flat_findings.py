"""The SECOND way to insert findings: flat, in the projection. For held-out tests only.

A network trained on three-dimensional findings (``models.simulate.findings``) is tested on these,
so that it cannot pass by knowing the seams of one method. Fluid and consolidation replace the air
that the ray crosses in that lung (its thickness is known per pixel), a mass adds the chord of a
lobed ball, never more than the lung there holds. Everything in mm of water along the ray.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from models.vocabulary import Observation, Side

if TYPE_CHECKING:
    from numpy.typing import NDArray

AIR_SHARE = 0.74  # of a lung's thickness is air that fluid can replace
VISIBLE_MM = 4.0  # added water from which a finding counts as drawn


@dataclass(frozen=True, slots=True, eq=False)
class Lungs:
    """One projection's lungs: thickness in mm and visible field, per side, on one grid."""

    right_mm: "NDArray[np.float32]"
    left_mm: "NDArray[np.float32]"
    right_field: "NDArray[np.bool_]"
    left_field: "NDArray[np.bool_]"
    pixel_mm: float

    def side(self, side: Side) -> "tuple[NDArray[np.float32], NDArray[np.bool_]]":
        """Thickness and visible field of one lung."""
        if side is Side.RIGHT:
            return self.right_mm, self.right_field
        return self.left_mm, self.left_field


@dataclass(frozen=True, slots=True, eq=False)
class FlatFinding:
    """One finding: ``added_mm`` of water and its ``mask``, both on the projection's grid."""

    observation: Observation
    side: Side
    size_mm: float
    added_mm: "NDArray[np.float32]"
    mask: "NDArray[np.bool_]"


def effusion(rng: np.random.Generator, lungs: Lungs, side: Side, height_mm: float) -> FlatFinding:
    """Free fluid up to ``height_mm`` above the angle, rising at the wall (upright)."""
    thickness, field = lungs.side(side)
    rows, columns = np.flatnonzero(field.any(1)), np.flatnonzero(field.any(0))
    if not len(rows):
        return _nothing(Observation.PLEURAL_EFFUSION, side, thickness)
    x = (np.arange(field.shape[1]) - columns[0]) / max(columns[-1] - columns[0], 1)
    outward = np.clip(1.0 - x if side is Side.RIGHT else x, 0.0, 1.0)
    rise = float(rng.uniform(0.25, 0.6)) * height_mm
    surface = rows[-1] - (height_mm - rise + rise * outward**2.5) / lungs.pixel_mm
    surface = surface - 0.25 * rise * (1 - outward) ** 4 / lungs.pixel_mm
    blur = float(rng.uniform(5.0, 16.0)) / lungs.pixel_mm
    depth = (np.arange(field.shape[0])[:, None] - surface[None, :]) / blur
    share = np.clip(depth, 0.0, 1.0).astype(np.float32)
    added = (share * thickness * AIR_SHARE).astype(np.float32)
    return FlatFinding(
        Observation.PLEURAL_EFFUSION, side, height_mm, added, (share > 0.35) & field  # noqa: PLR2004
    )  # fmt: skip


def opacity(rng: np.random.Generator, lungs: Lungs, side: Side, size_mm: float) -> FlatFinding:
    """Return a patch of consolidation: overlapping clouds, patchy inside, unsharp at the edge."""
    thickness, field = lungs.side(side)
    centre = _place(rng, field)
    if centre is None:
        return _nothing(Observation.LUNG_OPACITY, side, thickness)
    y, x = np.ogrid[: field.shape[0], : field.shape[1]]
    cloud = np.zeros(field.shape)
    for _ in range(int(rng.integers(3, 7))):
        radius = size_mm * float(rng.uniform(0.25, 0.5)) / lungs.pixel_mm
        middle = rng.normal(centre, size_mm * 0.22 / lungs.pixel_mm)
        squeeze = float(rng.uniform(0.7, 1.4))
        reach = ((y - middle[0]) / radius / squeeze) ** 2 + ((x - middle[1]) / radius) ** 2
        cloud = np.maximum(cloud, np.exp(-(reach**1.5)))
    grain = ndimage.gaussian_filter(
        rng.standard_normal(field.shape), float(rng.uniform(4, 9)) / lungs.pixel_mm
    )
    patchy = 1.0 + float(rng.uniform(0.1, 0.6)) * grain / (grain.std() + 1e-6)
    density = float(rng.uniform(0.28, 0.75))
    share = np.clip(cloud * patchy, 0.0, 1.0)
    added = (share * density * thickness * AIR_SHARE).astype(np.float32)
    mask = (cloud > 0.4) & field & (added > VISIBLE_MM)  # noqa: PLR2004
    return FlatFinding(Observation.LUNG_OPACITY, side, size_mm, added, mask)


def mass(rng: np.random.Generator, lungs: Lungs, side: Side, size_mm: float) -> FlatFinding:
    """Return a solid lobed ball of ``size_mm`` across, inside the visible lung."""
    thickness, field = lungs.side(side)
    inner = ndimage.binary_erosion(field, iterations=max(int(0.4 * size_mm / lungs.pixel_mm), 1))
    centre = _place(rng, inner if inner.any() else field)
    if centre is None:
        return _nothing(Observation.MASS, side, thickness)
    y, x = np.ogrid[: field.shape[0], : field.shape[1]]
    angle = np.arctan2(y - centre[0], x - centre[1])
    lobes = sum(
        float(rng.uniform(0, 0.07)) * np.cos(order * angle + float(rng.uniform(0, 6.3)))
        for order in range(2, 6)
    )
    radius = size_mm / 2 * (1.0 + lobes) / lungs.pixel_mm
    inside = np.clip(1.0 - ((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / radius**2, 0.0, None)
    chord = np.sqrt(inside) * size_mm * AIR_SHARE * float(rng.uniform(0.85, 1.15))
    chord = ndimage.gaussian_filter(chord, float(rng.uniform(0.4, 1.2)) / lungs.pixel_mm)
    added = np.minimum(chord, thickness * 0.9).astype(np.float32)
    return FlatFinding(
        Observation.MASS, side, size_mm, added, (inside > 0) & (added > VISIBLE_MM / 2)
    )


def _place(rng: np.random.Generator, field: "NDArray[np.bool_]") -> "tuple[float, float] | None":
    """Return a point ``(row, column)`` of the field, each as likely."""
    points = np.flatnonzero(field)
    if not len(points):
        return None
    row, column = divmod(int(rng.choice(points)), field.shape[1])
    return float(row), float(column)


def _nothing(kind: Observation, side: Side, like: "NDArray[np.float32]") -> FlatFinding:
    """No lung to put it in: an empty finding, which callers treat as absent."""
    return FlatFinding(kind, side, 0.0, np.zeros_like(like), np.zeros(like.shape, bool))
