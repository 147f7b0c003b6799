"""The samples of one projection that findings change: lung, and the belly below the domes.

Every sample knows its pixel, its place in the phantom, its lobe, its distance to the chest wall and
its height against gravity. A finding gives samples a new density; the film's change is the sum of
the differences along the rays. Findings follow one another on the same densities, so that what they
share is counted once.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from models.simulate.atlas import LOBES_OF
from models.simulate.phantom import SUBPHRENIC, Structure
from models.simulate.pose import Projection
from models.simulate.projector import half_depth_mm
from models.vocabulary import Side

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.simulate.atlas import Atlas
    from models.simulate.projector import Projector, Rays
    from models.simulate.regions import Fields

    Numbers = NDArray[np.float32]
    Places = NDArray[np.intp]

LUNG_SEEN_MM = 8.0  # lung along a ray from which its edge shows
UNDER = {Side.RIGHT: 6, Side.LEFT: 7}  # zones beside the lobes


class Chest:
    """The changeable tissue of one patient on one film.

    Flat arrays, one entry per sample: ``pixel`` (row * columns + column), ``zyx`` (3, n) mm from
    the chest's middle in the phantom, ``zone`` (1 to 5 lobes, 6 and 7 below the right and left
    dome), ``wall_mm`` distance to the chest wall, ``height_mm`` against gravity in the room,
    ``density`` relative to water as it is after the findings so far.
    """

    def __init__(self, rays: "Rays", projector: "Projector", atlas: "Atlas") -> None:
        codes = rays.codes.ravel()
        structure = codes & 15
        lung = (structure == Structure.RIGHT_LUNG) | (structure == Structure.LEFT_LUNG)
        places = np.flatnonzero(lung | (codes >= SUBPHRENIC))
        self.rays, self.projector, self.atlas = rays, projector, atlas
        self.shape = rays.codes.shape[1], rays.codes.shape[2]
        self.step_mm = rays.step_mm
        self.pixel = (places % (self.shape[0] * self.shape[1])).astype(np.int32)
        grid = rays.grid.reshape(-1, 3)[torch.from_numpy(places)]
        self.zyx = np.ascontiguousarray(projector.millimetres(grid).T)
        self.zone = _zones(self.zyx, projector, atlas)
        self.wall_mm = _sample(atlas.wall_mm, grid)
        self.height_mm = _heights(places, rays)
        self.density = rays.density[0].reshape(-1)[torch.from_numpy(places)].numpy()
        self.untouched = self.density.copy()
        self._whole = {side: np.flatnonzero(np.isin(self.zone, LOBES_OF[side])) for side in Side}
        self._left = np.ones(len(self.pixel), bool)
        self._of = dict(self._whole)
        self.thickness = {side: self.path(self._of[side]) for side in Side}
        self.field: dict[Side, NDArray[np.bool_]] = {}

    def look(self, fields: "Fields", abdomen: "Numbers") -> None:
        """Say where a reader sees lung: ``fields`` with its thin rim, not behind the dome."""
        seen = {Side.RIGHT: fields.right_lung, Side.LEFT: fields.left_lung}
        for side in Side:
            thick = self.thickness[side]
            rim = (thick > LUNG_SEEN_MM) & (thick > 1.2 * abdomen)
            self.field[side] = seen[side] | rim

    def lung(self, side: Side) -> "Places":
        """Return the samples of one lung that are lung still."""
        return self._of[side]

    def lobe(self, *zones: int) -> "Places":
        """Return the samples of some zones that are lung still."""
        return np.flatnonzero(np.isin(self.zone, zones) & self._left)

    def displace(self, places: "Places") -> None:
        """Take samples from the lung for good: fluid or air is there now."""
        self._left[places] = False
        self._of = {side: whole[self._left[whole]] for side, whole in self._whole.items()}

    def reset(self) -> None:
        """Take all findings out again."""
        self.density = self.untouched.copy()
        self._left[:] = True
        self._of = dict(self._whole)

    def path(self, places: "Places", share: "Numbers | float" = 1.0) -> "Numbers":
        """Length of the rays through some samples, each counted by its share: mm per pixel."""
        weights = np.broadcast_to(np.asarray(share, np.float32), places.shape)
        return self._onto(places, weights)

    def become(self, places: "Places", density: "Numbers") -> "Numbers":
        """Give samples a new density; returns what that adds per pixel, mm of water."""
        added = self._onto(places, density - self.density[places])
        self.density[places] = density
        return added

    def blend(self, places: "Places", share: "Numbers", density: "Numbers | float") -> "Numbers":
        """Mix samples with something else by ``share``; returns what that adds."""
        old = self.density[places]
        return self.become(places, old + share * (density - old))

    def low_mm(self, side: Side) -> float:
        """Height of the deepest point of the lung that a reader sees, mm."""
        places = self._of[side]
        seen = self.field[side].ravel()[self.pixel[places]]
        heights = self.height_mm[places[seen]]
        return float(np.percentile(heights, 1.5)) if len(heights) else 0.0

    def high_mm(self, side: Side) -> float:
        """Height of the highest lung, mm."""
        heights = self.height_mm[self._of[side]]
        return float(np.percentile(heights, 99.7)) if len(heights) else 0.0

    def noise(self, rng: np.random.Generator, places: "Places", cell_mm: float) -> "Numbers":
        """Smooth noise in space, about standard normal, with cells of ``cell_mm``."""
        if not len(places):
            return np.zeros(0, np.float32)
        extent = self.projector.extent_mm
        size = [max(int(e / cell_mm), 2) for e in extent]
        lattice = torch.from_numpy(rng.standard_normal((1, 1, *size), dtype=np.float32))
        unit = 2.0 * (self.zyx[:, places] + self.projector.origin_mm[:, None]) / extent[:, None]
        grid = torch.from_numpy(np.ascontiguousarray(unit[::-1].T - 1.0, np.float32))
        drawn = functional.grid_sample(lattice, grid[None, None, None], align_corners=True)
        return np.asarray(drawn.reshape(-1).numpy() * 1.7)  # interpolation takes away variance

    def from_volume(self, points: "NDArray[np.float32]") -> "Numbers":
        """Points of the volume, z y x in mm from its first voxel, seen from the chest's middle."""
        return np.asarray(points - self.projector.origin_mm, np.float32)

    def _onto(self, places: "Places", weights: "Numbers") -> "Numbers":
        flat = np.bincount(self.pixel[places], weights, self.shape[0] * self.shape[1])
        return (flat.reshape(self.shape) * self.step_mm).astype(np.float32)


