from pathlib import Path

import pytest
from film_builders import a_film
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from dicom import film, resend
from dicom.errors import UndecodableInstance
from dicom.values import Resend


def written(folder: Path, name: str, ds: Dataset) -> Path:
    path = folder / name
    path.write_bytes(film.encode(ds))
    return path


def test_the_same_bytes_are_identical_whatever_group_2_says(tmp_path: Path) -> None:
    old = written(tmp_path, "old", a_film("x"))
    other_meta = a_film("x")
    other_meta.file_meta.SourceApplicationEntityTitle = "ELSEWHERE"
    assert resend.classify(old, written(tmp_path, "new", other_meta)) is Resend.IDENTICAL


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_a_lossless_copy_is_reencoded(tmp_path: Path, syntax: str) -> None:
    old = written(tmp_path, "old", a_film("x"))
    compressed = a_film("x")
    compressed.compress(syntax, generate_instance_uid=False)
    new = written(tmp_path, "new", compressed)
    assert resend.classify(old, new) is Resend.REENCODED
    assert resend.header_changes(old, new) == ()


def test_another_vr_encoding_is_reencoded_private_attributes_included(tmp_path: Path) -> None:
    explicit, implicit = a_film("x"), a_film("x")
    for ds in (explicit, implicit):
        ds.private_block(0x0011, "CARINA TEST", create=True).add_new(1, "LO", "a word")
    implicit.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    old, new = written(tmp_path, "old", explicit), written(tmp_path, "new", implicit)
    assert resend.classify(old, new) is Resend.REENCODED


def test_another_name_is_a_correction_and_only_the_attribute_is_told(tmp_path: Path) -> None:
    old = written(tmp_path, "old", a_film("x"))
    corrected = a_film("x")
    corrected.PatientName = "Corrected^Name"
    corrected.PatientOrientation = ["R", "F"]
    new = written(tmp_path, "new", corrected)
    assert resend.classify(old, new) is Resend.CORRECTED
    assert resend.header_changes(old, new) == ("PatientName", "PatientOrientation")


def test_a_change_inside_a_sequence_is_a_correction(tmp_path: Path) -> None:
    first, second = a_film("x", kind=film.FilmKind.DX), a_film("x", kind=film.FilmKind.DX)
    second.AnatomicRegionSequence[0].CodeMeaning = "Thorax"
    old, new = written(tmp_path, "old", first), written(tmp_path, "new", second)
    assert resend.header_changes(old, new) == ("AnatomicRegionSequence",)


def test_one_changed_pixel_makes_pixels_differ(tmp_path: Path) -> None:
    old = written(tmp_path, "old", a_film("x"))
    changed = a_film("x")
    changed.PixelData = bytes([changed.PixelData[0] ^ 1]) + changed.PixelData[1:]
    assert resend.classify(old, written(tmp_path, "new", changed)) is Resend.PIXELS_DIFFER


def test_documents_without_pixels_are_compared_by_their_header(tmp_path: Path) -> None:
    old_ds, new_ds = a_film("x"), a_film("x")
    del old_ds.PixelData, new_ds.PixelData
    new_ds.StudyDescription = "another"
    old, new = written(tmp_path, "old", old_ds), written(tmp_path, "new", new_ds)
    assert resend.classify(old, new) is Resend.CORRECTED


def test_what_is_no_data_set_is_said_to_be_none(tmp_path: Path) -> None:
    old = written(tmp_path, "old", a_film("x"))
    junk = tmp_path / "junk"
    junk.write_bytes(b"x" * 500)
    with pytest.raises(UndecodableInstance):
        resend.classify(old, junk)
