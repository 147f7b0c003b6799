import base64
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from film_builders import a_film
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    HTJ2K,
    DeflatedExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from dicom import film, pixels
from dicom.errors import PixelDataMismatch, UndecodableInstance, UnsupportedPixelData
from dicom.film import FilmDescription, FilmKind
from models.vocabulary import SpacingSource, ViewPosition

DCMCJPEG = shutil.which("dcmcjpeg")
RAMP = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (32, 1))  # dark left, bright right
OF_OPENJPH = base64.b64decode(
    "/0//UQApQAAAAABAAAAAIAAAAAAAAAAAAAAAQAAAACAAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAUE"
    "BEAB/1wAEyCIkJCQkJCQkJCQkJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAHEAAf+TwAAq"
    "AP9/29oBQjQAwAATAEj5AME0AMAAE4CiiPKCgnQAwAAVYFCgQIHy5gpyAnYAwAAWgCIiIiIiIiIi+fp6enGCeADA"
    "AC2wAAAAAAAAAAAAAAAAAAD+v8p6enp6enpxAn0A/9k="
)
"""A ramp 0..4095 of 64 columns and 32 rows, 16 bits, by OpenJPH: nothing here can encode HTJ2K."""
BRIGHT = RAMP.astype(np.float32) / 65535


def written(folder: Path, ds: Dataset) -> Path:
    path = folder / "x.dcm"
    path.write_bytes(film.encode(ds))
    return path


def read(folder: Path, ds: Dataset) -> NDArray[np.float32]:
    return pixels.read(written(folder, ds)).pixels


def a_ramp(**changes: object) -> Dataset:
    return film.from_pixels(RAMP, FilmDescription("ramp", **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 15, 16])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("kind", list(FilmKind))
def test_a_film_looks_the_same_in_every_encoding(
    tmp_path: Path, bits: int, photometric: str, kind: FilmKind
) -> None:
    ds = a_ramp(bits_stored=bits, photometric_interpretation=photometric, kind=kind)
    found = read(tmp_path, ds)
    assert found.dtype == np.float32
    assert found.shape == RAMP.shape
    np.testing.assert_allclose(found, BRIGHT, atol=1.01 / (1 << bits))


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_lossless_compression_changes_nothing(tmp_path: Path, syntax: str, bits: int) -> None:
    expected = read(tmp_path, a_film("x", bits_stored=bits))
    ds = a_film("x", bits_stored=bits)
    ds.compress(syntax, generate_instance_uid=False)
    np.testing.assert_array_equal(read(tmp_path, ds), expected)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_uncompressed_encodings_change_nothing(tmp_path: Path, syntax: str) -> None:
    expected = read(tmp_path, a_film("x"))
    ds = a_film("x")
    ds.file_meta.TransferSyntaxUID = syntax
    np.testing.assert_array_equal(read(tmp_path, ds), expected)


@pytest.mark.skipif(DCMCJPEG is None, reason="dcmtk is not installed")
@pytest.mark.parametrize(
    ("options", "bits", "tolerance"),
    [
        (["+e1"], 12, 0.0),  # lossless, first-order prediction
        (["+el"], 12, 0.0),  # lossless, process 14
        (["+el"], 16, 0.0),
        (["+eb", "+q", "98"], 8, 0.05),  # baseline
        (["+ee", "+q", "98"], 8, 0.05),  # extended, 8 bits
    ],
)
def test_jpeg_of_dcmtk_is_decoded(
    tmp_path: Path, options: list[str], bits: int, tolerance: float
) -> None:
    plain, compressed = tmp_path / "plain.dcm", tmp_path / "jpeg.dcm"
    plain.write_bytes(film.encode(a_ramp(bits_stored=bits)))
    subprocess.run([str(DCMCJPEG), *options, "+ua", str(plain), str(compressed)], check=True)
    np.testing.assert_allclose(
        pixels.read(compressed).pixels, pixels.read(plain).pixels, atol=tolerance
    )


