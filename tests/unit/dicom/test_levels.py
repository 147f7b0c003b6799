from pathlib import Path

import numpy as np
import pytest
from film_builders import a_film
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom import film, pixels
from dicom.errors import UnsupportedPixelData
from dicom.film import FilmDescription

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