def _zones(zyx: "Numbers", projector: "Projector", atlas: "Atlas") -> "NDArray[np.uint8]":
    """Lobe of each sample; what lies below a dome by its side."""
    shape = np.asarray(atlas.lobes.shape)
    spacing = projector.extent_mm / (shape - 1)
    index = np.rint((zyx + projector.origin_mm[:, None]) / spacing[:, None]).astype(np.intp)
    index = np.clip(index, 0, shape[:, None] - 1)
    zone = atlas.lobes[index[0], index[1], index[2]]
    below = np.where(zyx[2] < 0, UNDER[Side.RIGHT], UNDER[Side.LEFT])
    return np.where(zone > 0, zone, below).astype(np.uint8)


def _sample(volume: "Numbers", grid: torch.Tensor) -> "Numbers":
    """Interpolate a volume at points of the grid."""
    drawn = functional.grid_sample(
        torch.from_numpy(volume)[None, None], grid[None, None, None], align_corners=True
    )
    return np.asarray(drawn.reshape(-1).numpy())


def _heights(places: "Places", rays: "Rays") -> "Numbers":
    """Height of samples against gravity: up the film when upright, along the beam when supine."""
    depth, rows, columns = rays.codes.shape
    half = half_depth_mm(rays.pose)
    layer, pixel = np.divmod(places, rows * columns)
    along = ((layer / (depth - 1)) * 2.0 - 1.0) * half
    up = (0.5 - (pixel // columns) / (rows - 1)) * rays.film.width_mm
    sign = -1.0 if rays.pose.projection is Projection.AP else 1.0
    up = up * (1.0 + sign * along / rays.pose.source_mm)
    lean = np.deg2rad(rays.pose.recline)
    return np.asarray(np.cos(lean) * up + np.sin(lean) * along, np.float32)
