"""The part of a projection that the plate sees, and its place in the network's square."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from models.anatomy.network import INPUT_SIDE
from models.training.cache import SIDE

if TYPE_CHECKING:
    from numpy.typing import NDArray

PIXEL_MM = 470.0 / SIDE
LEFT_LUNG, RIGHT_LUNG = 11, 20  # places in the regions' order
MISSED_SHARE = 0.1
SEEN_SHARE = 0.3  # of a region must be on the plate for it to count as visible


@dataclass(frozen=True, slots=True)
class Window:
    """The part of the base grid that the plate sees, and where it lies in the square."""

    x: float
    y: float
    width: float
    height: float

    @property
    def size(self) -> tuple[int, int]:
        """``(columns, rows)`` in the square."""
        scale = INPUT_SIDE / max(self.width, self.height)
        return max(round(self.width * scale), 1), max(round(self.height * scale), 1)

    def cut(self, plane: "NDArray[np.generic]", square: int = INPUT_SIDE) -> "NDArray[np.float32]":
        """Resample a plane of the base grid into the middle of a square of zeros."""
        columns, rows = (round(v * square / INPUT_SIDE) for v in self.size)
        box = (self.x, self.y, self.x + self.width, self.y + self.height)
        image = Image.fromarray(np.ascontiguousarray(plane, np.float32))
        part = np.asarray(image.resize((columns, rows), Image.Resampling.BILINEAR, box=box))
        result = np.zeros((square, square), np.float32)
        top, left = (square - rows) // 2, (square - columns) // 2
        result[top : top + rows, left : left + columns] = part
        return result

    def shares(self, boxes: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Share of the area of boxes ``(n, 4)`` of the base grid on the plate; 0 for NaN."""
        low = np.maximum(boxes[:, :2], (self.x, self.y))
        high = np.minimum(boxes[:, 2:], (self.x + self.width, self.y + self.height))
        area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
        inside = np.prod(np.clip(high - low, 0, None), axis=1)
        return np.asarray(np.nan_to_num(inside / np.maximum(area, 1e-3)), np.float32)

    def boxes(
        self, boxes: "NDArray[np.float32]"
    ) -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
        """Turn base boxes into centre and size in 0..1 of the square, and say which are visible."""
        low = np.maximum(boxes[:, :2], (self.x, self.y))
        high = np.minimum(boxes[:, 2:], (self.x + self.width, self.y + self.height))
        size = np.clip(high - low, 0, None)
        longest = max(self.width, self.height)
        pad = np.asarray(((longest - self.width) / 2, (longest - self.height) / 2))
        centre = ((low + high) / 2 - (self.x, self.y) + pad) / longest
        normal = np.concatenate([centre, size / longest], axis=1)
        seen = self.shares(boxes) > SEEN_SHARE
        return np.nan_to_num(normal).astype(np.float32), seen.astype(np.float32)

    def outside(self, plane: "NDArray[np.bool_]") -> float:
        """Share of a mask that lies off the plate."""
        rows = slice(round(self.y), round(self.y + self.height))
        columns = slice(round(self.x), round(self.x + self.width))
        total = int(plane.sum())
        return 1.0 - float(plane[rows, columns].sum()) / total if total else 0.0


def around_lungs(rng: np.random.Generator, boxes: "NDArray[np.float32]") -> Window:
    """Return a plate around the lungs, sized and placed as measured on real training films.

    There lungs take 0.72 of the width and 0.65 of the height at the median, begin 0.13 below the
    top, and three films of four are square. One plate of ten misses an edge of the lungs.
    """
    lungs = boxes[[LEFT_LUNG, RIGHT_LUNG]]
    low, high = lungs[:, :2].min(0), lungs[:, 2:].max(0)
    width, height = high - low
    wide = float(width / np.clip(rng.normal(0.73, 0.09), 0.56, 1.03))
    tall = float(height / np.clip(rng.normal(0.67, 0.10), 0.50, 1.03))
    if rng.random() < 0.6:  # noqa: PLR2004 - square plates
        wide = tall = max(float(np.sqrt(wide * tall)), 1.02 * float(max(width, height)))
    aside = (wide - width) * float(np.clip(rng.normal(0.5, 0.1), 0, 1))
    above = tall * float(rng.normal(0.14, 0.055)) if tall > 1.05 * height else 0.0
    x0, y0 = max(low[0] - aside, 0), max(low[1] - above, 0)
    edges = np.asarray((x0, y0, min(x0 + wide, SIDE), min(y0 + tall, SIDE)))
    if rng.random() < MISSED_SHARE:
        edge, depth = int(rng.integers(4)), float(rng.uniform(0.03, 0.18))
        edges[edge] = (low + depth * (high - low), high - depth * (high - low))[edge // 2][edge % 2]
    x0, y0, x1, y1 = (float(edge) for edge in edges)
    return Window(x0, y0, max(x1 - x0, px(98)), max(y1 - y0, px(98)))


def beside(rng: np.random.Generator, boxes: "NDArray[np.float32]") -> tuple[Window, bool]:
    """Return a plate on the wrong place, and whether it is the abdomen (else neck or shoulder)."""
    lungs = boxes[[LEFT_LUNG, RIGHT_LUNG]]
    low, high = lungs[:, :2].min(0), lungs[:, 2:].max(0)
    choice = int(rng.integers(3))
    if choice == 0:
        top = float(high[1]) - px(20)
        left, width = px(rng.uniform(0, 98)), px(rng.uniform(245, 360))
        return Window(left, top, width, SIDE - top), True
    if choice == 1:
        return Window(px(rng.uniform(49, 130)), 0.0, px(212), float(low[1]) + px(23)), False
    edge = float(low[0]) * 0.9 + px(23)
    return Window(0.0, px(rng.uniform(0, 98)), edge, px(rng.uniform(147, 326))), False


def px(mm: float) -> float:
    """Millimetres of the patient's middle as pixels of the base grid."""
    return float(mm) / PIXEL_MM
