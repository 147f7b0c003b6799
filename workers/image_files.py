"""Read one image file as a film, without any service: DICOM, or a picture such as PNG or JPEG."""

from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from dicom import pixels
from models.errors import UnreadableImage
from models.values import ChestImage

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MAGIC: Final = b"DICM"  # PS3.10 section 7.1, after 128 bytes of preamble
PREAMBLE: Final = 128
PIXELS_MAX: Final = 100_000_000


def read(path: "Path") -> ChestImage:
    """Return the film in a file; a picture is taken as bright = dense, in the usual display.

    Raises
    ------
    UndecodableInstance, UnsupportedPixelData
        If it is a DICOM file that cannot be read.
    UnreadableImage
        If it is neither DICOM nor a picture.
    OSError
        If it cannot be opened.
    """
    with path.open("rb") as file:
        head = file.read(PREAMBLE + len(MAGIC))
    if head[PREAMBLE:] == MAGIC:
        return pixels.read(path)
    return ChestImage(image_id=path.name, pixels=_grey(path), patient_orientation=("L", "F"))


def _grey(path: "Path") -> "NDArray[np.float32]":
    """Return a picture as (rows, columns) in 0..1; 16 bit is stretched to what is used of it."""
    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > PIXELS_MAX:
                raise UnreadableImage("the picture is too large for a film")
            if picture.mode.startswith(("I", "F")):
                return _stretched(np.asarray(picture, np.float32))
            return np.asarray(picture.convert("L"), np.float32) / 255.0
    except (OSError, Image.DecompressionBombError, SyntaxError) as error:  # what Pillow raises
        raise UnreadableImage(f"neither DICOM nor a picture: {type(error).__name__}") from None


def _stretched(values: "NDArray[np.float32]") -> "NDArray[np.float32]":
    low, high = float(values.min()), float(values.max())
    if not high > low:
        raise UnreadableImage("the picture is constant")
    return (values - low) / (high - low)
