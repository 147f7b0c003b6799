"""The rationale: four groups and a conclusion, and pictures that are the film's own pixels."""

from math import ceil

import numpy as np
from films import a_film, looked_at
from hypothesis import given, settings
from hypothesis import strategies as st

from models.fakes import FakeEye, Planted
from models.geometry import clip
from models.rationale import crops, pointer
from models.report import compose
from models.report.findings import judge
from models.values import PixelBox, Rationale, TextStep, VisualStep
from models.vocabulary import AnatomicStructure, Observation


def explained(eye: FakeEye) -> tuple[Rationale, ...]:
    seen = looked_at(eye)
    found, _ = judge(seen)
    return pointer.explain(found, compose.compose(found, ()), seen.regions)


def words(part: Rationale) -> str:
    return " ".join(s.text if isinstance(s, TextStep) else s.caption for s in part.steps)


def test_the_groups_come_in_order_and_the_conclusion_last() -> None:
    parts = explained(FakeEye())
    groups = ["mediastinum", "lungs", "bones", "others", "conclusion"]
    assert [part.group for part in parts] == groups
    assert {part.mode for part in parts} == {"pointer"}


def test_each_group_names_points_and_describes() -> None:
    for part in explained(FakeEye())[:4]:
        first, second = part.steps[0], part.steps[1]
        assert isinstance(first, TextStep)
        assert isinstance(second, VisualStep)
        assert second.caption
        assert second.structures


def test_bones_and_the_rest_are_never_judged() -> None:
    parts = {part.group: words(part) for part in explained(FakeEye())}
    for group in ("bones", "others"):
        assert "for orientation only" in parts[group]
        assert "not assessed by this version" in parts[group]
        assert "No " not in parts[group]
    assert "fractures" in parts["conclusion"]  # named as not looked for


def test_each_localised_finding_has_a_close_up_of_its_own_box() -> None:
    eye = FakeEye(planted=(Planted(Observation.MASS, (0.3, 0.62)),))
    seen = looked_at(eye)
    found, _ = judge(seen)
    lungs = pointer.explain(found, compose.compose(found, ()), seen.regions)[1]
    close_up = lungs.steps[-1]
    assert isinstance(close_up, VisualStep)
    assert (close_up.box,) == found[-4].boxes or (close_up.box,) in [f.boxes for f in found]
    assert close_up.caption == "Likely mass or nodule in the right lower lung zone."
    assert lungs.steps[-2] == TextStep("Looking closer at F1.")


def test_a_group_that_was_not_found_says_so_and_shows_nothing() -> None:
    unseen = frozenset(
        {AnatomicStructure.RIGHT_CLAVICLE, AnatomicStructure.LEFT_CLAVICLE, AnatomicStructure.SPINE}
    )
    bones = explained(FakeEye(unseen=unseen))[2]
    assert not any(isinstance(step, VisualStep) for step in bones.steps)
    assert "could not be located" in words(bones)


boxes = st.tuples(
    st.floats(-20, 240), st.floats(-20, 280), st.floats(1, 200), st.floats(1, 200)
).map(lambda v: PixelBox(v[0], v[1], v[0] + v[2], v[1] + v[3]))


@settings(max_examples=60, deadline=None)
@given(boxes, st.integers(8, 300))
def test_a_crop_is_the_film_at_its_box_and_no_longer_than_asked(box: PixelBox, max_px: int) -> None:
    film = a_film()
    inside = clip(box, film.rows, film.columns)
    rows = slice(int(inside.y_min), ceil(inside.y_max))
    columns = slice(int(inside.x_min), ceil(inside.x_max))
    there = film.pixels[rows, columns] * 255
    picture = crops.crop(film, box, max_px)
    assert picture.dtype == np.uint8
    assert max(picture.shape) == min(max_px, max(there.shape))
    assert there.min() - 1 <= picture.min() <= picture.max() <= there.max() + 1
    if max(there.shape) <= max_px:
        assert np.array_equal(picture, np.rint(there).astype(np.uint8))


def test_a_reduced_crop_averages_the_films_pixels() -> None:
    film = a_film()
    picture = crops.crop(film, PixelBox(40, 60, 168, 188), 32)
    blocks = film.pixels[60:188, 40:168].reshape(32, 4, 32, 4).mean((1, 3)) * 255
    assert np.abs(picture - blocks).max() <= 1
