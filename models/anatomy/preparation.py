"""What a film goes through before the network; training and serving share these lines.

A film and its mirror image must come out as mirror images of each other, to the last grey level
that matters: the network judges sides by looking at both.
"""

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

LOW_PERCENTILE, HIGH_PERCENTILE = 1.0, 99.0
ROOM = 4  # block means leave at least this many times the pixels that are wanted


def shrink(pixels: "NDArray[np.float32]", side: int) -> "NDArray[np.float32]":
    """Resize ``(rows, columns)`` so that the longer side is ``side``; by area when far larger."""
    scale = side / max(pixels.shape)
    size = (max(round(pixels.shape[1] * scale), 1), max(round(pixels.shape[0] * scale), 1))
    return _resampled(pixels, size, scale)


def equalise(image: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """Stretch a small film between its 1st and 99th percentile to 0..1."""
    low, high = np.percentile(image, (LOW_PERCENTILE, HIGH_PERCENTILE))
    span = max(float(high - low), 1e-6)
    return np.asarray(np.clip((image - low) / span, 0.0, 1.0), np.float32)


def plain(image: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """Keep the grey levels as they are, cut to 0..1."""
    return np.clip(image, 0.0, 1.0)


INTENSITIES: "dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]]" = {
    "bright = dense; stretched from 1st to 99th percentile to 0..1": equalise,
    "bright = dense; 0..1 as stored": plain,
}
"""What a bundle's ``input.intensity`` may say, and what is then done."""


def to_square(
    pixels: "NDArray[np.float32]",
    side: int,
    intensity: "Callable[[NDArray[np.float32]], NDArray[np.float32]]" = equalise,
) -> "NDArray[np.float32]":
    """Make the network's square ``(side, side)``, 0..1, of a canonical film.

    The film lies where :class:`models.geometry.Letterbox` says. Its shown size has the parity of
    the square's, so that the padding is the same on both sides; what does not fit a whole pixel
    of the square is cut off evenly.
    """
    scale = side / max(pixels.shape)
    rows, columns = (with_parity(n * scale, side) for n in pixels.shape)
    image = intensity(_resampled(pixels, (columns, rows), scale))
    top, left = (side - rows) // 2, (side - columns) // 2
    square = np.zeros((side, side), np.float32)
    square[top : top + rows, left : left + columns] = image
    return square


def with_parity(length: float, side: int) -> int:
    """Return the largest whole number up to ``length`` that is as even or odd as ``side``."""
    whole = int(length + 1e-6)  # the longer side fills the square, whatever rounding says
    return max(whole - (side - whole) % 2, 2 - side % 2)


def _resampled(
    pixels: "NDArray[np.float32]", size: tuple[int, int], scale: float
) -> "NDArray[np.float32]":
    """Resize the middle of a film to ``size`` (columns, rows), ``scale`` new pixels per pixel."""
    rows, columns = pixels.shape
    factor = min(max(int(1 / (ROOM * scale)), 1), rows, columns)
    blocks, (left, top) = _block_means(pixels, factor)
    wide, high = min(size[0] / scale, columns) / 2, min(size[1] / scale, rows) / 2
    x, y = (columns / 2 - left) / factor, (rows / 2 - top) / factor
    wide, high = wide / factor, high / factor
    box = (
        max(x - wide, 0.0), max(y - high, 0.0),
        min(x + wide, blocks.shape[1]), min(y + high, blocks.shape[0]),
    )  # fmt: skip
    image = Image.fromarray(blocks)
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR, box=box), np.float32)


def _block_means(
    pixels: "NDArray[np.float32]", factor: int
) -> "tuple[NDArray[np.float32], tuple[int, int]]":
    """Means of ``factor`` x ``factor`` blocks, and where the first block begins, ``(x, y)`` px.

    Cheap, without aliasing, and without a copy of a huge film. The blocks lie in the middle of
    the film; the rim that is left over is stood for by its neighbours.
    """
    if factor == 1:
        return np.ascontiguousarray(pixels, np.float32), (0, 0)
    rows, columns = pixels.shape
    top, left = rows % factor // 2, columns % factor // 2
    part = pixels[top : top + rows // factor * factor, left : left + columns // factor * factor]
    # One axis after the other, whole strips at a time: four times as fast as one mean over both.
    strips = part[::factor].astype(np.float32)
    for start in range(1, factor):
        strips += part[start::factor]
    blocks = strips[:, ::factor].copy()
    for start in range(1, factor):
        blocks += strips[:, start::factor]
    blocks /= np.float32(factor**2)
    return np.pad(blocks, 1, mode="edge"), (left - factor, top - factor)
