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


def test_a_constant_16_bit_picture_is_no_film(tmp_path: Path) -> None:
    Image.fromarray(np.full((40, 40), 9, np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(UnreadableImage):
        image_files.read(tmp_path / "a.png")
