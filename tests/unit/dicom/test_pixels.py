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
    DeflatedExplicitVRLittleEndian,
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
BRIGHT = RAMP.astype(np.float32) / 65535


def written(folder: Path, ds: Dataset) -> Path:
    path = folder / "x.dcm"
    path.write_bytes(film.encode(ds))
    return path


def read(folder: Path, ds: Dataset) -> NDArray[np.float32]:
    return pixels.read(written(folder, ds)).pixels


def a_ramp(**changes: object) -> Dataset:
    return film.from_pixels(RAMP, FilmDescription("ramp", **changes))  # type: ignore[arg-type]


def raw(ds: Dataset, values: NDArray[np.integer], **attributes: object) -> Dataset:
    """Put stored values into a data set, with any description."""
    ds.Rows, ds.Columns = values.shape
    ds.PixelData = values.tobytes() + b"\0" * (values.nbytes % 2)
    for keyword, value in attributes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


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


def test_high_throughput_jpeg_2000_is_decoded_where_an_example_is_at_hand(tmp_path: Path) -> None:
    name = get_testdata_file("HTJ2KLossless_08_RGB.dcm", download=False)
    if name is None:
        pytest.skip("pydicom-data has no HTJ2K file")
    with pytest.raises(UnsupportedPixelData, match="grey"):
        pixels.read(Path(str(name)))


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


# --- modality and values of interest ---------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    bits=st.integers(8, 16),
    spare=st.integers(0, 4),
    signed=st.booleans(),
    inverted=st.booleans(),
    slope=st.sampled_from([1.0, 0.5, 3.0, -1.0]),
    intercept=st.sampled_from([0.0, -1024.0, 77.0]),
    seed=st.integers(0, 5),
)
def test_a_window_over_everything_is_a_straight_line(
    tmp_path_factory: pytest.TempPathFactory,
    *,
    bits: int,
    spare: int,
    signed: bool,
    inverted: bool,
    slope: float,
    intercept: float,
    seed: int,
) -> None:
    high = min(bits - 1 + spare, 15)
    low_end, high_end = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    values = np.random.default_rng(seed).integers(low_end, high_end, (16, 24), endpoint=True)
    cells = (values & ((1 << bits) - 1)) << (high + 1 - bits)
    ends = sorted((low_end * slope + intercept, high_end * slope + intercept))
    ds = raw(
        a_film("x"),
        cells.astype("<u2"),
        BitsStored=bits,
        HighBit=high,
        PixelRepresentation=int(signed),
        RescaleSlope=slope,
        RescaleIntercept=intercept,
        PhotometricInterpretation="MONOCHROME1" if inverted else "MONOCHROME2",
        VOILUTFunction="LINEAR_EXACT",
        WindowCenter=(ends[0] + ends[1]) / 2,
        WindowWidth=ends[1] - ends[0],
    )
    expected = (values * slope + intercept - ends[0]) / (ends[1] - ends[0])
    found = read(tmp_path_factory.mktemp("window"), ds)
    np.testing.assert_allclose(found, 1 - expected if inverted else expected, atol=1e-4)


def test_the_first_of_several_windows_is_used(tmp_path: Path) -> None:
    one, two = a_ramp(), a_ramp()
    two.WindowCenter, two.WindowWidth = [one.WindowCenter, 10], [one.WindowWidth, 20]
    np.testing.assert_array_equal(read(tmp_path, one), read(tmp_path, two))


def test_a_sigmoid_is_monotonous_and_half_at_its_centre(tmp_path: Path) -> None:
    ds = a_ramp()
    ds.VOILUTFunction, ds.WindowCenter, ds.WindowWidth = "SIGMOID", 2048, 1000
    row = read(tmp_path, ds)[0]
    assert (np.diff(row) >= 0).all()
    assert row[0] < 0.01
    assert row[-1] > 0.99
    assert abs(float(np.interp(0.5, row, np.arange(64))) - 31.5) < 0.6


def a_lut(values: list[int], first: int = 0, bits: int = 16) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(values) % 65536, first, bits])
    item.add_new("LUTData", "US", values)
    return item


