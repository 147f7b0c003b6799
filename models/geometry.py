"""The only place where coordinates change frame: letterbox, orientation, overlap.

Frames. *Source pixels*: the stored grid (see models.values). *Canonical*: the same film turned so
that a row runs to the patient's left and a column to the feet, as a reader expects it. *Network*:
the canonical film padded to a square in its middle and resized.
"""

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from models.values import PixelBox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)

PIXELS_MAX: Final = 100_000_000
"""Pixels of the largest film that is read, wherever it comes from; detectors have 10 to 20 million.

A DICOM film, a picture file and the network itself refuse more, each before it touches a pixel.
"""


@dataclass(frozen=True, slots=True)
class Letterbox:
    """A film of ``rows`` x ``columns`` in the middle of a square of ``side`` network pixels."""

    rows: int
    columns: int
    side: int

    @property
    def scale(self) -> float:
        """Network pixels per film pixel."""
        return self.side / max(self.rows, self.columns)

    @property
    def offset(self) -> tuple[float, float]:
        """Where the film's top-left corner lies in the square, ``(x, y)`` network pixels."""
        # The longer side fills the square; rounding must not leave it a hair outside.
        return (
            max((self.side - self.columns * self.scale) / 2, 0.0),
            max((self.side - self.rows * self.scale) / 2, 0.0),
        )

    def to_network(self, box: PixelBox) -> PixelBox:
        """Film pixels to network pixels."""
        (x, y), s = self.offset, self.scale
        return PixelBox(box.x_min * s + x, box.y_min * s + y, box.x_max * s + x, box.y_max * s + y)

    def to_source(self, box: PixelBox) -> PixelBox:
        """Network pixels to film pixels; the exact inverse, not clipped."""
        (x, y), s = self.offset, self.scale
        return PixelBox(
            (box.x_min - x) / s, (box.y_min - y) / s, (box.x_max - x) / s, (box.y_max - y) / s
        )


def from_cxcywh(values: "Sequence[float]", side: float) -> PixelBox:
    """Centre x, centre y, width, height in 0..1 of a square of ``side`` pixels, as corners."""
    cx, cy, width, height = values
    return PixelBox(
        (cx - width / 2) * side, (cy - height / 2) * side,
        (cx + width / 2) * side, (cy + height / 2) * side,
    )  # fmt: skip


def clip(box: PixelBox, rows: int, columns: int) -> PixelBox:
    """Cut to the film; what would be left empty becomes one pixel at the nearest edge."""
    x_min, y_min = min(max(box.x_min, 0.0), columns - 1.0), min(max(box.y_min, 0.0), rows - 1.0)
    x_max, y_max = min(box.x_max, float(columns)), min(box.y_max, float(rows))
    return PixelBox(x_min, y_min, max(x_max, x_min + 1.0), max(y_max, y_min + 1.0))


def overlap(first: PixelBox, second: PixelBox) -> float:
    """Intersection over union, 0..1."""
    width = min(first.x_max, second.x_max) - max(first.x_min, second.x_min)
    height = min(first.y_max, second.y_max) - max(first.y_min, second.y_min)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (first.area + second.area - shared)


@dataclass(frozen=True, slots=True)
class Turn:
    """One of the eight ways in which a frontal film can lie: transpose first, then the flips."""

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    def apply(self, grid: "NDArray[T]") -> "NDArray[T]":
        """Return stored grid to canonical grid; works on the last two axes, copies nothing."""
        turned = grid.swapaxes(-1, -2) if self.transpose else grid
        if self.flip_rows:
            turned = turned[..., ::-1, :]
        return turned[..., ::-1] if self.flip_columns else turned

    def undo(self, grid: "NDArray[T]") -> "NDArray[T]":
        """Canonical grid back to stored grid; the exact inverse of ``apply``."""
        turned = grid[..., ::-1] if self.flip_columns else grid
        if self.flip_rows:
            turned = turned[..., ::-1, :]
        return turned.swapaxes(-1, -2) if self.transpose else turned

    def undo_box(self, box: PixelBox, rows: int, columns: int) -> PixelBox:
        """Move a canonical box to stored pixels; ``rows``, ``columns`` are the canonical grid's."""
        x_min, y_min, x_max, y_max = box.x_min, box.y_min, box.x_max, box.y_max
        if self.flip_columns:
            x_min, x_max = columns - x_max, columns - x_min
        if self.flip_rows:
            y_min, y_max = rows - y_max, rows - y_min
        if self.transpose:
            x_min, y_min, x_max, y_max = y_min, x_min, y_max, x_max
        return PixelBox(x_min, y_min, x_max, y_max)


def _declared(turn: Turn) -> tuple[str, str]:
    """Patient Orientation of a stored film which ``turn`` makes canonical (L, F)."""
    row, column = ("R" if turn.flip_columns else "L"), ("H" if turn.flip_rows else "F")
    return (column, row) if turn.transpose else (row, column)


TURNS = {
    _declared(turn): turn for turn in (Turn(*flags) for flags in product((False, True), repeat=3))
}


def turn_for(patient_orientation: tuple[str, str] | None) -> Turn:
    """Say how to lay a film for reading.

    ``patient_orientation`` is (0020,0020), PS3.3 C.7.6.1.1.1. Only the first letter of each value
    counts (``LF`` is mostly left); unknown or impossible values, and those of a lateral, mean the
    usual display.
    """
    if patient_orientation is None:
        return Turn()
    row, column = (value[:1].upper() for value in patient_orientation)
    return TURNS.get((row, column), Turn())
