"""Blobs on a coarse grid, masks on the film's own."""

import time
from dataclasses import replace

import numpy as np
import pytest
from films import a_film, looked_at
from scipy import ndimage

from models.fakes import FakeEye, Planted
from models.masks import blobs, film
from models.report import technique
from models.report.findings import judge
from models.values import PixelBox
from models.vocabulary import AnatomicStructure, MaskName, Observation


def soft_discs(shape: tuple[int, int], *discs: tuple[float, float, float]) -> np.ndarray:
    """Soft discs given as (row, column, radius), 0.5 on the rim."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    soft = np.zeros(shape, np.float32)
    for row, column, radius in discs:
        distance = np.hypot(rows + 0.5 - row, columns + 0.5 - column)
        soft = np.maximum(soft, np.clip(0.5 + (radius - distance) / 20, 0, 1))
    return soft.astype(np.float32)


@pytest.mark.parametrize("shape", [(300, 260), (1100, 900), (2100, 1700)])
def test_a_blob_is_the_disc_that_was_drawn_at_any_film_size(shape: tuple[int, int]) -> None:
    radius = shape[0] / 10
    soft = soft_discs(shape, (shape[0] / 3, shape[1] / 2, radius))
    (blob,) = blobs.find(soft, least_area=10)
    canvas = film.paint(shape, [blob])
    assert np.array_equal(canvas, soft >= 0.5)
    assert blob.area == np.count_nonzero(soft >= 0.5)
    assert blob.box == blobs.tight_box(canvas)


def test_blobs_come_apart_largest_first_and_small_ones_drop_out() -> None:
    soft = soft_discs((1200, 1200), (300, 300, 60), (800, 800, 100), (300, 900, 12))
    found = blobs.find(soft, least_area=np.pi * 30**2)
    assert len(found) == 2
    assert found[0].box.centre == pytest.approx((800, 800), abs=1)
    assert found[1].box.centre == pytest.approx((300, 300), abs=1)


@pytest.mark.parametrize("shape", [(400, 400), (1600, 1600)])
def test_a_hole_is_filled(shape: tuple[int, int]) -> None:
    middle = shape[0] / 2
    soft = soft_discs(shape, (middle, middle, shape[0] / 4))
    soft[soft_discs(shape, (middle, middle, shape[0] / 10)) >= 0.5] = 0
    (blob,) = blobs.find(soft, least_area=10)
    whole = film.paint(shape, [blob])
    assert ndimage.binary_fill_holes(whole).sum() == whole.sum()
    assert whole[int(middle), int(middle)]


def test_shares_are_fractions_of_the_blob() -> None:
    soft = soft_discs((400, 400), (200, 200, 80))
    (blob,) = blobs.find(soft, least_area=10)
    assert blob.share_in(PixelBox(0, 0, 400, 400)) == 1
    assert blob.share_in(PixelBox(0, 0, 200, 400)) == pytest.approx(0.5, abs=0.01)
    assert blob.share_in(PixelBox(300, 300, 400, 400)) == 0


def test_an_empty_mask_has_no_blob_and_no_box() -> None:
    assert blobs.find(np.zeros((100, 100), np.float32), least_area=1) == ()
    assert blobs.tight_box(np.zeros((5, 5), np.bool_)) is None


def test_organs_are_drawn_and_a_second_heart_is_dropped() -> None:
    (sight,) = FakeEye().look((a_film(),))
    twice = dict(sight.masks)
    twice[MaskName.HEART] = np.maximum(twice[MaskName.HEART], soft_discs((300, 260), (40, 40, 25)))
    sight = type(sight)(sight.scope, sight.regions, sight.probabilities, twice)
    drawn = film.draw(sight, 200.0)
    assert set(drawn.organs) == {MaskName.RIGHT_LUNG, MaskName.LEFT_LUNG, MaskName.HEART}
    assert not drawn.organs[MaskName.HEART][40, 40]


def test_a_piece_of_lung_far_from_its_box_is_dropped() -> None:
    (sight,) = FakeEye().look((a_film(),))
    strayed = dict(sight.masks)
    strayed[MaskName.RIGHT_LUNG] = np.maximum(
        strayed[MaskName.RIGHT_LUNG], soft_discs((300, 260), (250, 220, 35))
    )
    sight = type(sight)(sight.scope, sight.regions, sight.probabilities, strayed)
    lung = film.draw(sight, 200.0).organs[MaskName.RIGHT_LUNG]
    assert not lung[250, 220]
    assert lung[120, 70]


@pytest.mark.parametrize("orientation", [("L", "F"), ("F", "L")], ids=["upright", "on its side"])
def test_an_organ_ends_above_and_below_with_its_box_but_not_at_its_sides(
    orientation: tuple[str, str],
) -> None:
    image = a_film(patient_orientation=orientation)
    (sight,) = FakeEye().look((image,))
    across = technique.across(image)
    box = next(r.box for r in sight.regions if r.structure is AnatomicStructure.CARDIAC_SILHOUETTE)
    x, y = (round(v) for v in box.centre)
    spilt = np.array(sight.masks[MaskName.HEART])
    spilt[y - 8 : y + 8] = spilt[:, x - 8 : x + 8] = 1  # a cross over the whole film
    sight = replace(sight, masks=dict(sight.masks) | {MaskName.HEART: spilt})
    heart = film.draw(sight, 200.0, across=across).organs[MaskName.HEART]
    found = blobs.tight_box(heart)
    assert found is not None
    along = (found.y_min, found.y_max) if across == 0 else (found.x_min, found.x_max)
    own = (box.y_min, box.y_max) if across == 0 else (box.x_min, box.x_max)
    assert along == pytest.approx(own, abs=1)
    assert (found.width if across == 0 else found.height) > 1.5 * (
        box.width if across == 0 else box.height
    )


def test_an_organ_that_is_not_seen_is_left_out() -> None:
    (sight,) = FakeEye().look((a_film(),))
    masks = dict(sight.masks) | {MaskName.HEART: np.zeros((300, 260), np.float32)}
    sight = type(sight)(sight.scope, sight.regions, sight.probabilities, masks)
    assert MaskName.HEART not in film.draw(sight, 200.0).organs


def test_the_mask_of_a_finding_fits_its_boxes() -> None:
    eye = FakeEye(
        planted=(
            Planted(Observation.LUNG_OPACITY, (0.3, 0.35), (0.05, 0.05)),
            Planted(Observation.LUNG_OPACITY, (0.3, 0.62), (0.05, 0.05)),
        )
    )
    seen = looked_at(eye)
    found, parts = judge(seen)
    masks = film.leaving(seen.drawn, found, parts, seen.image.pixels.shape)
    (opacity,) = [mask for mask in masks if mask.finding_id]
    boxes = next(f.boxes for f in found if f.finding_id == opacity.finding_id)
    inside = np.zeros_like(opacity.mask)
    for box in boxes:
        inside[int(box.y_min) : int(box.y_max), int(box.x_min) : int(box.x_max)] = True
    assert opacity.mask.any()
    assert not (opacity.mask & ~inside).any()
    assert opacity.mask.shape == seen.image.pixels.shape


def test_a_film_of_3000_pixels_is_drawn_within_a_second() -> None:
    (sight,) = FakeEye(planted=(Planted(Observation.MASS),)).look((a_film(3000, 3000),))
    started = time.process_time()
    film.draw(sight, 2000.0)
    assert time.process_time() - started < 1.0  # 0.06 s measured on a quiet core
