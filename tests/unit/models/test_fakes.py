"""One test of the protocol for every eye there is: the fake one and the shipped one."""

from typing import TYPE_CHECKING

import numpy as np
import pytest

from models import bundles
from models.errors import UnreadableImage
from models.fakes import FakeEye, Planted
from models.values import ChestImage, Sight
from models.vocabulary import AnatomicStructure, MaskName, Observation

if TYPE_CHECKING:
    from models.protocols import Eye


def a_film(
    rows: int = 240, columns: int = 200, orientation: tuple[str, str] | None = ("L", "F")
) -> ChestImage:
    pixels = np.random.default_rng(3).random((rows, columns), dtype=np.float32) * 0.9
    return ChestImage("film", pixels, patient_orientation=orientation)


@pytest.fixture(scope="module")
def shipped_eye() -> "Eye":
    """Load the packaged network; the workers have onnxruntime, the base install does not."""
    pytest.importorskip("onnxruntime")
    from models.anatomy.eye import OnnxEye  # noqa: PLC0415 (only where it can run)

    return OnnxEye(bundles.find())


@pytest.fixture(params=["fake", "shipped"])
def eye(request: pytest.FixtureRequest) -> "Eye":
    if request.param == "shipped":
        shipped: Eye = request.getfixturevalue("shipped_eye")
        return shipped
    return FakeEye(planted=(Planted(Observation.MASS),))


def centre_x(sight: Sight, structure: AnatomicStructure) -> float:
    return next(r.box.centre[0] for r in sight.regions if r.structure is structure)


def test_an_eye_names_itself_and_its_limits(eye: "Eye") -> None:
    assert eye.identity.name
    assert len(eye.identity.weights_sha256) == 64
    assert eye.limits
    assert all(text.endswith(".") for text in eye.limits)


def test_every_observation_has_ordered_thresholds(eye: "Eye") -> None:
    assert set(eye.thresholds) == set(Observation)
    assert all(0 <= low <= high <= 1 for low, high in eye.thresholds.values())


def test_a_batch_gives_one_sight_per_film_in_order(eye: "Eye") -> None:
    wide, tall = eye.look([a_film(100, 180), a_film(220, 90)])
    assert max(region.box.x_max for region in wide.regions) <= 180
    assert max(region.box.x_max for region in tall.regions) <= 90


def test_a_sight_is_complete_and_on_the_grid_of_the_film(eye: "Eye") -> None:
    film = a_film()
    (sight,) = eye.look([film])
    assert {region.structure for region in sight.regions} == set(AnatomicStructure)
    assert set(sight.probabilities) == set(Observation)
    assert set(sight.masks) == set(MaskName)
    for mask in (sight.masks[name] for name in MaskName):
        assert mask.shape == film.pixels.shape
        assert mask.dtype == np.float32
        assert 0 <= mask.min() <= mask.max() <= 1
    for region in sight.regions:
        assert 0 <= region.score <= 1
        assert region.box.x_min >= -1e-3
        assert region.box.y_min >= -1e-3
        assert region.box.x_max <= film.columns + 1e-3
        assert region.box.y_max <= film.rows + 1e-3


@pytest.mark.parametrize("rows", [200, 202, 205, 211])
def test_masks_can_be_had_whatever_the_size_of_the_film(eye: "Eye", rows: int) -> None:
    # Sizes whose scaling to a square leaves a remainder of rounding below zero.
    (sight,) = eye.look([a_film(rows, 150)])
    assert all(sight.masks[name].shape == (rows, 150) for name in MaskName)


def test_looking_twice_sees_the_same(eye: "Eye") -> None:
    film = a_film()
    first, second = eye.look([film]), eye.look([film])
    assert first[0].regions == second[0].regions
    assert dict(first[0].probabilities) == dict(second[0].probabilities)


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((64, 64), np.nan, np.float32),
        np.full((64, 64), 0.5, np.float32),
        np.zeros((1, 1), np.float32),
        np.zeros((4, 4, 3), np.float32),
        np.arange(64 * 64, dtype=np.int64).reshape(64, 64),
    ],
    ids=["nan", "constant", "one pixel", "three planes", "integers"],
)
def test_what_is_not_a_film_is_refused_by_name(eye: "Eye", pixels: np.ndarray) -> None:
    with pytest.raises(UnreadableImage):
        eye.look([ChestImage("bad", pixels)])


@pytest.mark.parametrize(
    ("orientation", "right_first"),
    [(("L", "F"), True), (("R", "F"), False), (None, True), (("L", "H"), True)],
)
def test_the_fake_follows_the_declared_orientation(
    orientation: tuple[str, str] | None, right_first: bool
) -> None:
    (sight,) = FakeEye().look([a_film(orientation=orientation)])
    right = centre_x(sight, AnatomicStructure.RIGHT_LUNG)
    left = centre_x(sight, AnatomicStructure.LEFT_LUNG)
    assert (right < left) is right_first


def test_the_fake_turns_a_film_stored_on_its_side() -> None:
    (sight,) = FakeEye().look([a_film(orientation=("F", "R"))])
    boxes = {region.structure: region.box for region in sight.regions}
    right, left = boxes[AnatomicStructure.RIGHT_LUNG], boxes[AnatomicStructure.LEFT_LUNG]
    assert right.centre[1] > left.centre[1]
    abdomen, trachea = boxes[AnatomicStructure.ABDOMEN], boxes[AnatomicStructure.TRACHEA]
    assert abdomen.centre[0] > trachea.centre[0]


def test_a_planted_finding_is_in_probability_and_mask() -> None:
    planted = Planted(Observation.PLEURAL_EFFUSION, centre=(0.8, 0.7), radius=(0.08, 0.05))
    (sight,) = FakeEye(planted=(planted,)).look([a_film()])
    rows, columns = np.nonzero(sight.masks[MaskName.PLEURAL_EFFUSION] >= 0.5)
    assert sight.probabilities[Observation.PLEURAL_EFFUSION] == 0.95
    assert abs(columns.mean() / 200 - 0.8) < 0.01
    assert abs(rows.mean() / 240 - 0.7) < 0.01


def test_paint_inside_a_lung_is_seen_and_outside_it_is_not() -> None:
    eye = FakeEye(sees_paint=True)
    film = a_film()
    inside, outside = film.pixels.copy(), film.pixels.copy()
    inside[90:110, 50:70] = 1.0
    outside[0:10, 0:10] = 1.0
    seen, unseen = eye.look([ChestImage("in", inside), ChestImage("out", outside)])
    assert seen.masks[MaskName.MASS].max() == 1
    assert unseen.masks[MaskName.MASS].max() == 0
