"""Simulated films as Digital X-Ray Images - For Presentation (PS3.3 A.26), both photometrics.

The patient is invented and the header says that the film is simulated. What the
simulator knows of the beam is stated: distance, magnification, the side at the detector.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dicom import film
from dicom.errors import EncodingFailed
from dicom.film import FilmDescription, FilmKind, FilmPatient

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

VIEWS = {"PA": ("L", "F"), "AP": ("L", "F"), "LL": ("P", "F"), "RL": ("A", "F")}
"""View Position (0018,5101) and the Patient Orientation (0020,0020) the simulator draws it in."""

BEHIND_MM = 200.0  # from the patient's middle to the detector, as the simulator assumes
SIMULATED = "Simulated from LIDC-IDRI-0001; not a patient"


@dataclass(frozen=True, slots=True)
class SimulatedFilm:
    """What a header says of a simulated film. Lengths in mm; ``name`` decides the UIDs."""

    name: str
    view_position: str
    detector_pixel_mm: float
    source_to_patient_mm: float
    photometric_interpretation: str = "MONOCHROME2"
    study: str = ""
    patient: FilmPatient = field(
        default_factory=lambda: FilmPatient("SIM-1", "Simulated^Chest", "19650101", "O", "061Y")
    )


def build(pixels: "NDArray[np.uint8] | NDArray[np.uint16]", told: SimulatedFilm) -> "Dataset":
    """Return a DX data set of ``pixels`` (rows, columns), bright = dense; identical for one name.

    Letters may be burnt in (Burned In Annotation is YES): the simulator draws markers, but no
    identity.

    Raises
    ------
    EncodingFailed
        If the view is none of PA, AP, LL, RL, or the array is no film.
    """
    if told.view_position not in VIEWS:
        raise EncodingFailed("a simulated film is taken PA, AP, LL or RL")
    spacing = round(told.detector_pixel_mm, 5)
    ds = film.from_pixels(
        pixels,
        FilmDescription(
            seed=told.name,
            kind=FilmKind.DX,
            study=told.study,
            patient=told.patient,
            view_position=told.view_position,
            photometric_interpretation=told.photometric_interpretation,
            bits_stored=12,
            imager_pixel_spacing_mm=(spacing, spacing),
            patient_orientation=VIEWS[told.view_position],
            study_description="Simulated chest radiograph",
            series_description=f"Chest {told.view_position}",
        ),
    )
    ds.BurnedInAnnotation = "YES"
    ds.ImageComments = SIMULATED
    ds.DistanceSourceToDetector = round(told.source_to_patient_mm + BEHIND_MM, 1)
    magnified = (told.source_to_patient_mm + BEHIND_MM) / told.source_to_patient_mm
    ds.EstimatedRadiographicMagnificationFactor = round(magnified, 4)
    return ds