@pytest.mark.skipif(DCMCJPEG is None, reason="dcmtk is not installed")
def test_jpeg_of_twelve_bits_lossy_is_refused_with_a_reason(tmp_path: Path) -> None:
    plain, compressed = tmp_path / "plain.dcm", tmp_path / "jpeg.dcm"
    plain.write_bytes(film.encode(a_ramp(bits_stored=12)))
    subprocess.run([str(DCMCJPEG), "+ee", "+ua", str(plain), str(compressed)], check=True)
    with pytest.raises(UnsupportedPixelData):
        pixels.read(compressed)


@pytest.mark.parametrize(
    "syntax", [HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K], ids=["lossless", "rpcl", "lossy"]
)
def test_high_throughput_jpeg_2000_is_decoded(tmp_path: Path, syntax: str) -> None:
    ds = a_ramp(bits_stored=16)
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate([OF_OPENJPH])
    ds["PixelData"].VR = "OB"
    found = pixels.stored_values(written(tmp_path, ds))
    np.testing.assert_array_equal(found[5], np.linspace(0, 4095, 64).astype(int))


def test_the_real_chest_is_bright_where_it_is_dense() -> None:
    chest = pixels.read_with_remarks(Path(str(get_testdata_file("RG1_UNCR.dcm"))))
    found = chest.image.pixels
    assert found.shape == (1955, 1841)
    spine, lung = found[900:1100, 900:940].mean(), found[500:600, 500:600].mean()
    assert spine > lung + 0.1
    assert chest.remarks == ()
    assert chest.image.view_position is ViewPosition.PA
    assert chest.image.pixel_spacing_mm is None  # it says 0.000\0.000


def test_the_compressed_real_chest_is_the_same_as_the_plain_one() -> None:
    plain, compressed = (Path(str(get_testdata_file(f"RG1_{n}.dcm"))) for n in ("UNCR", "J2KR"))
    np.testing.assert_array_equal(pixels.read(plain).pixels, pixels.read(compressed).pixels)


# --- spacing and orientation -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("pixel", "imager", "expected"),
    [
        (None, None, (None, None)),
        ([0.2, 0.3], None, ((0.2, 0.3), SpacingSource.PIXEL_SPACING)),
        (None, [0.1, 0.1], ((0.1, 0.1), SpacingSource.IMAGER_PIXEL_SPACING)),
        ([0.12, 0.12], [0.14, 0.14], ((0.12, 0.12), SpacingSource.PIXEL_SPACING)),
        ([0.14, 0.14], [0.14, 0.14], ((0.14, 0.14), SpacingSource.IMAGER_PIXEL_SPACING)),
        ([0.0, 0.0], None, (None, None)),
        ([0.0, 0.0], [0.14, 0.14], ((0.14, 0.14), SpacingSource.IMAGER_PIXEL_SPACING)),
        ([-0.2, 0.2], None, (None, None)),
        ([0.2], None, (None, None)),
        ([1000.0, 1000.0], None, (None, None)),
    ],
)
def test_spacing_is_known_with_its_plane_or_unknown(
    tmp_path: Path, pixel: object, imager: object, expected: object
) -> None:
    ds = a_ramp(imager_pixel_spacing_mm=None)
    if pixel is not None:
        ds.PixelSpacing = pixel
    if imager is not None:
        ds.ImagerPixelSpacing = imager
    image = pixels.read(written(tmp_path, ds))
    assert (image.pixel_spacing_mm, image.spacing_source) == expected


def test_orientation_view_and_identity_are_passed_on(tmp_path: Path) -> None:
    ds = a_ramp(patient_orientation=("R", "F"), view_position="AP")
    image = pixels.read(written(tmp_path, ds))
    assert image.patient_orientation == ("R", "F")
    assert image.view_position is ViewPosition.AP
    assert image.image_id == ds.SOPInstanceUID


