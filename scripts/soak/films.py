"""Small simulated films, each of a patient and study of its own, the same for the same number."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dicom import dx, film
from dicom.dx import SimulatedFilm
from dicom.film import FilmPatient

EXAMPLES = Path(__file__).parents[2] / "models" / "examples"
DRAWN = ("frontal-with-mass.png", "frontal-without-finding.png")
SIDE = 512
FULL_WIDTH_MM = 420.0
SOURCE_TO_PATIENT_MM = 1600.0
DIMMED = 0.92
"""Each drawn film comes a second time, a little darker: four bases."""


@dataclass(frozen=True, slots=True)
class Film:
    """One film to send: its number in the run, its UIDs and the bytes of the file."""

    number: int
    study_instance_uid: str
    sop_instance_uid: str
    content: bytes


class Maker:
    """Makes film number n of a run; ``run`` keeps the UIDs of two runs apart."""

    def __init__(self, run: str) -> None:
        self._run = run
        drawn = [_small(EXAMPLES / name) for name in DRAWN]
        self._bases = (*drawn, *((one * DIMMED).astype(np.uint16) for one in drawn))

    def make(self, number: int) -> Film:
        """Return one film: a DX image (PS3.3 A.26) of 512 x 512 pixels, 0.5 MB."""
        patient = FilmPatient(f"SOAK-{number}", f"Soak^{number}", "19600101", "O", "060Y")
        told = SimulatedFilm(
            name=f"soak/{self._run}/{number}",
            view_position="PA",
            detector_pixel_mm=FULL_WIDTH_MM / SIDE,
            source_to_patient_mm=SOURCE_TO_PATIENT_MM,
            patient=patient,
        )
        ds = dx.build(self._bases[number % len(self._bases)], told)
        return Film(number, str(ds.StudyInstanceUID), str(ds.SOPInstanceUID), film.encode(ds))


def _small(path: Path) -> NDArray[np.uint16]:
    """Return a drawn film at the small side, on the full scale of 16 bits."""
    with Image.open(path) as image:
        grey = np.asarray(image).astype(np.float32)
    small = Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    levels = np.asarray(small)
    return np.rint(levels / max(float(levels.max()), 1.0) * 65535).astype(np.uint16)
