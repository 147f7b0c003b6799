"""Broken ribs and clavicles: one fragment is moved in the volume and the rays sampled again."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.spatial import cKDTree

from models.simulate.findings import WATER, Inserted
from models.vocabulary import Side, Sign

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.simulate.tissue import Chest

REACH_MM = 55.0  # the fragment comes back to its place over this length
THICK_MM = 9.0  # flesh around the bone that moves with it; its neighbours stay
BESIDE_MM = 35.0  # ribs bend: how far from the straight line the fragment may run
GAP_MM = 3.0
FLAT = (0.5, 0.9)  # part of the way from the spine to the side in which a rib lies flat
SHOWN_MM = 14.0  # the break itself, not the whole fragment, is its mask
CHANGED_MM = 0.8
COARSE = 6  # samples stepped over in the first look for what is near


def rib(rng: np.random.Generator, chest: "Chest", side: Side, size_mm: float) -> Inserted:
    """Break one of the ribs 3 to 9, not where it is seen end on; ``size_mm`` is the step."""
    number = int(rng.integers(3, 10))
    points = chest.from_volume(chest.atlas.ribs[side, number])
    if not len(points):
        return _nothing(chest, Sign.RIB_FRACTURE, side)
    outward = np.abs(points[:, 2]) / np.abs(points[:, 2]).max()
    seen = points[(outward > FLAT[0]) & (outward < FLAT[1])]
    return _break(rng, chest, points, seen[int(rng.integers(len(seen)))],
                  (Sign.RIB_FRACTURE, side, size_mm))  # fmt: skip


def clavicle(rng: np.random.Generator, chest: "Chest", side: Side, size_mm: float) -> Inserted:
    """Break the middle third of a clavicle; the outer fragment sinks by ``size_mm``."""
    points = chest.from_volume(chest.atlas.clavicles[side])
    if not len(points):
        return _nothing(chest, Sign.CLAVICLE_FRACTURE, side)
    low, high = np.percentile(np.abs(points[:, 2]), (30.0, 75.0))
    middle = points[(np.abs(points[:, 2]) > low) & (np.abs(points[:, 2]) < high)]
    return _break(rng, chest, points, middle[int(rng.integers(len(middle)))],
                  (Sign.CLAVICLE_FRACTURE, side, size_mm))  # fmt: skip


def _break(
    rng: np.random.Generator, chest: "Chest", bone: "NDArray[np.float32]",
    at: "NDArray[np.float32]", what: tuple[Sign, Side, float],
) -> Inserted:  # fmt: skip
    """Move the part of a bone beyond ``at`` (z, y, x) and draw the difference."""
    sign, side, size_mm = what
    near = bone[np.linalg.norm(bone - at, axis=1) < 18.0]  # noqa: PLR2004 - mm
    at = near.mean(0)
    axis = np.linalg.svd(near - at, full_matrices=False)[2][0]
    axis = axis * np.sign(axis[2] or 1.0) * (1.0 if side is Side.LEFT else -1.0)  # points outward
    down = np.asarray((-1.0, 0.0, 0.0)) if sign is Sign.CLAVICLE_FRACTURE else np.asarray(
        (float(rng.choice((-1.0, 1.0))), float(rng.normal(0, 0.5)), 0.0))  # fmt: skip
    step = down - axis * (down @ axis)
    move = size_mm * step / np.linalg.norm(step) + axis * float(rng.uniform(-0.6, 0.4)) * size_mm
    places, points = _around(chest, at)
    offset = points - at
    along = offset @ axis
    beside = np.sqrt(np.clip((offset**2).sum(1) - along**2, 0, None))
    close = (along > -GAP_MM) & (along < REACH_MM) & (beside < BESIDE_MM)
    places, points, along = places[close], points[close], along[close]
    away = cKDTree(bone).query(points, distance_upper_bound=THICK_MM + size_mm + 1.0)[0]
    share = np.clip((size_mm + THICK_MM - np.minimum(away, 1e3)) / 4.0, 0.0, 1.0)
    share *= np.clip(1.0 - along / REACH_MM, 0.0, 1.0) * (along > 0)
    moved = chest.projector.at((points - share[:, None] * move).astype(np.float32))
    gap = (np.abs(along) < float(rng.uniform(1.0, GAP_MM))) & (away < THICK_MM)
    moved[0, gap], moved[1, gap] = np.minimum(moved[0, gap], WATER), 0.0
    old = chest.rays.density.reshape(2, -1)[:, torch.from_numpy(places)].numpy()
    pixel = places % (chest.shape[0] * chest.shape[1])
    added = [
        np.bincount(pixel, moved[i] - old[i], chest.shape[0] * chest.shape[1]) for i in range(2)
    ]
    soft, hard = ((a.reshape(chest.shape) * chest.step_mm).astype(np.float32) for a in added)
    shown = np.bincount(pixel, along < SHOWN_MM, hard.size).reshape(chest.shape) > 0
    return Inserted(sign, side, size_mm, soft, hard, (np.abs(hard) > CHANGED_MM) & shown)


def _around(
    chest: "Chest", at: "NDArray[np.floating]"
) -> "tuple[NDArray[np.intp], NDArray[np.float32]]":
    """Find the samples within reach of a point: their places, and z, y, x in mm."""
    grid = chest.rays.grid
    extent = torch.from_numpy(chest.projector.extent_mm[::-1].copy())
    centre = torch.from_numpy(
        np.ascontiguousarray((at + chest.projector.origin_mm)[::-1], np.float32)
    )
    unit = 2.0 * centre / extent - 1.0
    reach = 2.0 * (REACH_MM + THICK_MM) / extent
    coarse = grid[::COARSE, ::COARSE, ::COARSE]
    found = torch.nonzero(((coarse - unit).abs() < reach).all(-1))
    if not len(found):
        return np.zeros(0, np.intp), np.zeros((0, 3), np.float32)
    low, high = found.min(0).values * COARSE - COARSE, (found.max(0).values + 1) * COARSE
    spans = [
        torch.arange(max(int(a), 0), min(int(b), n))
        for a, b, n in zip(low, high, grid.shape[:3], strict=True)
    ]
    depth, rows, columns = torch.meshgrid(*spans, indexing="ij")
    places = ((depth * grid.shape[1] + rows) * grid.shape[2] + columns).reshape(-1)
    return places.numpy(), chest.projector.millimetres(grid.reshape(-1, 3)[places])


def _nothing(chest: "Chest", sign: Sign, side: Side) -> Inserted:
    empty = np.zeros(chest.shape, np.float32)
    return Inserted(sign, side, 0.0, empty, empty, np.zeros(chest.shape, bool))
