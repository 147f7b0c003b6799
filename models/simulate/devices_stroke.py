"""Tubes, wires and plates as an X-ray sees them: path lengths added along a curve.

A curve is cut into short pieces and each piece across its width; every bit is shared out over the
four pixels around it, in proportion. So a catheter thinner than a pixel keeps its attenuation, its
edge is smooth on a coarse film, and on a fine one wall, lumen and stripe are seen apart.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from scipy.interpolate import CubicSpline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.simulate.where import Finder

KNOTS = 240  # points of a curve that are looked up on the film
FINE = 0.35  # step along and across a curve, pixels
COVERED = 0.35  # share of a pixel from which the mask calls it covered


@dataclass(frozen=True, slots=True)
class Tube:
    """What a tube is made of: diameters in mm, attenuation relative to water.

    ``wall`` is that of its wall in the soft picture, ``metal`` in the bone picture; ``lumen`` is
    what its hollow takes away (air where tissue was, 0 to 1). A ``stripe_mm`` wide line along the
    wall adds ``stripe_bone_mm`` in the bone picture; ``gaps_mm`` are places (from the tip) where
    the stripe is cut, as at the last side hole of a chest tube.
    """

    outer_mm: float
    inner_mm: float = 0.0
    wall: float = 1.3
    metal: float = 0.0
    lumen: float = 0.0
    stripe_mm: float = 0.0
    stripe_bone_mm: float = 0.0
    gaps_mm: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A curve on the film in even short steps, first point to tip: pixels, and mm per step."""

    x: "NDArray[np.float64]"
    y: "NDArray[np.float64]"
    enlarged: "NDArray[np.float64]"
    step_mm: float

    @property
    def length_mm(self) -> float:
        """Length in the patient."""
        return self.step_mm * (len(self.x) - 1)


@dataclass(frozen=True, slots=True, eq=False)
class Bits:
    """A cross-section cut up: ``offsets`` mm to the side, ``(bits,)`` or ``(steps, bits)``.

    ``width`` is that of a bit in mm; ``soft`` and ``bone`` are path lengths in mm of water.
    """

    offsets: "NDArray[np.float64]"
    width: float
    soft: "NDArray[np.float64]"
    bone: "NDArray[np.float64]"
    cover: "NDArray[np.float64]"


@dataclass(slots=True, eq=False)
class Plate:
    """The pictures that devices are added to: ``(rows, columns)`` float64, mm of water.

    ``cover`` is the share of each pixel that devices cover (may exceed 1 where they cross).
    """

    soft: "NDArray[np.float64]"
    bone: "NDArray[np.float64]"
    cover: "NDArray[np.float64]"
    pixel_mm: float

    @classmethod
    def blank(cls, shape: tuple[int, int], pixel_mm: float) -> "Plate":
        """Return a plate with nothing on it."""
        return cls(np.zeros(shape), np.zeros(shape), np.zeros(shape), pixel_mm)

    @property
    def mask(self) -> "NDArray[np.bool_]":
        """Where devices cover the film."""
        return self.cover > COVERED


def smooth(points: "NDArray[np.float64]", count: int = KNOTS) -> "NDArray[np.float64]":
    """Return ``count`` points of the smooth curve through control points ``(n, d)``."""
    gaps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(np.sqrt(np.maximum(gaps, 1e-6)))])  # centripetal
    return np.asarray(CubicSpline(along, points)(np.linspace(0, along[-1], count)), np.float64)


def trace(finder: "Finder", points_mm: "NDArray[np.float64]", pixel_mm: float) -> Curve:
    """Return the curve through points ``(n, 3)`` of the CT (mm from the carina) on the film."""
    places = finder.find(points_mm)
    along = np.concatenate([[0.0], np.cumsum(finder.length_mm(places))])
    count = max(int(along[-1] / (FINE * pixel_mm)), 8)
    even = np.linspace(0.0, along[-1], count)
    x, y, enlarged = (np.interp(even, along, v) for v in (places.x, places.y, places.enlarged))
    return Curve(x, y, enlarged, float(even[1]))


def flat_curve(points_px: "NDArray[np.float64]", pixel_mm: float) -> Curve:
    """Return a curve on the film through points ``(n, 2)``, pixels (x, y): clutter on the skin."""
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points_px, axis=0), axis=1))])
    count = max(int(along[-1] / FINE), 8)
    even = np.linspace(0.0, along[-1], count)
    x, y = (np.interp(even, along, points_px[:, axis]) for axis in (0, 1))
    return Curve(x, y, np.ones(count), float(even[1]) * pixel_mm)


def draw_tube(plate: Plate, curve: Curve, tube: Tube, turn: float = 0.0) -> None:
    """Add a tube along a curve; ``turn`` (radians) is where on its wall the stripe lies."""
    outer, inner = tube.outer_mm / 2, tube.inner_mm / 2
    count = max(int(np.ceil(tube.outer_mm / min(FINE * plate.pixel_mm, tube.outer_mm / 8))), 9)
    offsets = ((np.arange(count) + 0.5) / count * 2 - 1) * outer
    width = tube.outer_mm / count
    whole = 2 * np.sqrt(np.clip(outer**2 - offsets**2, 0, None))
    hollow = 2 * np.sqrt(np.clip(inner**2 - offsets**2, 0, None))
    wall = whole - hollow
    bits = Bits(
        offsets, width, tube.wall * wall - tube.lumen * hollow, tube.metal * wall, np.ones(count)
    )
    _spread(plate, curve, bits)
    if tube.stripe_mm:
        _stripe(plate, curve, tube, turn)


