from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dicom import film
from dicom.film import FilmDescription
from models.errors import UnreadableImage
from workers import image_files

RAMP = np.linspace(0, 255, 64 * 48).reshape(64, 48).astype(np.uint8)


def test_an_8_bit_picture_keeps_its_grey_levels(tmp_path: Path) -> None:
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    image = image_files.read(tmp_path / "a.png")
    np.testing.assert_allclose(image.pixels, RAMP / 255.0, atol=1e-6)
    assert image.pixels.dtype == np.float32


def test_a_16_bit_picture_is_stretched_to_what_is_used_of_it(tmp_path: Path) -> None:
    Image.fromarray(RAMP.astype(np.uint16) * 8 + 100).save(tmp_path / "a.png")
    image = image_files.read(tmp_path / "a.png")
    assert (float(image.pixels.min()), float(image.pixels.max())) == (0.0, 1.0)


def test_a_colour_picture_is_read_as_grey(tmp_path: Path) -> None:
    Image.fromarray(np.stack([RAMP] * 3, axis=-1)).save(tmp_path / "a.jpg", quality=95)
    assert image_files.read(tmp_path / "a.jpg").pixels.shape == (64, 48)


def test_a_dicom_file_is_told_by_its_bytes_not_its_name(tmp_path: Path) -> None:
    ds = film.from_pixels(RAMP, FilmDescription(seed="x"))
    (tmp_path / "a.png").write_bytes(film.encode(ds))
    assert image_files.read(tmp_path / "a.png").image_id == ds.SOPInstanceUID


@pytest.mark.parametrize("content", [b"", b"garbage" * 99, b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_anything_else_is_named_as_unreadable(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UnreadableImage):
        image_files.read(tmp_path / "a.png")


def test_a_picture_cut_short_is_named_as_unreadable(tmp_path: Path) -> None:
    Image.fromarray(RAMP).save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:300])
    with pytest.raises(UnreadableImage):
        image_files.read(tmp_path / "a.jpg")


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_constant_picture_is_no_film(tmp_path: Path, kind: type[np.generic]) -> None:
    Image.fromarray(np.full((40, 40), 9, kind)).save(tmp_path / "a.png")
    with pytest.raises(UnreadableImage, match="constant"):
        image_files.read(tmp_path / "a.png")


def test_the_orientation_of_a_picture_is_not_known(tmp_path: Path) -> None:
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    assert image_files.read(tmp_path / "a.png").patient_orientation is None


@pytest.mark.parametrize("mode", ["P", "LA", "RGBA", "CMYK", "RGB"])
def test_every_kind_of_picture_becomes_grey_levels(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    Image.fromarray(RAMP).convert(mode).save(path)
    grey = image_files.read(path).pixels
    assert grey.shape == (64, 48)
    assert grey.dtype == np.float32
    assert np.corrcoef(grey.ravel(), RAMP.ravel())[0, 1] > 0.99


def test_what_is_transparent_keeps_its_grey_level(tmp_path: Path) -> None:
    picture = Image.merge("LA", (Image.fromarray(RAMP), Image.new("L", (48, 64), 0)))
    picture.save(tmp_path / "a.png")
    np.testing.assert_allclose(image_files.read(tmp_path / "a.png").pixels, RAMP / 255.0, atol=1e-6)


def test_a_picture_with_values_that_are_no_numbers_is_refused(tmp_path: Path) -> None:
    levels = RAMP.astype(np.float32)
    levels[5, 5] = np.nan
    Image.fromarray(levels).save(tmp_path / "a.tif")
    with pytest.raises(UnreadableImage, match="not finite"):
        image_files.read(tmp_path / "a.tif")


@pytest.mark.parametrize("size", [(20_000, 20_000), (10_001, 10_000)])
def test_a_picture_too_large_for_a_film_is_refused_before_it_is_unpacked(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    Image.new("1", size).save(tmp_path / "a.png")
    with pytest.raises(UnreadableImage, match=r"too large|DecompressionBomb"):
        image_files.read(tmp_path / "a.png")
