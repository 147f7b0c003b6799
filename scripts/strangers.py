"""Collects pictures that are no chest radiographs and that no training saw, by family, as PNG.

``python -m scripts.strangers --out DIR [--source BASES/source] [--photographs DIR]``

They come from the test files of pydicom and pydicom-data (development requirements) and, with
``--source``, from slices of the CT that the simulator projects: the same patient, seen otherwise.
With ``--photographs`` the pictures of a folder are taken too, such as those in the wheels of
scikit-image and scikit-learn; nothing of them is kept here.
"""

import argparse
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image, ImageOps
from pydicom.data import get_testdata_file

from models.simulate import source

FILES = {
    "extremity": ("RG3_UNCR.dcm",),
    "CT slice": ("CT_small.dcm", "693_UNCR.dcm", "eCT_Supplemental.dcm"),
    "MR slice": ("MR_small.dcm", "MR2_UNCR.dcm", "MR-SIEMENS-DICOM-WithOverlays.dcm",
                 "emri_small.dcm"),
    "ultrasound": ("US1_UNCR.dcm", "OBXXXX1A.dcm", "gdcm-US-ALOKA-16.dcm",
                   "examples_rgb_color.dcm"),
    "colour test card": ("color-pl.dcm", "SC_rgb.dcm"),
}  # fmt: skip
SLICES = 20  # of the CT along each of two axes
LOW_HU, HIGH_HU = -1000.0, 400.0
SMALLEST = 32  # px
GREY_AXES = 2
PICTURES = (".png", ".jpg", ".jpeg")


def grey(pixels: np.ndarray) -> Image.Image:
    """Return one frame as 8-bit grey; colours are averaged."""
    plain = pixels.astype(np.float64)
    if plain.ndim > GREY_AXES:
        plain = plain.mean(axis=-1) if plain.shape[-1] in {3, 4} else plain[len(plain) // 2]
    if plain.ndim > GREY_AXES:
        plain = plain.mean(axis=-1)
    span = max(float(np.ptp(plain)), 1e-6)
    return Image.fromarray(np.round((plain - plain.min()) / span * 255).astype(np.uint8))


def from_files(out: Path) -> int:
    """Write what the test files hold; returns how many."""
    written = 0
    for family, names in FILES.items():
        for name in names:
            found = get_testdata_file(name, download=False)
            if not isinstance(found, str):
                continue
            film = pydicom.dcmread(found)
            picture = grey(film.pixel_array)
            if film.PhotometricInterpretation == "MONOCHROME1":  # low = bright, PS3.3 C.7.6.3.1.2
                picture = ImageOps.invert(picture)
            if min(picture.size) >= SMALLEST:
                (out / family).mkdir(parents=True, exist_ok=True)
                picture.save(out / family / f"{Path(name).stem}.png")
                written += 1
    return written


def from_ct(out: Path, cache: Path) -> int:
    """Write axial and coronal slices of the CT; returns how many."""
    volume = source.read(source.fetch(cache)).hu.astype(np.float32)
    written = 0
    for family, axis in (("CT slice", 0), ("CT, coronal slice", 1)):
        (out / family).mkdir(parents=True, exist_ok=True)
        places = np.linspace(0.15, 0.85, SLICES) * volume.shape[axis]
        for place in places.astype(int):
            plane = np.clip(np.take(volume, place, axis=axis), LOW_HU, HIGH_HU)
            if axis == 1:  # slices are thicker than pixels are wide
                plane = np.repeat(plane, 3, axis=0)[::-1]
            grey(plane).save(out / family / f"lidc_{axis}_{place:03d}.png")
            written += 1
    return written


def from_photographs(out: Path, folder: Path) -> int:
    """Write the pictures of a folder in grey, colours averaged; returns how many."""
    written = 0
    for path in sorted(path for path in folder.iterdir() if path.suffix in PICTURES):
        with Image.open(path) as picture:
            plain = grey(np.asarray(picture.convert("RGB")))
        (out / "photograph").mkdir(parents=True, exist_ok=True)
        plain.save(out / "photograph" / f"{path.stem}.png")
        written += 1
    return written


def main() -> None:
    """Collect."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--source", type=Path, help="where the simulator keeps its CT")
    parser.add_argument("--photographs", type=Path, help="a folder of pictures")
    chosen = parser.parse_args()
    written = from_files(chosen.out)
    if chosen.source is not None:
        written += from_ct(chosen.out, chosen.source)
    if chosen.photographs is not None:
        written += from_photographs(chosen.out, chosen.photographs)
    print(f"{written} pictures in {chosen.out}")


if __name__ == "__main__":
    main()
