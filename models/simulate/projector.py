"""Perspective projection of a deformed phantom: one sampling of the volume along every ray.

Deformation, pose and the fan of rays are smooth, so they are computed on a coarse lattice and
interpolated; the volume itself is sampled once per ray step. Axes of a film: ``(rows, columns)``,
row 0 at the head, column 0 at the patient's right (the usual display).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from models.simulate.phantom import Landmark, Structure
from models.simulate.pose import Pose, Projection

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.simulate.phantom import Phantom

LATTICE = (24, 40, 40)  # depth, rows, columns of the coarse lattice of displacements
DEPTH_MM = {Projection.PA: 150.0, Projection.AP: 150.0}
WIDE_DEPTH_MM = 215.0  # half the extent along the beam when the patient stands sideways
BAND_ROWS = 320
HEART_RADII_MM = (78.0, 62.0, 66.0)
DIAPHRAGM_MM = -95.0  # height of the domes below the middle of the chest
MIDDLE_BELOW_CARINA_MM = 35.0


@dataclass(frozen=True, slots=True)
class Detector:
    """The film's grid: pixels per side, its width in the patient's middle (mm), ray steps."""

    side: int = 288
    width_mm: float = 470.0
    steps: int = 96

    @property
    def pixel_mm(self) -> float:
        """Pixel pitch in the plane of the patient's middle, mm."""
        return self.width_mm / self.side


@dataclass(frozen=True, slots=True, eq=False)
class Shadow:
    """What a beam met: path integrals in mm of water, and thickness in mm per structure.

    ``soft`` and ``bone`` are ``(rows, columns)`` float32; ``structures`` is
    ``(len(Structure), rows, columns)``, ``landmarks`` ``(len(Landmark), rows, columns)``.
    """

    soft: "NDArray[np.float32]"
    bone: "NDArray[np.float32]"
    structures: "NDArray[np.float32]"
    landmarks: "NDArray[np.float32]"


@dataclass(frozen=True, slots=True, eq=False)
class Rays:
    """Every sample along every ray, ``(depth, rows, columns)``: what findings are made of.

    ``grid`` is ``(depth, rows, columns, 3)``, x, y, z in -1..1 over the volume; ``density`` is
    ``(2, depth, rows, columns)``, soft and bone; ``codes`` as in the phantom.
    """

    grid: torch.Tensor
    density: torch.Tensor
    codes: "NDArray[np.uint8]"
    step_mm: float
    film: Detector
    pose: Pose

    def shadow(self) -> Shadow:
        """Sum along the rays."""
        sums = self.density.sum(1).numpy() * self.step_mm
        structures = _thickness(self.codes % 16, len(Structure)) * self.step_mm
        landmarks = _thickness((self.codes >> 4) % 8, len(Landmark)) * self.step_mm
        return Shadow(sums[0], sums[1], structures, landmarks)


