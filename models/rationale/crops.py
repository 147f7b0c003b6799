"""The pictures of a rationale in pointer mode: the film's own pixels, and nothing else."""

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from models import geometry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.values import ChestImage, PixelBox

MAX_PX = 512


def crop(image: "ChestImage", box: "PixelBox", max_px: int = MAX_PX) -> "NDArray[np.uint8]":
    """Cut the film at a box: ``(rows, columns)`` grey levels, bright = dense.

    The longer side is reduced to ``max_px`` by averaging; a smaller crop keeps the film's pixels.
    """
    return grey(_reduced(_cut(image, box), max_px))


def _cut(image: "ChestImage", box: "PixelBox") -> "NDArray[np.float32]":
    """Return every pixel a box touches."""
    inside = geometry.clip(box, image.rows, image.columns)
    rows = slice(int(inside.y_min), int(np.ceil(inside.y_max)))
    columns = slice(int(inside.x_min), int(np.ceil(inside.x_max)))
    return image.pixels[rows, columns]


def grey(pixels: "NDArray[np.float32]") -> "NDArray[np.uint8]":
    """Turn film pixels 0..1 into grey levels 0..255."""
    return np.rint(np.clip(pixels, 0.0, 1.0) * 255).astype(np.uint8)


def _reduced(picture: "NDArray[np.float32]", max_px: int) -> "NDArray[np.float32]":
    rows, columns = picture.shape
    scale = max_px / max(rows, columns)
    if scale >= 1:
        return picture
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))