# --- what must not be read -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"Rows": 0}, UnsupportedPixelData),
        ({"Rows": 60000, "Columns": 60000}, UnsupportedPixelData),
        ({"Rows": 12000, "Columns": 12000}, UnsupportedPixelData),
        ({"Rows": 33}, PixelDataMismatch),
        ({"Columns": 48}, PixelDataMismatch),
        ({"Rows": 31, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}, PixelDataMismatch),
        ({"SamplesPerPixel": 3}, UnsupportedPixelData),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, UnsupportedPixelData),
        ({"NumberOfFrames": 2}, UnsupportedPixelData),
        ({"BitsAllocated": 32}, UnsupportedPixelData),
        ({"BitsStored": 17}, UnsupportedPixelData),
        ({"HighBit": 3}, UnsupportedPixelData),
        ({"BitsStored": 0, "HighBit": 0}, UnsupportedPixelData),
        ({"PixelData": b""}, UnsupportedPixelData),
        ({"PixelData": b"\1\2" * 100}, PixelDataMismatch),
    ],
)
def test_a_description_that_is_no_film_is_refused(
    tmp_path: Path, changes: dict[str, object], error: type[Exception]
) -> None:
    ds = a_ramp()
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    with pytest.raises(error):
        pixels.read(written(tmp_path, ds))


@pytest.mark.parametrize("keyword", ["Rows", "BitsStored", "PixelData", "SamplesPerPixel"])
def test_a_missing_description_is_refused(tmp_path: Path, keyword: str) -> None:
    ds = a_ramp()
    delattr(ds, keyword)
    with pytest.raises(UnsupportedPixelData):
        pixels.read(written(tmp_path, ds))


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_a_broken_stream_is_refused(tmp_path: Path, syntax: str) -> None:
    ds = a_film("x")
    ds.compress(syntax, generate_instance_uid=False)
    whole = ds.PixelData
    for broken in (b"\xff" * 64, whole[16 : len(whole) // 2], whole[16:60] + bytes(200)):
        ds.PixelData = encapsulate([broken])
        with pytest.raises(UnsupportedPixelData):
            pixels.read(written(tmp_path, ds))


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless])
def test_a_stream_that_claims_more_than_the_header_is_not_decoded(
    tmp_path: Path, syntax: str
) -> None:
    ds = a_film("x", rows=64, columns=64)
    ds.compress(syntax, generate_instance_uid=False)
    ds.Rows = ds.Columns = 32
    with pytest.raises(PixelDataMismatch, match="size"):
        pixels.read(written(tmp_path, ds))


def test_a_bomb_in_a_jpeg_2000_stream_is_not_decoded(tmp_path: Path) -> None:
    ds = a_film("x")
    ds.compress(JPEG2000Lossless, generate_instance_uid=False)
    content = film.encode(ds)
    at = content.index(b"\xff\x4f\xff\x51") + 8
    bomb = content[:at] + struct.pack(">LL", 60000, 60000) + content[at + 8 :]
    path = tmp_path / "bomb.dcm"
    path.write_bytes(bomb)
    with pytest.raises(PixelDataMismatch, match="size"):
        pixels.read(path)


def test_what_is_no_data_set_is_not_a_film(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"not DICOM" * 100)
    with pytest.raises(UndecodableInstance):
        pixels.read(path)


@settings(max_examples=60, deadline=None)
@given(
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8),
    syntax=st.sampled_from([None, RLELossless, JPEGLSLossless, JPEG2000Lossless]),
)
def test_changed_bytes_give_a_film_or_a_reason(
    tmp_path_factory: pytest.TempPathFactory,
    changes: list[tuple[float, int]],
    syntax: str | None,
) -> None:
    content = bytearray(ENCODED[syntax])
    for at, value in changes:
        content[int(at * (len(content) - 1))] = value
    path = tmp_path_factory.mktemp("fuzz") / "x.dcm"
    path.write_bytes(content)
    try:
        found = pixels.read(path).pixels
    except (UndecodableInstance, UnsupportedPixelData):
        return
    assert np.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= 1
    assert found.max() > found.min()


def encoded(syntax: str | None) -> bytes:
    ds = a_film("x", rows=48, columns=40)
    if syntax is not None:
        ds.compress(syntax, generate_instance_uid=False)
    return film.encode(ds)


ENCODED = {
    syntax: encoded(syntax) for syntax in (None, RLELossless, JPEGLSLossless, JPEG2000Lossless)
}