def test_a_voi_lut_is_looked_up_and_outweighs_the_window(tmp_path: Path) -> None:
    ds = a_ramp(bits_stored=8)
    ds.VOILUTSequence = [a_lut([value * 257 for value in range(255, -1, -1)])]
    np.testing.assert_allclose(read(tmp_path, ds), 1 - BRIGHT, atol=0.005)


def test_a_modality_lut_comes_before_the_window(tmp_path: Path) -> None:
    ds = a_ramp(bits_stored=8)
    ds.ModalityLUTSequence = [a_lut([value * 16 for value in range(256)], bits=12)]
    ds.WindowCenter, ds.WindowWidth = 2048, 4096
    np.testing.assert_allclose(read(tmp_path, ds), BRIGHT, atol=0.01)


@pytest.mark.parametrize(
    ("centre", "width"), [(-50000, 100), (10_000_000, 5), (0, 1), (1e30, 1), (100, -5), (100, 0)]
)
def test_a_window_that_shows_nothing_does_not_blind(
    tmp_path: Path, centre: float, width: float
) -> None:
    ds = a_ramp()
    ds.WindowCenter, ds.WindowWidth = centre, width
    found = pixels.read_with_remarks(written(tmp_path, ds))
    assert len(found.remarks) == 1
    np.testing.assert_allclose(found.image.pixels, BRIGHT, atol=0.03)


def test_without_a_window_the_film_s_own_range_is_used(tmp_path: Path) -> None:
    ds = a_ramp()
    del ds.WindowCenter, ds.WindowWidth
    found = pixels.read_with_remarks(written(tmp_path, ds))
    assert found.remarks == ("no window in the header",)
    np.testing.assert_allclose(found.image.pixels, BRIGHT, atol=0.03)


def test_a_uniform_border_does_not_set_the_levels(tmp_path: Path) -> None:
    values = np.full((60, 80), 4095, dtype="<u2")
    values[20:40, 20:60] = np.linspace(500, 900, 40)
    ds = raw(a_film("x"), values, WindowCenter=None, WindowWidth=None)
    inside = read(tmp_path, ds)[20:40, 20:60]
    assert inside.max() - inside.min() > 0.9


@pytest.mark.parametrize("window", [True, False])
def test_a_film_of_one_value_is_refused(tmp_path: Path, *, window: bool) -> None:
    ds = raw(a_film("x"), np.full((32, 32), 77, dtype="<u2"))
    if not window:
        del ds.WindowCenter, ds.WindowWidth
    with pytest.raises(UnsupportedPixelData, match="same value"):
        pixels.read(written(tmp_path, ds))


# --- what is no film inside the film ---------------------------------------------------------


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_moves_nothing(tmp_path: Path, photometric: str) -> None:
    ds = a_ramp(photometric_interpretation=photometric)
    plain = read(tmp_path, ds)
    cells = np.frombuffer(ds.PixelData, "<u2").reshape(RAMP.shape).copy()
    cells[:, :8] = 65535  # above the stored bits, as some detectors mark it
    padded = read(tmp_path, raw(ds, cells, PixelPaddingValue=65535))
    assert (padded[:, :8] == 0).all()
    np.testing.assert_array_equal(padded[:, 8:], plain[:, 8:])


def test_a_padding_range_is_black(tmp_path: Path) -> None:
    ds = a_ramp(bits_stored=8)
    ds.PixelPaddingValue, ds.PixelPaddingRangeLimit = 250, 255
    found = read(tmp_path, ds)
    assert (found[BRIGHT > 250.5 / 255] == 0).all()
    assert (found[(BRIGHT > 0.1) & (BRIGHT < 0.9)] > 0).all()


def test_a_shutter_hides_without_cropping(tmp_path: Path) -> None:
    ds = a_ramp()
    plain = read(tmp_path, ds)
    ds.ShutterShape = "RECTANGULAR"
    ds.ShutterUpperHorizontalEdge, ds.ShutterLowerHorizontalEdge = 5, 20
    ds.ShutterLeftVerticalEdge, ds.ShutterRightVerticalEdge = 11, 60
    found = read(tmp_path, ds)
    assert found.shape == plain.shape
    np.testing.assert_array_equal(found[4:20, 10:60], plain[4:20, 10:60])
    assert found.sum() == pytest.approx(plain[4:20, 10:60].sum())


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
