import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from film_builders import a_film
from pydicom import dcmread
from pydicom.data import get_testdata_file

from dicom import film, uids
from dicom.errors import EncodingFailed
from dicom.film import FilmDescription, FilmKind, FilmPatient

DCIODVFY = shutil.which("dciodvfy") or shutil.which(
    "dciodvfy", path=str(Path(sys.executable).parent)
)
DESCRIPTIONS = {
    "cr": {},
    "cr-monochrome1": {"photometric_interpretation": "MONOCHROME1", "bits_stored": 10},
    "cr-silent": {"view_position": "", "patient_orientation": None, "body_part_examined": ""},
    "cr-no-spacing": {"imager_pixel_spacing_mm": None},
    "cr-lateral": {"view_position": "LL", "patient_orientation": ("A", "F")},
    "cr-8": {"bits_stored": 8, "pixel_spacing_mm": (0.2, 0.2)},
    "dx": {"kind": FilmKind.DX},
    "dx-monochrome1": {
        "kind": FilmKind.DX,
        "photometric_interpretation": "MONOCHROME1",
        "bits_stored": 16,
        "view_position": "AP",
    },
    "names": {"patient": FilmPatient("1", "山田^太郎=やまだ^たろう", "19500612", "M", "075Y")},
}


@pytest.mark.skipif(DCIODVFY is None, reason="dicom3tools is not installed")
@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_a_made_film_is_legal(tmp_path: Path, name: str) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(film.encode(a_film(name, **DESCRIPTIONS[name])))
    done = subprocess.run(
        [str(DCIODVFY), "-new", str(path)], capture_output=True, text=True, check=False
    )
    lines = (done.stdout + done.stderr).splitlines()
    assert any(line.startswith(("CRImage", "DXImageForPresentation")) for line in lines)
    assert [line for line in lines if line.startswith("Error")] == []


def test_the_same_seed_makes_the_same_bytes_and_another_seed_other_uids() -> None:
    assert film.encode(a_film("a")) == film.encode(a_film("a"))
    one, other = a_film("a"), a_film("b")
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        assert uids.checked(one[keyword].value) != uids.checked(other[keyword].value)


def test_two_films_can_share_a_study() -> None:
    one, other = a_film("a", study="s"), a_film("b", study="s")
    assert one.StudyInstanceUID == other.StudyInstanceUID
    assert one.SOPInstanceUID != other.SOPInstanceUID


@pytest.mark.parametrize("array", [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.float32)])
def test_what_is_no_grid_makes_no_film(array: np.ndarray) -> None:
    with pytest.raises(EncodingFailed):
        film.from_pixels(array, FilmDescription("x"))


def test_a_dx_without_detector_spacing_is_not_made() -> None:
    with pytest.raises(EncodingFailed):
        a_film("x", kind=FilmKind.DX, imager_pixel_spacing_mm=None)


def test_a_fresh_copy_has_new_uids_the_same_pixels_and_the_overrides() -> None:
    path = Path(str(get_testdata_file("RG3_UNCR.dcm")))
    original = dcmread(path)
    copy = film.fresh_copy(path, seed="copy", overrides={**film.SILENT, "PatientID": "NEW"})
    assert copy.SOPInstanceUID == copy.file_meta.MediaStorageSOPInstanceUID
    assert copy.SOPInstanceUID != original.SOPInstanceUID
    assert copy.StudyInstanceUID != original.StudyInstanceUID
    assert copy.PixelData == original.PixelData
    assert copy.PatientID == "NEW"
    assert not set(film.SILENT) & {element.keyword for element in copy}
    assert len(film.encode(copy)) > len(copy.PixelData)
