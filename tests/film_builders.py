"""Small films for tests."""

import numpy as np
from pydicom.dataset import Dataset

from dicom import film


def a_film(seed: str, rows: int = 64, columns: int = 48, **changes: object) -> Dataset:
    """Return a small film of noise, a CR unless ``changes`` to its description say otherwise."""
    pixels = np.random.default_rng(7).integers(0, 65536, (rows, columns), dtype=np.uint16)
    return film.from_pixels(pixels, film.FilmDescription(seed, **changes))  # type: ignore[arg-type]
