"""Read one image file as a film, without any service: DICOM, or a picture such as PNG or JPEG."""

import warnings
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from dicom import pixels
from models.errors import UnreadableImage
from models.geometry import PIXELS_MAX
from models.values import ChestImage

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MAGIC: Final = b"DICM"  # PS3.10 section 7.1, after 128 bytes of preamble
PREAMBLE: Final = 128
DEEP: Final = ("I", "F")  # Pillow's modes of more than 8 bits


def read(path: "Path") -> ChestImage:
    """Return the film in a file; a picture is taken as bright = dense, its orientation unknown.

    Raises
    ------
    UndecodableInstance, UnsupportedPixelData
        If it is a DICOM file that cannot be read.
    UnreadableImage
        If it is neither DICOM nor a picture, cut short, too large, or without any contrast.
    OSError
        If it cannot be opened.
    """
    with path.open("rb") as file:
        head = file.read(PREAMBLE + len(MAGIC))
    if head[PREAMBLE:] == MAGIC:
        return pixels.read(path)
    grey = _grey(path)
    if float(grey.min()) == float(grey.max()):
        raise UnreadableImage("the picture is constant")
    return ChestImage(image_id=path.name, pixels=grey)


def _grey(path: "Path") -> "NDArray[np.float32]":
    """Return a picture as (rows, columns) float32; in 0..1."""
    try:
        with warnings.catch_warnings():
            # Pillow warns of a large picture; what is too large for a film is refused below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                return _levels(picture)
    except (OSError, Image.DecompressionBombError, SyntaxError, ValueError) as error:
        # What Pillow raises for bytes that are no picture, or not all of it.
        raise UnreadableImage(f"neither DICOM nor a picture: {type(error).__name__}") from None


def _levels(picture: Image.Image) -> "NDArray[np.float32]":
    """Return grey levels; a palette is looked up, colour becomes grey, transparency is left out."""
    if picture.width * picture.height > PIXELS_MAX:
        raise UnreadableImage("the picture is too large for a film")
    if picture.mode.startswith(DEEP):
        return _stretched(np.asarray(picture, np.float32))
    grey = np.asarray(picture.convert("L"))
    # In one step: new memory costs more than the division.
    return np.asarray(np.divide(grey, 255, dtype=np.float32))


def _stretched(values: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """Return what is used of a range that is not known, as 0..1."""
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise UnreadableImage("the picture holds values that are not finite")
    return (values - low) / max(high - low, 1e-30)
