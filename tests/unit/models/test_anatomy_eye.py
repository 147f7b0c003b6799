import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

pytest.importorskip("onnxruntime")

from models import bundles
from models.anatomy.eye import OnnxEye, check
from models.errors import UnreadableImage, WeightsMismatch
from models.fakes import FakeEye
from models.geometry import PIXELS_MAX, TURNS, overlap
from models.values import ChestImage, PixelBox, Sight
from models.vocabulary import AnatomicStructure, MaskName, Observation, ViewPosition

EXAMPLES = Path(bundles.__file__).parent / "examples"
TRUTH = json.loads((EXAMPLES / "truth.json").read_text())


@pytest.fixture(scope="module")
def eye() -> OnnxEye:
    return OnnxEye(bundles.find(), intra_op_num_threads=1)


def example(name: str) -> ChestImage:
    scale = 2 ** TRUTH[name]["bits"] - 1
    pixels = np.asarray(Image.open(EXAMPLES / name), np.float32) / np.float32(scale)
    return ChestImage(name, pixels)


def film(pixels: object) -> ChestImage:
    return ChestImage("x", pixels)  # type: ignore[arg-type]


NAN = np.full((64, 64), 0.5, np.float32)
NAN[3, 3] = np.nan
INFINITE = NAN.copy()
INFINITE[3, 3] = np.inf


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (NAN, "finite"),
        (INFINITE, "finite"),
        (np.zeros((64, 64), np.float32), "same"),
        (np.zeros((1, 1), np.float32), "too few"),
        (np.zeros((64, 64, 3), np.float32), "rows and columns"),
        (np.zeros((64, 64), np.uint8), "expected float32"),
        ([[0.0, 1.0]], "rows and columns"),
    ],
)
def test_what_is_not_a_film_is_refused_in_words(pixels: object, words: str) -> None:
    with pytest.raises(UnreadableImage, match=words):
        check(film(pixels))


def test_one_bad_film_refuses_the_batch_before_the_network_runs(eye: OnnxEye) -> None:
    before = eye.session_seconds
    with pytest.raises(UnreadableImage):
        eye.look([example("test-00.png"), film(NAN)])
    assert eye.session_seconds == before


def test_nothing_in_gives_nothing_out(eye: OnnxEye) -> None:
    assert eye.look([]) == ()


def repeated(rows: int, columns: int) -> "NDArray[np.float32]":
    """A film whose rows are all one row: however large, it holds that row alone."""
    row = np.linspace(0, 1, columns, dtype=np.float32)
    return np.broadcast_to(row, (rows, columns))


@pytest.mark.parametrize("size", [(20_000, 20_000), (10_001, 10_000), (32, PIXELS_MAX)])
def test_a_film_of_too_many_pixels_is_refused_by_its_size_alone(
    size: tuple[int, int], eye: OnnxEye
) -> None:
    # Of one grey level, which would be refused in other words.
    nothing = np.broadcast_to(np.float32(0), size)
    for looked in (eye.look, FakeEye().look):
        with pytest.raises(UnreadableImage, match="too many"):
            looked([film(nothing)])


def test_the_largest_film_is_read_without_a_copy_of_its_size(eye: OnnxEye) -> None:
    image = film(repeated(10_000, 10_000))
    tracemalloc.start()
    try:
        (sight,) = eye.look([image])
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < image.rows * image.columns  # bytes: a quarter of the film's
    assert all(r.box.x_max <= 10_000 and r.box.y_max <= 10_000 for r in sight.regions)


def test_a_sight_holds_every_region_mask_and_probability_inside_the_film(eye: OnnxEye) -> None:
    image = example("test-00.png")
    (sight,) = eye.look([image])
    assert {r.structure for r in sight.regions} == set(AnatomicStructure)
    for region in sight.regions:
        assert 0 <= region.box.x_min < region.box.x_max <= image.columns
        assert 0 <= region.box.y_min < region.box.y_max <= image.rows
        assert 0 <= region.score <= 1
    assert set(sight.probabilities) == set(Observation)
    assert set(sight.masks) == set(bundles.find().masks)
    for mask in sight.masks.values():
        assert mask.shape == image.pixels.shape
        assert mask.dtype == np.float32
        assert 0 <= mask.min() <= mask.max() <= 1


