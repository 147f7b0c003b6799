"""Films in a folder that get new UIDs in place before every run: fast, and never a re-send."""

import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import JPEG2000Lossless
from scipy import ndimage

from dicom import film, pixels, uids
from dicom.film import FilmDescription

MEMORY = Path("/dev/shm")  # noqa: S108  (no secret lies there, and it is removed)
LEVELS = ("study", "series", "instance")
REAL_CHEST = "RG1_UNCR.dcm"


class Load:
    """Copies of one film, each a study of its own, as files that ``storescu`` can send.

    The three UIDs have the full 64 characters, so new ones fit in the place of the old.
    """

    def __init__(self, folder: Path, count: int, source: Path) -> None:
        self._folder = folder
        self._template = _with_long_uids(source)
        self._places = {level: _places(self._template, _marker(level)) for level in LEVELS}
        self.files = tuple(folder / f"{number:04}.dcm" for number in range(count))
        self.study_instance_uids: tuple[str, ...] = ()
        for path in self.files:
            path.write_bytes(self._template)

    @property
    def size_bytes(self) -> int:
        """Size of one file."""
        return len(self._template)

    def renew(self) -> None:
        """Give every file new UIDs."""
        self.study_instance_uids = tuple(self._renew(path) for path in self.files)

    def _renew(self, path: Path) -> str:
        chosen = {level: _long(uuid.uuid4().int) for level in LEVELS}
        with path.open("r+b") as file:
            for level, places in self._places.items():
                for place in places:
                    file.seek(place)
                    file.write(chosen[level].encode("ascii"))
        return chosen["study"]


@contextmanager
def folder() -> Iterator[Path]:
    """Give a folder in memory, so that reading what is sent costs nothing."""
    parent = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="carina-bench-", dir=parent) as made:
        yield Path(made)


@contextmanager
def copies(count: int, source: Path | None = None) -> Iterator[Load]:
    """Give a load of ``count`` films, by default the real chest of pydicom-data, in memory."""
    with folder() as made:
        yield Load(made, count, source or real_chest())


@contextmanager
def jpeg_2000() -> Iterator[Path]:
    """Give the real chest as JPEG 2000, lossless: what many detectors and gateways send."""
    ds = dcmread(real_chest())
    ds.compress(JPEG2000Lossless, generate_instance_uid=False)
    with folder() as made:
        path = made / "jpeg-2000.dcm"
        path.write_bytes(film.encode(ds))
        yield path


@contextmanager
def small(side: int) -> Iterator[Path]:
    """Give the real chest, scaled down to ``side`` pixels: light, and read all the same."""
    image = pixels.read(real_chest()).pixels
    step = max(image.shape) / side
    scaled = ndimage.zoom(image, 1 / step, order=1)
    grey = np.rint(np.clip(scaled, 0, 1) * 65535).astype(np.uint16)
    with folder() as made:
        path = made / "small.dcm"
        path.write_bytes(film.encode(film.from_pixels(grey, FilmDescription(seed="bench/small"))))
        yield path


def real_chest() -> Path:
    """Return the CR chest of pydicom-data, uncompressed, 7.2 MB."""
    path = get_testdata_file(REAL_CHEST, download=False)
    assert path is not None, f"pydicom-data lacks {REAL_CHEST}"
    return Path(str(path))


def _long(number: int) -> str:
    # 2.25.<39 digits> is shorter than 64; a fixed arc in front makes it exactly 64, and legal.
    return f"2.25.1{number:058d}"[: uids.UID_MAX]


def _marker(level: str) -> str:
    return _long(10**50 + LEVELS.index(level))


def _with_long_uids(source: Path) -> bytes:
    ds = dcmread(source)
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = map(_marker, LEVELS)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    return film.encode(ds)


def _places(content: bytes, marker: str) -> list[int]:
    found, start = [], content.find(marker.encode("ascii"))
    while start >= 0:
        found.append(start)
        start = content.find(marker.encode("ascii"), start + 1)
    assert found
    return found
