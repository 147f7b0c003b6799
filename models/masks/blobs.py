"""Connected blobs of a soft mask, found on a coarse grid and kept at full resolution.

Components are labelled on a grid of at most ``COARSE`` pixels per side, which is what makes a
film of 3000 pixels affordable; the edge of a blob is then taken from the full grid, inside its own
window only. A mask of the network is smoother than the coarse grid, so nothing is lost by it.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import numpy as np
from scipy import ndimage

from models.masks.soft import LEVELS
from models.values import PixelBox

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from models.masks.soft import SoftMask
    from models.vocabulary import MaskName

    Values = NDArray[np.float32] | NDArray[np.uint8]
    """Of a soft mask: 0..1, or in whole levels 0..255."""
    Soft = NDArray[np.float32] | SoftMask
    """A soft mask, there or drawn where one looks."""

COARSE = 256  # px of the longer side of the grid on which blobs are told apart
HALF = 0.5  # a soft mask is "in" from here
_NEIGHBOURS = np.ones((3, 3), dtype=np.bool_)  # diagonal neighbours touch


@dataclass(frozen=True, slots=True, eq=False)
class Blob:
    """One connected part of a mask; ``window`` is its bool mask, placed at ``(row, column)``.

    ``box`` is tight around the part, source pixels; ``peak`` the highest soft value in it.
    """

    row: int
    column: int
    window: "NDArray[np.bool_]" = field(repr=False)
    box: PixelBox
    area: int
    peak: float

    def paint(self, canvas: "NDArray[np.bool_]") -> None:
        """Set the blob's pixels on a mask of the whole film."""
        rows, columns = self.window.shape
        canvas[self.row : self.row + rows, self.column : self.column + columns] |= self.window

    def share_in(self, box: PixelBox) -> float:
        """Fraction of the blob's area that lies inside a box, 0..1."""
        rows, columns = self.window.shape
        top, bottom = _clipped(box.y_min - self.row, box.y_max - self.row, rows)
        left, right = _clipped(box.x_min - self.column, box.x_max - self.column, columns)
        return float(np.count_nonzero(self.window[top:bottom, left:right])) / self.area

    def share_under(self, mask: "NDArray[np.bool_]") -> float:
        """Fraction of the blob's area that lies under a mask of the whole film, 0..1."""
        rows, columns = self.window.shape
        there = mask[self.row : self.row + rows, self.column : self.column + columns]
        return float(np.count_nonzero(self.window & there)) / self.area


def step_of(shape: tuple[int, ...]) -> int:
    """Return how many film pixels one coarse pixel spans, per side."""
    return max(1, -(-max(shape) // COARSE))


def seen_in_parts(masks: "Mapping[MaskName, NDArray[np.float32]]", name: "MaskName") -> "Soft":
    """Return a soft mask that is drawn where one looks if there is such, else as it is.

    A film of 2000 x 2500 has 20 MB of float32 for each of its masks: asking for them costs more
    than all that is done with them.
    """
    get = getattr(masks, "drawn", None)
    return masks[name] if get is None else cast("Soft", get(name))


def coarse(soft: "Soft") -> "NDArray[np.float32]":
    """Every ``step``-th pixel of a soft mask, 0..1, ``(ceil(rows/step), ceil(columns/step))``."""
    step = step_of(soft.shape)
    values = soft[::step, ::step]
    return np.asarray(values * _unit(values), np.float32)


def _unit(soft: "Values") -> np.float32:
    """Return what one of a soft mask's steps is worth."""
    return np.float32(1 / LEVELS if soft.dtype == np.uint8 else 1)


def _within(soft: "Values") -> "NDArray[np.bool_]":
    """Return where a soft mask is in."""
    return np.asarray(soft >= (np.uint8(LEVELS // 2 + 1) if soft.dtype == np.uint8 else HALF))


def find(soft: "Soft", *, least_area: float) -> tuple[Blob, ...]:
    """Find the blobs of at least ``least_area`` film pixels, the largest first."""
    step = step_of(soft.shape)
    labels, _ = ndimage.label(_within(soft[::step, ::step]), structure=_NEIGHBOURS)
    blobs = [
        _at_full_resolution(soft, labels == number, window, step)
        for number, window in enumerate(ndimage.find_objects(labels), start=1)
    ]
    kept = [blob for blob in blobs if blob is not None and blob.area >= least_area]
    return tuple(sorted(kept, key=lambda blob: (-blob.area, blob.row, blob.column)))


def tight_box(mask: "NDArray[np.bool_]") -> PixelBox | None:
    """Smallest box around the set pixels of a mask, source pixels; None for an empty mask."""
    tight = _tight(mask)
    if tight is None:
        return None
    row, column, window = tight
    return PixelBox(column, row, column + window.shape[1], row + window.shape[0])


def _at_full_resolution(
    soft: "Soft",
    member: "NDArray[np.bool_]",
    window: tuple[slice, ...],
    step: int,
) -> Blob | None:
    """One coarse component, its edge redrawn where the soft mask crosses one half."""
    # One coarse pixel of margin lets the true edge, up to a step outside, come in.
    rows, columns = (slice(max(0, s.start - 1), s.stop + 1) for s in window)
    member = member[rows, columns]
    # A hole is surrounded by members, so growing it by one only repaints what is already in.
    holes = ndimage.binary_dilation(ndimage.binary_fill_holes(member) & ~member, _NEIGHBOURS)
    near = ndimage.binary_dilation(member, _NEIGHBOURS)
    row, column = rows.start * step, columns.start * step
    part = soft[row : row + near.shape[0] * step, column : column + near.shape[1] * step]
    inside = _within(part) & _enlarged(near, step, part.shape)
    if holes.any():
        inside |= _enlarged(holes, step, part.shape)
    tight = _tight(inside)
    if tight is None:
        return None
    top, left, whole = tight
    peak = float(part[inside].max() * _unit(part))
    row, column = row + top, column + left
    box = PixelBox(column, row, column + whole.shape[1], row + whole.shape[0])
    return Blob(row, column, whole, box, int(np.count_nonzero(whole)), peak)


def _enlarged(mask: "NDArray[np.bool_]", step: int, shape: tuple[int, ...]) -> "NDArray[np.bool_]":
    """Repeat every coarse pixel ``step`` times each way, cut to ``shape``."""
    return mask.repeat(step, axis=0).repeat(step, axis=1)[: shape[0], : shape[1]]


def _tight(mask: "NDArray[np.bool_]") -> "tuple[int, int, NDArray[np.bool_]] | None":
    """``(row, column, mask)`` cut to the smallest window that holds every set pixel."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return None
    top, left = int(rows[0]), int(columns[0])
    return top, left, mask[top : rows[-1] + 1, left : columns[-1] + 1]


def _clipped(low: float, high: float, size: int) -> tuple[int, int]:
    return min(max(round(low), 0), size), min(max(round(high), 0), size)