def _stripe(plate: Plate, curve: Curve, tube: Tube, turn: float) -> None:
    """Add the stripe, which turns slowly around the wall; nothing at its gaps."""
    count = max(int(np.ceil(tube.stripe_mm / (FINE * plate.pixel_mm))), 3)
    bits = ((np.arange(count) + 0.5) / count - 0.5) * tube.stripe_mm
    to_tip = curve.length_mm - np.arange(len(curve.x)) * curve.step_mm
    middle = 0.88 * tube.outer_mm / 2 * np.sin(turn + to_tip / 260.0)
    kept = np.ones(len(curve.x))
    for start, stop in tube.gaps_mm:
        kept[(to_tip >= start) & (to_tip <= stop)] = 0.0
    offsets = middle[:, None] + bits[None]
    bone = kept[:, None] * np.full(count, tube.stripe_bone_mm)
    nothing = np.zeros(count)
    _spread(plate, curve, Bits(offsets, tube.stripe_mm / count, nothing, bone, nothing))


def _spread(plate: Plate, curve: Curve, bits: Bits) -> None:
    """Share the bits of every step of a curve out over pixels."""
    dx, dy = np.gradient(curve.x), np.gradient(curve.y)
    length = np.maximum(np.hypot(dx, dy), 1e-9)
    scale = curve.enlarged / plate.pixel_mm  # pixels of film per mm in the patient
    aside = np.broadcast_to(bits.offsets, (len(curve.x), bits.offsets.shape[-1])) * scale[:, None]
    x = curve.x[:, None] - (dy / length)[:, None] * aside
    y = curve.y[:, None] + (dx / length)[:, None] * aside
    area = (curve.step_mm * bits.width * scale**2)[:, None]
    # What lies along the beam is seen end on: its mass counts, but not twice as cover.
    flat = np.minimum(length / np.maximum(curve.step_mm * scale, 1e-9), 1.0)[:, None]
    for picture, layer, share in (
        (plate.soft, bits.soft, area),
        (plate.bone, bits.bone, area),
        (plate.cover, bits.cover, area * flat),
    ):
        if np.any(layer):
            _splat(picture, x, y, np.broadcast_to(share * layer, x.shape))


def _splat(
    picture: "NDArray[np.float64]", x: "NDArray[np.float64]", y: "NDArray[np.float64]",
    amount: "NDArray[np.float64]",
) -> None:  # fmt: skip
    """Add amounts at points (pixel corners are whole numbers), shared by four pixels each."""
    rows, columns = picture.shape
    column, row = x.ravel() - 0.5, y.ravel() - 0.5
    left, top = np.floor(column).astype(int), np.floor(row).astype(int)
    right_share, low_share = column - left, row - top
    flat = amount.ravel()
    for down in (0, 1):
        for along in (0, 1):
            r, c = top + down, left + along
            share = (low_share if down else 1 - low_share) * (
                right_share if along else 1 - right_share
            )
            ok = (r >= 0) & (r < rows) & (c >= 0) & (c < columns)
            cells = r[ok] * columns + c[ok]
            added = np.bincount(cells, (flat * share)[ok], minlength=0)
            picture.reshape(-1)[: len(added)] += added


def draw_plate(
    plate: Plate, corners: "NDArray[np.float64]", soft_mm: float, bone_mm: float, *, blur: float
) -> None:
    """Add a flat thing with a rounded outline: ``corners`` ``(n, 2)`` film pixels, in order."""
    low = np.floor(corners.min(0)).astype(int) - 3
    high = np.ceil(corners.max(0)).astype(int) + 4
    rows, columns = plate.soft.shape
    low, high = np.maximum(low, 0), np.minimum(high, (columns, rows))
    if (high - low < 1).any():
        return
    times = 4
    fine_x = (np.arange((high[0] - low[0]) * times) + 0.5) / times + low[0]
    fine_y = (np.arange((high[1] - low[1]) * times) + 0.5) / times + low[1]
    inside = np.zeros((len(fine_y), len(fine_x)), bool)
    following = np.roll(corners, -1, axis=0)
    for (x0, y0), (x1, y1) in zip(corners, following, strict=True):
        crossing = (fine_y < y0) != (fine_y < y1)
        edge = x0 + (fine_y - y0) * (x1 - x0) / ((y1 - y0) or 1e-9)
        inside ^= crossing[:, None] & (fine_x[None] < edge[:, None])
    shape = (len(fine_y) // times, times, len(fine_x) // times, times)
    share = inside.reshape(shape).mean((1, 3))
    soft = ndimage.gaussian_filter(share, blur) if blur else share
    window = np.s_[low[1] : high[1], low[0] : high[0]]
    plate.soft[window] += soft * soft_mm
    plate.bone[window] += soft * bone_mm
    plate.cover[window] += share
