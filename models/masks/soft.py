"""The network's small soft masks, drawn on the film's stored grid where somebody looks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import numpy as np
from PIL import Image

from models.geometry import Letterbox

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.geometry import Turn

Places = TypeVar("Places", float, "NDArray[np.float64]")
Name = TypeVar("Name", bound=str)

LEVELS: Final = 255  # steps of a soft mask that is drawn: a third of the time of float32


@dataclass(frozen=True, slots=True, eq=False)
class SoftMask:
    """One mask of a film; ``mask[rows, columns]`` draws a part of it, uint8, chance x 255.

    ``small`` ``(n, n)`` uint8 is the network's answer, turned as the film is stored; ``film`` says
    where that film of ``shape`` (rows, columns) lies in the square. Enlarging is linear. Drawing
    a mask whole takes 12 ms on a film of 2000 x 2500, and hardly any is looked at whole.
    """

    small: "NDArray[np.uint8]" = field(repr=False)
    film: Letterbox

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the stored film."""
        return self.film.rows, self.film.columns

    def __getitem__(self, part: tuple[slice, slice]) -> "NDArray[np.uint8]":
        rows, columns = (range(n)[cut] for n, cut in zip(self.shape, part, strict=True))
        if not rows or not columns:
            return np.zeros((len(rows), len(columns)), np.uint8)
        if rows.step == columns.step == 1:
            return self._enlarged(rows, columns)
        return self._sampled(rows, columns)

    def _enlarged(self, rows: range, columns: range) -> "NDArray[np.uint8]":
        ends = ((columns.start, rows.start), (columns.stop, rows.stop))
        left, top, right, bottom = (self._there(axis, end[axis]) for end in ends for axis in (0, 1))
        most = float(len(self.small))  # rounding must not leave the film a hair outside
        box = (left, top, min(right, most), min(bottom, most))
        size = (len(columns), len(rows))
        image = Image.fromarray(self.small).resize(size, Image.Resampling.BILINEAR, box=box)
        return np.asarray(image)

    def _sampled(self, rows: range, columns: range) -> "NDArray[np.uint8]":
        """Return single pixels of the enlarged mask; each lies between two of the small one's."""
        values = self.small.astype(np.float32)
        last = len(self.small) - 1
        for axis, wanted in ((0, rows), (1, columns)):
            place = np.clip(self._there(1 - axis, np.asarray(wanted) + 0.5) - 0.5, 0, last)
            before = np.minimum(place.astype(np.intp), last - 1)
            share = np.expand_dims((place - before).astype(np.float32), 1 - axis)
            first, second = values.take(before, axis), values.take(before + 1, axis)
            values = first + (second - first) * share
        return np.rint(values).astype(np.uint8)

    def _there(self, axis: int, place: "Places") -> "Places":
        """Return where places along x (``axis`` 0) or y (1) of the film lie in the small mask."""
        film = self.film
        return (film.offset[axis] + place * film.scale) * len(self.small) / film.side


class SoftMasks(Mapping[Name, "NDArray[np.float32]"], Generic[Name]):
    """All masks of a film: whole and in 0..1 by name, or as :class:`SoftMask` to look at parts."""

    def __init__(
        self,
        small: "NDArray[np.float32]",
        names: tuple[Name, ...],
        frame: Letterbox,
        turn: "Turn",
    ) -> None:
        self._small: dict[Name, NDArray[np.float32]] = dict(zip(names, small, strict=True))
        self._turn = turn
        stored = (frame.columns, frame.rows) if turn.transpose else (frame.rows, frame.columns)
        self._film = Letterbox(*stored, frame.side)

    def __getitem__(self, name: Name) -> "NDArray[np.float32]":
        return np.asarray(self.drawn(name)[:, :] * np.float32(1 / LEVELS))

    def __contains__(self, name: object) -> bool:
        return name in self._small  # without drawing it

    def __iter__(self) -> Iterator[Name]:
        return iter(self._small)

    def __len__(self) -> int:
        return len(self._small)

    def drawn(self, name: Name) -> SoftMask:
        """Return the mask on the film's stored grid, to be looked at part by part."""
        levels = np.rint(self._turn.undo(self._small[name]) * LEVELS).astype(np.uint8)
        return SoftMask(levels, self._film)

    def coarse(self, name: Name) -> "NDArray[np.float32]":
        """Return the mask as the network gave it: canonical, letterboxed square, 0..1."""
        return self._small[name]
