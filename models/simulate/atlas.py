"""Where things lie in the phantom: lobes, distance to the chest wall, domes, hila, ribs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull, Delaunay

from models.simulate import phantom
from models.simulate.phantom import BOTTOM_SLICES, SIDE_VOXELS, TOP_SLICES
from models.vocabulary import Side

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.simulate.phantom import Phantom
    from models.simulate.source import SourceCt

LOBES = {12: 1, 13: 2, 14: 3, 10: 4, 11: 5}  # TotalSegmentator number -> zone
RIGHT_UPPER, RIGHT_MIDDLE, RIGHT_LOWER, LEFT_UPPER, LEFT_LOWER = range(1, 6)
LOBES_OF = {
    Side.RIGHT: (RIGHT_UPPER, RIGHT_MIDDLE, RIGHT_LOWER),
    Side.LEFT: (LEFT_UPPER, LEFT_LOWER),
}
CLAVICLES = {Side.RIGHT: 74, Side.LEFT: 73}
FIRST_RIB = {Side.RIGHT: 104, Side.LEFT: 92}  # twelve numbers a side
EVERY = 2  # the wall's distance is smooth: every second voxel of a slice is enough


@dataclass(frozen=True, slots=True, eq=False)
class Atlas:
    """Maps of one phantom. Points are z, y, x in mm from the centre of the first voxel.

    ``lobes`` (z, y, x) holds zones 1 to 5 on the phantom's grid. ``wall_mm`` is the distance to
    the chest wall (not to mediastinum or diaphragm) on every second voxel of a slice. ``dome_mm``
    (y, x) is the height of the lowest lung; ``hila`` one point per side; ``ribs`` the points of
    each rib by side and number, ``clavicles`` by side, every fourth voxel.
    """

    lobes: "NDArray[np.uint8]"
    wall_mm: "NDArray[np.float32]"
    dome_mm: "NDArray[np.float32]"
    hila: "dict[Side, NDArray[np.float32]]"
    ribs: "dict[tuple[Side, int], NDArray[np.float32]]"
    clavicles: "dict[Side, NDArray[np.float32]]"


def build(source: "SourceCt", made: "Phantom", *, every: int = 2) -> Atlas:
    """Draw the maps of ``made``, which must stem from ``source`` with the same ``every``."""
    table = np.zeros(256, np.uint8)
    for number, zone in LOBES.items():
        table[number] = zone
    padding = ((BOTTOM_SLICES, TOP_SLICES), (0, 0), (SIDE_VOXELS, SIDE_VOXELS))
    lobes = np.pad(table[source.labels], padding)[:, ::every, ::every]
    spacing = np.asarray(source.spacing_mm, np.float32)
    shift = np.asarray((BOTTOM_SLICES, 0, SIDE_VOXELS), np.float32)

    def points(number: int) -> "NDArray[np.float32]":
        return ((np.argwhere(source.labels == number)[::4] + shift) * spacing).astype(np.float32)

    floor = phantom.lowest_lung(made.codes).astype(np.float32) * made.spacing_mm[0]
    hila = {Side.RIGHT: phantom.HILUM_RIGHT, Side.LEFT: phantom.HILUM_LEFT}
    return Atlas(
        lobes=np.ascontiguousarray(lobes),
        wall_mm=_wall(lobes[:, ::EVERY, ::EVERY] > 0, made.spacing_mm),
        dome_mm=ndimage.median_filter(floor, 5),
        hila={side: (np.asarray(h, np.float32) + shift) * spacing for side, h in hila.items()},
        ribs={
            (side, n + 1): points(first + n) for side, first in FIRST_RIB.items() for n in range(12)
        },
        clavicles={side: points(number) for side, number in CLAVICLES.items()},
    )


def _wall(lung: "NDArray[np.bool_]", spacing: tuple[float, float, float]) -> "NDArray[np.float32]":
    """Distance to the outside of the cage: per slice the convex hull of both lungs, mm."""
    cage = np.zeros(lung.shape, bool)
    grid = np.stack(np.meshgrid(*map(np.arange, lung.shape[1:]), indexing="ij"), -1).reshape(-1, 2)
    for index, layer in enumerate(lung):
        places = np.argwhere(layer)
        if len(places) < 20:  # noqa: PLR2004 - nothing to span
            continue
        hull = places[ConvexHull(places).vertices]
        cage[index] = (Delaunay(hull).find_simplex(grid) >= 0).reshape(layer.shape)
    # Downwards the cage never narrows, so that the diaphragm is no wall.
    for index in range(len(cage) - 2, -1, -1):
        cage[index] |= cage[index + 1]
    steps = (spacing[0], spacing[1] * EVERY, spacing[2] * EVERY)
    return np.asarray(ndimage.distance_transform_edt(cage, sampling=steps), np.float32)
