import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from film_builders import a_film
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames

from dicom import apart, film, pixels
from dicom.errors import UnsupportedPixelData

LOSSLESS = "1.2.840.10008.1.2.4.70"
DCMCJPEG = shutil.which("dcmcjpeg")
pytestmark = pytest.mark.skipif(DCMCJPEG is None, reason="dcmtk is not installed")


@pytest.fixture
def compressed(tmp_path: Path) -> Dataset:
    plain, packed = tmp_path / "plain.dcm", tmp_path / "packed.dcm"
    plain.write_bytes(film.encode(a_film("apart")))
    subprocess.run([str(DCMCJPEG), "+e1", "+ua", str(plain), str(packed)], check=True)
    return dcmread(packed)


def test_a_frame_comes_back_as_it_was(compressed: Dataset) -> None:
    found = apart.decode(compressed, LOSSLESS)
    expected = np.frombuffer(a_film("apart").PixelData, "<u2").reshape(found.shape)
    np.testing.assert_array_equal(found, expected)


def test_a_decoder_that_ends_is_a_reason_not_an_end(
    compressed: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dying = tmp_path / "dying"
    dying.write_text("#!/bin/sh\nkill -ABRT $$\n")
    dying.chmod(0o755)
    monkeypatch.setattr(apart.sys, "executable", str(dying))
    with pytest.raises(UnsupportedPixelData):
        apart.decode(compressed, LOSSLESS)


def test_a_decoder_that_says_nonsense_is_not_believed(
    compressed: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    babbling = tmp_path / "babbling"
    babbling.write_text("#!/bin/sh\necho nonsense\n")
    babbling.chmod(0o755)
    monkeypatch.setattr(apart.sys, "executable", str(babbling))
    with pytest.raises(UnsupportedPixelData):
        apart.decode(compressed, LOSSLESS)


def test_a_broken_lossless_jpeg_is_refused(compressed: Dataset, tmp_path: Path) -> None:
    (frame,) = generate_frames(compressed.PixelData, number_of_frames=1)
    compressed.PixelData = encapsulate([frame[: len(frame) // 8]])
    path = tmp_path / "broken.dcm"
    path.write_bytes(film.encode(compressed))
    with pytest.raises(UnsupportedPixelData):
        pixels.read(path)
