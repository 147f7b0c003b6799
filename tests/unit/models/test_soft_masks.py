"""Soft masks that are drawn where somebody looks: every part is a part of the same picture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from models.geometry import TURNS, Letterbox, Turn
from models.masks.soft import SoftMask, SoftMasks
from models.vocabulary import MaskName

SIDE = 224
ONE_LEVEL = 1  # of 255: rounding, and nothing else
BOTH_PASSES = 2  # Pillow rounds once along each axis, and a part's steps begin elsewhere


def a_small_mask(seed: int = 1) -> np.ndarray:
    rough = np.random.default_rng(seed).random((12, 12)).astype(np.float32)
    enlarged = Image.fromarray(rough).resize((112, 112), Image.Resampling.BICUBIC)
    return np.asarray(enlarged).clip(0, 1)


def drawn_for(rows: int, columns: int, turn: Turn | None = None) -> SoftMask:
    masks = SoftMasks(
        a_small_mask()[None], (MaskName.HEART,), Letterbox(rows, columns, SIDE), turn or Turn()
    )
    return masks.drawn(MaskName.HEART)


@pytest.mark.parametrize("shape", [(700, 500), (500, 700), (64, 64), (3000, 320), (150, 300)])
def test_the_whole_is_the_networks_answer_enlarged_without_its_padding(
    shape: tuple[int, int],
) -> None:
    mask = drawn_for(*shape)
    whole = mask[:, :]
    assert mask.shape == whole.shape == shape
    longest = max(shape)
    square = Image.fromarray(np.rint(a_small_mask() * 255).astype(np.uint8)).resize(
        (longest, longest), Image.Resampling.BILINEAR
    )
    top, left = (longest - shape[0]) // 2, (longest - shape[1]) // 2
    there = np.asarray(square, int)[top : top + shape[0], left : left + shape[1]]
    assert np.abs(there - whole).max() <= ONE_LEVEL


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_part_is_that_part_of_the_whole(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(130, 900), st.integers(130, 900)))
    mask, parts = drawn_for(*shape), []
    for length in shape:
        start = data.draw(st.integers(0, length - 1))
        parts.append(slice(start, data.draw(st.integers(start, length))))
    there = mask[:, :][parts[0], parts[1]].astype(int)
    part = mask[parts[0], parts[1]]
    assert part.shape == there.shape
    assert np.abs(part - there).max(initial=0) <= BOTH_PASSES


@pytest.mark.parametrize("step", [2, 5, 13])
def test_single_pixels_are_those_of_the_whole(step: int) -> None:
    mask = drawn_for(731, 517)
    there = mask[:, :][::step, ::step].astype(int)
    assert np.abs(mask[::step, ::step] - there).max() <= ONE_LEVEL


@pytest.mark.parametrize("turn", TURNS.values())
def test_a_film_stored_otherwise_has_the_mask_turned_with_it(turn: Turn) -> None:
    usual = drawn_for(420, 300)[:, :].astype(int)
    stored = drawn_for(420, 300, turn)
    assert stored.shape == turn.undo(usual).shape
    assert np.abs(turn.apply(stored[:, :]) - usual).max() <= ONE_LEVEL


def test_by_name_they_are_chances_on_the_films_grid() -> None:
    names = (MaskName.HEART, MaskName.MASS)
    small = np.stack([a_small_mask(1), a_small_mask(2)])
    masks = SoftMasks(small, names, Letterbox(300, 200, SIDE), Turn())
    assert list(masks) == list(names)
    assert len(masks) == 2
    assert MaskName.PNEUMOTHORAX not in masks
    assert masks[MaskName.MASS].dtype == np.float32
    assert np.array_equal(np.rint(masks[MaskName.MASS] * 255), masks.drawn(MaskName.MASS)[:, :])
    assert np.array_equal(masks.coarse(MaskName.MASS), small[1])
