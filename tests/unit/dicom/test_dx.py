from pathlib import Path

import numpy as np
import pytest
import validators
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from dicom import dx, film
from dicom.dx import SimulatedFilm
from dicom.errors import EncodingFailed

PIXELS = (np.arange(48 * 40, dtype=np.uint16) * 34).reshape(48, 40)


def _told(view: str = "PA", photometric: str = "MONOCHROME2") -> SimulatedFilm:
    return SimulatedFilm(f"a/{view}/{photometric}", view, 0.31, 1700.0, photometric)


@pytest.mark.parametrize("view", dx.VIEWS)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_simulated_film_is_a_legal_dx(tmp_path: Path, view: str, photometric: str) -> None:
    part10 = film.encode(dx.build(PIXELS, _told(view, photometric)))
    assert validators.errors(part10, tmp_path) == []
    ds = dcmread(DicomBytesIO(part10))
    assert ds.SOPClassUID.name == "Digital X-Ray Image Storage - For Presentation"
    assert (ds.ViewPosition, ds.PhotometricInterpretation) == (view, photometric)
    assert tuple(ds.PatientOrientation) == dx.VIEWS[view]


def test_both_photometrics_look_the_same() -> None:
    one, two = (dx.build(PIXELS, _told(photometric=p)) for p in ("MONOCHROME1", "MONOCHROME2"))
    dark, bright = (np.frombuffer(ds.PixelData, "<u2") for ds in (one, two))
    assert (dark + bright == 4095).all()
    assert bright.reshape(48, 40)[47, 39] > bright.reshape(48, 40)[0, 0]


def test_the_header_says_that_nobody_was_exposed() -> None:
    ds = dx.build(PIXELS, _told())
    assert "not a patient" in ds.ImageComments
    assert str(ds.PatientName).startswith("Simulated")
    assert ds.BurnedInAnnotation == "YES"


def test_the_geometry_is_that_of_the_detector() -> None:
    ds = dx.build(PIXELS, _told())
    assert [float(v) for v in ds.ImagerPixelSpacing] == [0.31, 0.31]
    assert float(ds.DistanceSourceToDetector) == 1900.0
    magnified = float(ds.EstimatedRadiographicMagnificationFactor)
    assert magnified == pytest.approx(1900.0 / 1700.0, abs=1e-3)
    assert "PixelSpacing" not in ds  # not calibrated to the patient


def test_one_name_makes_one_instance_and_an_unknown_view_none() -> None:
    assert film.encode(dx.build(PIXELS, _told())) == film.encode(dx.build(PIXELS, _told()))
    with pytest.raises(EncodingFailed):
        dx.build(PIXELS, _told("oblique"))