def test_a_batch_gives_what_single_films_give(eye: OnnxEye) -> None:
    images = [example("test-00.png"), example("test-05.png"), example("lateral.png")]
    together = eye.look(images)
    for image, sight in zip(images, together, strict=True):
        (alone,) = eye.look([image])
        assert alone.scope.in_scope == pytest.approx(sight.scope.in_scope, abs=1e-3)
        for first, second in zip(alone.regions, sight.regions, strict=True):
            assert first.box.x_min == pytest.approx(second.box.x_min, abs=0.05)


@pytest.mark.parametrize("declared", sorted(TURNS))
def test_a_film_stored_in_any_orientation_gives_the_same_boxes_on_its_own_pixels(
    eye: OnnxEye, declared: tuple[str, str]
) -> None:
    usual = example("test-01.png")
    turn = TURNS[declared]
    stored = np.ascontiguousarray(turn.undo(usual.pixels))
    (plain,) = eye.look([usual])
    (turned,) = eye.look([ChestImage("t", stored, patient_orientation=declared)])
    assert turned.scope.mirrored == pytest.approx(plain.scope.mirrored, abs=1e-3)
    for first, second in zip(plain.regions, turned.regions, strict=True):
        back = turn.undo_box(first.box, usual.rows, usual.columns)
        assert overlap(back, second.box) > 0.999
    lung = turned.masks[MaskName.RIGHT_LUNG]
    assert lung.shape == stored.shape
    assert np.allclose(turn.apply(lung), plain.masks[MaskName.RIGHT_LUNG], atol=0.01)


def test_sides_follow_the_patient_on_every_frontal_example(eye: OnnxEye) -> None:
    for name, truth in TRUTH.items():
        if truth["view"] == "lateral":
            continue
        (sight,) = eye.look([example(name)])
        boxes = {r.structure: r.box for r in sight.regions}
        right, left = boxes[AnatomicStructure.RIGHT_LUNG], boxes[AnatomicStructure.LEFT_LUNG]
        assert right.centre[0] < left.centre[0], name


def test_the_lungs_and_heart_of_the_examples_are_found(eye: OnnxEye) -> None:
    found = []
    for name, truth in TRUTH.items():
        if truth["view"] == "lateral":
            continue
        (sight,) = eye.look([example(name)])
        boxes = {r.structure.value: r.box for r in sight.regions}
        found += [
            overlap(boxes[key], PixelBox(*truth["boxes"][key]))
            for key in ("right lung", "left lung", "cardiac silhouette")
        ]
    assert np.mean(found) > 0.75


def test_laterals_and_noise_are_turned_away_with_a_reason(eye: OnnxEye) -> None:
    noise = np.random.default_rng(0).random((500, 400)).astype(np.float32)
    (lateral, static) = eye.look([example("lateral.png"), film(noise)])
    for sight in (lateral, static):
        assert sight.scope.in_scope < 0.5
        assert sight.scope.reason is not None
    assert lateral.scope.view_position is ViewPosition.LL


def test_a_mirrored_film_is_called_mirrored_and_keeps_the_names_of_its_sides(eye: OnnxEye) -> None:
    image = example("frontal-without-finding.png")
    flipped = ChestImage("m", np.ascontiguousarray(image.pixels[:, ::-1]))
    (usual, mirrored) = eye.look([image, flipped])
    assert usual.scope.mirrored < 0.5 < mirrored.scope.mirrored
    boxes = {r.structure: r.box for r in mirrored.regions}
    right, left = boxes[AnatomicStructure.RIGHT_LUNG], boxes[AnatomicStructure.LEFT_LUNG]
    assert right.centre[0] > left.centre[0]


