"""Slices of a CT as pictures that are no radiograph: sagittal and oblique planes of the open CT.

Axial and coronal planes are left out on purpose, so that those can be asked for in tests as kinds
that no training saw (of the same patient, though: there is one CT).
"""

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.simulate.source import SourceCt

AWAY_DEG = 20.0  # least angle between an oblique plane and the axial and coronal ones
SAGITTAL_SHARE = 0.4
WINDOWS_HU = ((-1100.0, -900.0, 150.0, 700.0), (-300.0, -100.0, 200.0, 500.0))  # lung, soft
EXTENT_MM = (240.0, 420.0)  # side of the square that is shown
HEIGHT, FRONT = 0, 1  # axes of the volume: foot to head, then along the beam, then across


def normal(rng: np.random.Generator) -> "NDArray[np.float64]":
    """Draw the unit normal ``(3,)`` of a plane, in the volume's axes."""
    if rng.random() < SAGITTAL_SHARE:
        return np.asarray((0.0, 0.0, 1.0))
    limit = np.cos(np.radians(AWAY_DEG))
    while True:
        drawn = rng.normal(size=3)
        drawn /= np.linalg.norm(drawn)
        if abs(drawn[HEIGHT]) <= limit and abs(drawn[FRONT]) <= limit:
            return np.asarray(drawn)


def cut(rng: np.random.Generator, ct: "SourceCt", side: int) -> "NDArray[np.float32]":
    """Cut one plane out of the CT and show it in a window, ``(side, side)`` in 0..1."""
    right, down = _axes(normal(rng))
    if rng.random() < 0.5:  # noqa: PLR2004
        turn = float(rng.uniform(0, 2 * np.pi))
        right, down = (
            np.cos(turn) * right + np.sin(turn) * down,
            np.cos(turn) * down - np.sin(turn) * right,
        )
    spacing = np.asarray(ct.spacing_mm)
    size = spacing * ct.hu.shape
    middle = size * (0.5 + 0.3 * rng.uniform(-1, 1, 3))
    steps = (np.arange(side) / (side - 1) - 0.5) * float(rng.uniform(*EXTENT_MM))
    places = (
        middle[:, None, None]
        + right[:, None, None] * steps[None, None, :]
        + down[:, None, None] * steps[None, :, None]
    ) / spacing[:, None, None]
    plane = ndimage.map_coordinates(ct.hu, places, np.float32, order=1, cval=-1000.0)
    low_from, low_to, high_from, high_to = WINDOWS_HU[int(rng.random() < 0.35)]  # noqa: PLR2004
    low, high = float(rng.uniform(low_from, low_to)), float(rng.uniform(high_from, high_to))
    shown = np.clip((plane - low) / (high - low), 0.0, 1.0)
    if rng.random() < 0.5:  # noqa: PLR2004
        shown = shown[:, ::-1]
    return np.ascontiguousarray(shown, np.float32)


def _axes(across: "NDArray[np.float64]") -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """Return the directions of a picture's rows and columns; the head is up."""
    right = np.cross(across, (1.0, 0.0, 0.0))
    right /= np.linalg.norm(right)
    down = np.cross(across, right)
    return right, down if down[HEIGHT] < 0 else -down