class Projector:
    """Projects one phantom in many poses."""

    def __init__(self, phantom: "Phantom") -> None:
        volume = np.stack([phantom.soft, phantom.bone])
        self._volume = torch.from_numpy(volume)[None]
        self._codes = torch.from_numpy(phantom.codes.astype(np.float32))[None, None]
        self._spacing = np.asarray(phantom.spacing_mm, np.float32)
        self.extent_mm = (np.asarray(phantom.codes.shape, np.float32) - 1) * self._spacing
        self._carina = np.asarray(phantom.carina_mm, np.float32)
        # (z, y, x) of the world's origin inside the volume: the middle of the chest.
        self.origin_mm = self._carina - np.asarray((MIDDLE_BELOW_CARINA_MM, 10.0, 0.0), np.float32)
        self._heart = np.asarray(phantom.heart_mm, np.float32) - self.origin_mm

    @property
    def carina_mm(self) -> "NDArray[np.float32]":
        """Where the carina of the CT lies from the chest's middle, mm ``(z, y, x)``."""
        return self._carina - self.origin_mm

    def project(self, pose: Pose, detector: Detector | None = None) -> Shadow:
        """Project the phantom; identical input gives identical bytes on one machine."""
        film = detector or Detector()
        lattice = self.lattice(pose, film)
        bands = [
            self._band(pose, film, _rows(lattice, film.side, first, first + BAND_ROWS)).shadow()
            for first in range(0, film.side, BAND_ROWS)
        ]
        soft, bone, structures, landmarks = (
            np.concatenate([getattr(band, name) for band in bands], axis=-2)
            for name in ("soft", "bone", "structures", "landmarks")
        )
        return Shadow(soft, bone, structures, landmarks)

    def rays(self, pose: Pose, detector: Detector | None = None) -> Rays:
        """Sample the whole film at once; memory grows with its pixels (0.2 GB at 288 x 288)."""
        film = detector or Detector()
        return self._band(pose, film, _rows(self.lattice(pose, film), film.side, 0, film.side))

    def at(self, points_mm: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Soft and bone density ``(2, n)`` at points ``(n, 3)``, see :meth:`millimetres`."""
        unit = 2.0 * (points_mm + self.origin_mm) / self.extent_mm - 1.0
        grid = torch.from_numpy(np.ascontiguousarray(unit[:, ::-1], np.float32))[None, None, None]
        return np.asarray(
            functional.grid_sample(self._volume, grid, align_corners=True)[0, :, 0, 0].numpy()
        )

    def millimetres(self, grid: torch.Tensor) -> "NDArray[np.float32]":
        """Turn points of ``Rays.grid``, ``(n, 3)``, into z, y, x from the chest's middle, mm."""
        unit = grid.numpy()[:, ::-1]
        return np.asarray((unit + 1.0) / 2.0 * self.extent_mm - self.origin_mm, np.float32)

    def lattice(self, pose: Pose, film: Detector) -> "NDArray[np.float32]":
        """Where in the volume the rays run, on the coarse lattice: ``(3, …)`` x y z in -1..1."""
        where = self._displaced(_rays(pose, film, half_depth_mm(pose)), pose)
        extent = self.extent_mm[:, None, None, None]
        unit = 2.0 * (where + self.origin_mm[:, None, None, None]) / extent
        return np.ascontiguousarray(unit[::-1] - 1.0, np.float32)

    def _band(self, pose: Pose, film: Detector, lattice: "NDArray[np.float32]") -> Rays:
        """Sample the rays of some rows; bands keep the memory of large films bounded."""
        size = (film.steps, lattice.shape[2], film.side)
        coarse = torch.from_numpy(lattice)[None]
        grid = functional.interpolate(coarse, size=size, mode="trilinear", align_corners=True)
        grid = grid.permute(0, 2, 3, 4, 1).contiguous()  # (1, depth, rows, columns, xyz)
        inside = functional.grid_sample(self._volume, grid, align_corners=True)[0]
        codes = functional.grid_sample(self._codes, grid, mode="nearest", align_corners=True)
        packed = codes[0, 0].numpy().astype(np.uint8)
        step_mm = 2.0 * half_depth_mm(pose) / film.steps
        return Rays(grid[0], inside, packed, step_mm, film, pose)

    def _displaced(self, points: "NDArray[np.float32]", pose: Pose) -> "NDArray[np.float32]":
        """Where in the CT the tissue at ``points`` comes from, mm ``(3, …)`` in z, y, x."""
        stretch = np.asarray(pose.stretch[::-1], np.float32)[:, None, None, None]
        moved = points / stretch
        z, _, x = moved
        lift = np.where(x < 0, pose.domes_mm[0], pose.domes_mm[1])
        blend = 1.0 / (1.0 + np.exp(-x / 15.0))
        lift = pose.domes_mm[0] * (1 - blend) + pose.domes_mm[1] * blend
        moved[0] -= lift * np.exp(-(((z - DIAPHRAGM_MM) / 60.0) ** 2))
        # Lowered shoulders: lateral parts above the upper ribs come down.
        lateral = np.clip((np.abs(x) - 45.0) / 90.0, 0.0, 1.0) ** 1.5
        high = np.clip((z - 60.0) / 60.0, 0.0, 1.0)
        moved[0] += pose.shoulders_mm * lateral * high
        waves = torch.from_numpy(pose.waves_mm)[None]
        smooth = functional.interpolate(waves, size=z.shape, mode="trilinear", align_corners=True)
        moved += smooth[0].numpy()
        _mediastinum(moved, pose)
        return self._beating(moved, pose.heart)

    def _beating(self, points: "NDArray[np.float32]", size: float) -> "NDArray[np.float32]":
        """Scale the heart about its centre; the change fades out over as much again outside."""
        offset = points - self._heart[:, None, None, None]
        radii = np.asarray(HEART_RADII_MM[::-1], np.float32)[:, None, None, None] * max(size, 0.85)
        reach = np.sqrt(((offset / radii) ** 2).sum(0))
        weight = np.clip(2.0 - reach, 0.0, 1.0)
        weight *= np.clip((points[1] + 75.0) / 40.0, 0.0, 1.0)  # the spine stays where it is
        result = points + offset * (1.0 / size - 1.0) * weight
        return np.asarray(result, np.float32)


def half_depth_mm(pose: Pose) -> float:
    """Half the sampled extent along the beam, mm."""
    return DEPTH_MM.get(pose.projection, WIDE_DEPTH_MM)


def _mediastinum(points: "NDArray[np.float32]", pose: Pose) -> None:
    """Shift the mediastinum sideways and widen its upper part, in place; walls and spine stay."""
    z, y, x = points
    front = np.clip((y + 35.0) / 30.0, 0.0, 1.0)
    if pose.mediastinum_mm:
        reach = np.exp(-((x / 70.0) ** 2)) * np.clip((160.0 - z) / 60.0, 0.0, 1.0)
        points[2] -= pose.mediastinum_mm * reach * front
    if pose.widening != 1.0:
        across = np.clip(2.0 - np.abs(x) / (38.0 * pose.widening), 0.0, 1.0)
        level = np.exp(-(((z - 52.0) / 48.0) ** 4))
        points[2] += x * (1.0 / pose.widening - 1.0) * across * level * front


def _rays(pose: Pose, film: Detector, half_mm: float) -> "NDArray[np.float32]":
    """Points on the rays in patient axes, mm: ``(3, depth, rows, columns)`` in z, y, x."""
    depth = (np.arange(LATTICE[0]) / (LATTICE[0] - 1) * 2 - 1) * half_mm
    across = (np.arange(LATTICE[2]) / (LATTICE[2] - 1) - 0.5) * film.width_mm
    w, v, u = np.meshgrid(depth, -across, across, indexing="ij")
    sign = -1.0 if pose.projection is Projection.AP else 1.0  # the focus is behind, or in front
    spread = 1.0 + sign * w / pose.source_mm
    x, y, z = u * spread - pose.shift_mm[0], w, v * spread - pose.shift_mm[1]
    yaw, pitch, roll = (np.deg2rad(angle) for angle in (pose.yaw, pose.pitch, pose.roll))
    x, z = x * np.cos(roll) - z * np.sin(roll), x * np.sin(roll) + z * np.cos(roll)
    y, z = y * np.cos(pitch) - z * np.sin(pitch), y * np.sin(pitch) + z * np.cos(pitch)
    x, y = x * np.cos(yaw) - y * np.sin(yaw), x * np.sin(yaw) + y * np.cos(yaw)
    return np.stack([z, y, x]).astype(np.float32)


def _rows(
    lattice: "NDArray[np.float32]", side: int, first: int, stop: int
) -> "NDArray[np.float32]":
    """Interpolate the lattice at rows ``first`` to ``stop``: ``(3, depth, rows, w)``."""
    places = np.arange(first, min(stop, side)) / (side - 1) * (lattice.shape[2] - 1)
    below = np.minimum(places.astype(int), lattice.shape[2] - 2)
    share = (places - below).astype(np.float32)[:, None]
    low, high = lattice[:, :, below], lattice[:, :, below + 1]
    return np.ascontiguousarray(low + (high - low) * share)


def _thickness(codes: "NDArray[np.integer]", count: int) -> "NDArray[np.float32]":
    """How many steps of each ray lie in each code, ``(count, rows, columns)``."""
    depth, rows, columns = codes.shape
    flat = codes.ravel()
    named = np.flatnonzero(flat)  # most samples are air or unnamed: those are what is left over
    cells = flat[named].astype(np.int64) * (rows * columns) + named % (rows * columns)
    counted = np.bincount(cells, minlength=count * rows * columns).reshape(count, rows, columns)
    counted[0] = depth - counted[1:].sum(0)
    return counted.astype(np.float32)
