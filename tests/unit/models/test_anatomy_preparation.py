"""What a film goes through before the network, and that its mirror image goes through the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from models.anatomy.preparation import equalise, plain, shrink, to_square
from models.geometry import Letterbox

SIDE = 224


def a_film(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    """Smooth shades, as a film has them, with a little grain."""
    rng = np.random.default_rng(seed)
    size = (max(columns // 8, 2), max(rows // 8, 2))
    coarse = Image.fromarray(rng.random(size[::-1], np.float32))
    smooth = np.asarray(coarse.resize((columns, rows), Image.Resampling.BICUBIC))
    return (smooth + 0.02 * rng.random((rows, columns), np.float32)).astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(32, 1500), columns=st.integers(32, 1500), seed=st.integers(0, 99))
def test_a_film_and_its_mirror_image_become_mirror_images(
    rows: int, columns: int, seed: int
) -> None:
    film = a_film(rows, columns, seed)
    square = to_square(film, SIDE)
    turned = to_square(np.ascontiguousarray(film[:, ::-1]), SIDE)
    assert square.shape == (SIDE, SIDE)
    assert np.abs(square - turned[:, ::-1]).max() < 0.01


@pytest.mark.parametrize("shape", [(300, 211), (1003, 777), (2500, 2001), (640, 640)])
def test_the_film_lies_in_the_square_where_the_letterbox_says(shape: tuple[int, int]) -> None:
    rows, columns = shape
    film = np.zeros(shape, np.float32)
    middle = (slice(rows // 4, 3 * rows // 4), slice(columns // 4, 3 * columns // 4))
    film[middle] = 1.0
    square = to_square(film, SIDE, plain)
    frame = Letterbox(rows, columns, SIDE)
    weights = square / square.sum()
    x = float((weights.sum(0) * (np.arange(SIDE) + 0.5)).sum())
    y = float((weights.sum(1) * (np.arange(SIDE) + 0.5)).sum())
    centre_x = (columns // 4 + 3 * columns // 4) / 2 * frame.scale + frame.offset[0]
    centre_y = (rows // 4 + 3 * rows // 4) / 2 * frame.scale + frame.offset[1]
    assert (x, y) == pytest.approx((centre_x, centre_y), abs=0.05)
    area = (3 * rows // 4 - rows // 4) * (3 * columns // 4 - columns // 4) * frame.scale**2
    assert float(square.sum()) == pytest.approx(area, rel=0.005)


def test_the_longer_side_is_as_asked() -> None:
    assert shrink(a_film(900, 700), 288).shape == (288, 224)
    assert shrink(a_film(40, 3000), 224).shape == (3, 224)


def test_a_very_narrow_film_is_still_a_square() -> None:
    square = to_square(a_film(3000, 33), SIDE)
    assert np.flatnonzero(square.any(0)).tolist() == [111, 112]


def test_intensities_are_stretched_or_left_as_they_are() -> None:
    film = np.linspace(0.2, 0.6, 10_000, dtype=np.float32).reshape(100, 100)
    stretched = equalise(film)
    assert (float(stretched.min()), float(stretched.max())) == (0.0, 1.0)
    assert np.array_equal(plain(film), film)
