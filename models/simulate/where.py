"""Where a point of the CT appears on a film: the projector's map of deformed rays, inverted.

The projector says for every ray and depth which point of the CT lies there. Devices are drawn the
other way round: a catheter runs through named places of the CT, and the film shows it where those
places are seen. The map is smooth, so Newton's method on its own lattice finds the place.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.simulate.phantom import CARINA
from models.simulate.pose import Projection
from models.simulate.projector import half_depth_mm

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.simulate.pose import Pose
    from models.simulate.projector import Detector, Projector

SOURCE_SPACING_MM = (2.5, 0.703125, 0.703125)  # of the CT as shipped, (z, y, x)
STEPS = 14
LONGEST_STEP = 3.0  # lattice cells; keeps a start far away from overshooting
CORNERS = np.stack(np.meshgrid((0, 1), (0, 1), (0, 1), indexing="ij"), -1).reshape(8, 3)


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Points of the CT as a film shows them, ``n`` of each.

    ``x`` and ``y`` are film pixels, ``(0, 0)`` the top-left corner of the first pixel (points off
    the film lie outside it); ``depth_mm`` runs along the beam, 0 in the patient's middle;
    ``enlarged`` is a length on the film over the same length in the patient's middle; ``error_mm``
    says how far off the inversion is (less than a tenth of a millimetre inside the chest).
    """

    x: "NDArray[np.float64]"
    y: "NDArray[np.float64]"
    depth_mm: "NDArray[np.float64]"
    enlarged: "NDArray[np.float64]"
    error_mm: "NDArray[np.float64]"


def from_voxels(voxels: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Turn voxels ``(…, 3)`` of the CT as shipped (z, y, x) into mm from the carina."""
    return (np.asarray(voxels, np.float64) - CARINA) * SOURCE_SPACING_MM


class Finder:
    """Finds points of one phantom on the film of one pose."""

    def __init__(self, projector: "Projector", pose: "Pose", detector: "Detector") -> None:
        self._half_mm = half_depth_mm(pose)
        unit = projector.lattice(pose, detector)[::-1]  # (3, depth, rows, columns): z, y, x
        mm = (np.moveaxis(unit.astype(np.float64), 0, -1) + 1.0) / 2.0 * projector.extent_mm
        self._lattice = mm - projector.origin_mm
        self._last = np.asarray(self._lattice.shape[:3], np.float64) - 1
        self._detector = detector
        sign = -1.0 if pose.projection is Projection.AP else 1.0
        self._per_mm = sign / pose.source_mm  # how the fan widens along the beam
        self._carina = projector.carina_mm
        grid = np.stack(
            np.meshgrid(*(np.arange(n) for n in self._lattice.shape[:3]), indexing="ij"), -1
        ).reshape(-1, 3)
        known = np.column_stack([self._lattice.reshape(-1, 3), np.ones(len(grid))])
        self._start, *_ = np.linalg.lstsq(known, grid, rcond=None)  # a straight first guess

    def find(self, points_mm: "NDArray[np.float64]") -> Places:
        """Find points ``(n, 3)``, mm from the carina in z, y, x of the CT."""
        wanted = np.asarray(points_mm, np.float64) + self._carina
        at = np.column_stack([wanted, np.ones(len(wanted))]) @ self._start
        for _ in range(STEPS):
            value, slope = self._sample(at)
            step = np.linalg.solve(slope, (wanted - value)[..., None])[..., 0]
            at = at + np.clip(step, -LONGEST_STEP, LONGEST_STEP)
        left = np.linalg.norm(self._sample(at)[0] - wanted, axis=1)
        share = at / self._last
        depth = (2.0 * share[:, 0] - 1.0) * self._half_mm
        across = self._detector.side - 1
        return Places(
            share[:, 2] * across + 0.5, share[:, 1] * across + 0.5, depth,
            1.0 / (1.0 + self._per_mm * depth), left,
        )  # fmt: skip

    def length_mm(self, places: Places) -> "NDArray[np.float64]":
        """Distances between neighbouring places in the patient, mm ``(n - 1,)``."""
        pixel = self._detector.pixel_mm / places.enlarged
        middle = self._detector.side / 2
        beam = np.stack(
            [(places.x - middle) * pixel, (places.y - middle) * pixel, places.depth_mm], 1
        )
        return np.asarray(np.linalg.norm(np.diff(beam, axis=0), axis=1), np.float64)

    def _sample(
        self, at: "NDArray[np.float64]"
    ) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
        """Trilinear value ``(n, 3)`` and slope ``(n, 3, 3)`` of the lattice; straight beyond it."""
        low = np.clip(np.floor(at), 0, self._last - 1).astype(int)
        part = at - low
        cell = low[:, None, :] + CORNERS
        corner = self._lattice[cell[..., 0], cell[..., 1], cell[..., 2]]  # (n, 8, 3)
        weight = np.where(CORNERS == 1, part[:, None, :], 1.0 - part[:, None, :])  # (n, 8, 3)
        value = (weight.prod(-1)[..., None] * corner).sum(1)
        slope = np.empty((len(at), 3, 3))
        for axis in range(3):
            others = np.delete(weight, axis, -1).prod(-1) * (2 * CORNERS[:, axis] - 1)
            slope[:, :, axis] = (others[..., None] * corner).sum(1)
        return value, slope