def test_the_mass_is_found_where_it_was_put_and_nothing_on_the_plain_film(eye: OnnxEye) -> None:
    name = "frontal-with-mass.png"
    (sight, plain) = eye.look([example(name), example("frontal-without-finding.png")])
    limits = eye.thresholds
    assert sight.probabilities[Observation.MASS] >= limits[Observation.MASS][1]
    mask = sight.masks[MaskName.MASS] > 0.5
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = PixelBox(columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    (true,) = (PixelBox(*f["box"]) for f in TRUTH[name]["findings"])
    assert overlap(box, true) >= 0.3
    for kind, probability in plain.probabilities.items():
        assert probability < limits[kind][1], kind


def test_a_bundle_whose_names_this_version_does_not_know_is_refused(eye: OnnxEye) -> None:
    from dataclasses import replace  # noqa: PLC0415

    with pytest.raises(WeightsMismatch, match="regions"):
        OnnxEye(replace(bundles.find(), regions=("gizzard",)))
    with pytest.raises(WeightsMismatch, match="intensity"):
        OnnxEye(replace(bundles.find(), intensity="dark = dense"))


def test_the_shipped_bundle_says_what_it_can_and_cannot(eye: OnnxEye) -> None:
    (sight,) = eye.look([example("test-00.png")])
    heads = bundles.find().heads
    assert bool(sight.signs) == ("signs" in heads)
    assert ("signs" in sight.unavailable) == ("signs" not in heads)
    assert eye.cardiothoracic_error[1] > 0
    assert eye.limits


def both(eye: OnnxEye, pixels: "NDArray[np.float32]") -> tuple[Sight, Sight]:
    """Look at a film of unknown orientation and at its mirror image."""
    turned = np.ascontiguousarray(pixels[:, ::-1])
    first, second = eye.look([ChestImage("a", pixels), ChestImage("b", turned)])
    return first, second


def assert_mirror_images(first: Sight, second: Sight, columns: int) -> None:
    assert first.sides is not None
    assert second.sides is not None
    assert first.sides.mirrored != second.sides.mirrored
    assert first.sides.sure == second.sides.sure
    assert first.exchanged == second.exchanged
    for one, other in zip(first.regions, second.regions, strict=True):
        assert one.structure is other.structure
        assert one.score == pytest.approx(other.score, abs=1e-3)
        turned = (columns - other.box.x_max, other.box.y_min, columns - other.box.x_min)
        assert turned == pytest.approx((one.box.x_min, one.box.y_min, one.box.x_max), abs=1)
    for kind, probability in first.probabilities.items():
        assert second.probabilities[kind] == pytest.approx(probability, abs=1e-3)


@pytest.mark.parametrize(
    "name", [name for name, truth in TRUTH.items() if truth["view"] != "lateral"]
)
def test_a_film_and_its_mirror_image_are_read_as_mirror_images(eye: OnnxEye, name: str) -> None:
    film = example(name)
    first, second = both(eye, film.pixels)
    assert_mirror_images(first, second, film.columns)
    assert not first.sides.mirrored  # type: ignore[union-attr]
    lung, turned = (s.masks[MaskName.RIGHT_LUNG] for s in (first, second))
    assert np.allclose(lung, turned[:, ::-1], atol=0.01)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), rows=st.integers(32, 700), columns=st.integers(32, 700))
def test_any_film_and_its_mirror_image_are_read_as_mirror_images(
    eye: OnnxEye, seed: int, rows: int, columns: int
) -> None:
    pixels = np.random.default_rng(seed).random((rows, columns), np.float32)
    first, second = both(eye, pixels)
    assert_mirror_images(first, second, columns)


def test_a_film_in_doubt_is_flagged_on_both_its_sides(eye: OnnxEye) -> None:
    symmetric = example("test-00.png").pixels
    symmetric = (symmetric + symmetric[:, ::-1]) / 2
    (sight,) = eye.look([film(symmetric)])
    assert sight.sides is not None
    assert not sight.sides.sure
    assert sight.scope.mirrored >= 0.5
