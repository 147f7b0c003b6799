"""What a film goes through before the network; training and serving share these lines."""

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOW_PERCENTILE, HIGH_PERCENTILE = 1.0, 99.0


def shrink(pixels: "NDArray[np.float32]", side: int) -> "NDArray[np.float32]":
    """Resize ``(rows, columns)`` so that the longer side is ``side``; by area when far larger."""
    rows, columns = pixels.shape
    factor = max(rows, columns) // (4 * side)
    if factor > 1:  # block means first: cheap, no aliasing, and no copy of a huge film
        trimmed = pixels[: max(rows // factor, 1) * factor, : max(columns // factor, 1) * factor]
        high, wide = min(factor, rows), min(factor, columns)
        blocks = trimmed.reshape(trimmed.shape[0] // high, high, trimmed.shape[1] // wide, wide)
        pixels = blocks.mean((1, 3), dtype=np.float32)
    scale = side / max(rows, columns)
    size = (max(round(columns * scale), 1), max(round(rows * scale), 1))
    image = Image.fromarray(np.ascontiguousarray(pixels, np.float32))
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR), np.float32)


def equalise(image: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """Stretch a small film between its 1st and 99th percentile to 0..1."""
    low, high = np.percentile(image, (LOW_PERCENTILE, HIGH_PERCENTILE))
    span = max(float(high - low), 1e-6)
    return np.asarray(np.clip((image - low) / span, 0.0, 1.0), np.float32)


def to_square(pixels: "NDArray[np.float32]", side: int) -> "NDArray[np.float32]":
    """Make the network's square ``(side, side)``, 0..1, of a canonical film."""
    image = equalise(shrink(pixels, side))
    rows, columns = image.shape
    top, left = (side - rows) // 2, (side - columns) // 2
    square = np.zeros((side, side), np.float32)
    square[top : top + rows, left : left + columns] = image
    return square
