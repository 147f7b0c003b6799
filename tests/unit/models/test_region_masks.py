"""Masks of regions: inside their boxes, told as run lengths, drawn, and measured."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from films import a_film
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tiny_networks import write

from models import pictures, pipeline, summary
from models.anatomy.eye import OnnxEye
from models.fakes import FakeEye
from models.geometry import Letterbox, Turn
from models.masks.regions import ORGAN_OF, RegionMasks, adapted, run_lengths, to_draw
from models.masks.soft import SoftMasks
from models.values import AnatomyRegion, PixelBox
from models.vocabulary import AnatomicStructure as A
from models.vocabulary import Capability, MaskName

SIDE, SHAPE = 80, (400, 300)
BOX = PixelBox(30.5, 40.0, 120.0, 200.25)


def masks(soft: np.ndarray, box: PixelBox = BOX) -> RegionMasks:
    frame = Letterbox(*SHAPE, 320)
    drawn = SoftMasks(soft[None].astype(np.float32), (A.SPINE,), frame, Turn())
    return RegionMasks(lambda: drawn, (AnatomyRegion(A.SPINE, box, 0.9),))


def test_what_lies_outside_its_box_is_no_part_of_a_region() -> None:
    whole = masks(np.ones((SIDE, SIDE)))[A.SPINE]
    assert whole.shape == SHAPE
    assert whole[40:200, 30:120].all()
    assert whole.sum() == 160 * 90


def test_inside_its_box_a_region_is_where_its_chance_is_a_half() -> None:
    soft = np.zeros((SIDE, SIDE))
    soft[:, 30:] = 1.0  # from pixel 30 * 5 - 50 of the film on
    found = masks(soft)
    columns = np.flatnonzero(found[A.SPINE].any(axis=0))
    assert columns[[0, -1]].tolist() == [100, 119]
    assert A.SPINE in found
    assert A.CARINA not in found
    assert list(found) == [A.SPINE]
    assert len(found) == 1


def test_a_box_at_the_edge_of_the_film_stays_on_it() -> None:
    found = masks(np.ones((SIDE, SIDE)), PixelBox(250.0, 390.0, 300.0, 400.0))
    assert found[A.SPINE].sum() == 500


def test_parts_of_an_organ_are_cut_from_the_organ_s_finer_mask() -> None:
    frame, box = Letterbox(*SHAPE, 320), PixelBox(50.0, 40.0, 250.0, 140.0)
    organ = np.zeros((1, 160, 160), np.float32)
    organ[:, :, 81:] = 1.0  # 81 * 2.5 - 50 px of the film
    organs = SoftMasks(organ, (MaskName.LEFT_LUNG,), frame, Turn())
    names = (A.LEFT_APICAL_ZONE, A.RIGHT_APICAL_ZONE)
    coarse = SoftMasks(np.ones((2, SIDE, SIDE), np.float32), names, frame, Turn())
    regions = tuple(AnatomyRegion(name, box, 0.9) for name in names)
    found = RegionMasks(lambda: coarse, regions, organs, outlined=[names[1]])
    left, right = (found[name] for name in names)
    assert np.flatnonzero(left.any(axis=0))[[0, -1]].tolist() == [152, 249]
    assert right.sum() == 200 * 100  # this network outlines no right lung
    assert found.coarse(names[0]).shape == (160, 160)
    (sight,) = FakeEye().look((a_film(),))
    sight = replace(sight, masks=organs, region_masks=found)
    assert set(to_draw(sight)) == {*names}
    only = RegionMasks(lambda: coarse, regions, organs)
    assert set(to_draw(replace(sight, region_masks=only))) == {A.LEFT_APICAL_ZONE}
    assert len(ORGAN_OF) == 13


@settings(max_examples=100, deadline=None)
@given(arrays.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_run_lengths_hold_the_whole_mask(mask: np.ndarray) -> None:
    told = run_lengths(mask)
    values = np.arange(len(told["counts"])) % 2 == 1
    again = np.repeat(values, told["counts"]).reshape(told["size"], order="F")
    assert np.array_equal(again, mask)
    assert all(count > 0 for count in told["counts"][1:])


def test_regions_tell_their_masks_when_asked_only() -> None:
    result = pipeline.analyse(a_film(), FakeEye())
    assert result.sight is not None
    mask = np.zeros((result.image.rows, result.image.columns), np.bool_)
    mask[2:4, 5] = True
    result = replace(result, sight=replace(result.sight, region_masks={A.SPINE: mask}))
    unsure = [replace(r, score=0.1) for r in result.sight.regions]
    doubted = replace(result, sight=replace(result.sight, regions=tuple(unsure)))
    assert {r["mask"] for r in summary.to_json(doubted, masks=True)["regions"]} == {None}
    told = {r["name"]: r for r in summary.to_json(result, masks=True)["regions"]}
    rows = mask.shape[0]
    assert told["spine"]["mask"]["counts"] == [5 * rows + 2, 2, mask.size - 5 * rows - 4]
    assert told["spine"]["mask"]["learnt_from"] == "simulated films alone"
    assert told["carina"]["mask"] is None
    assert all("mask" not in region for region in summary.to_json(result)["regions"])


def test_a_region_with_an_outline_is_drawn_without_its_box() -> None:
    film = a_film()
    (sight,) = FakeEye().look((film,))
    regions = [r for r in sight.regions if r.structure is A.SPINE]
    box = regions[0].box
    mask = np.zeros(film.pixels.shape, np.bool_)
    middle = round((box.y_min + box.y_max) / 2)
    mask[middle - 3 : middle + 3, round(box.x_min) + 2 : round(box.x_max) - 2] = True
    boxed = pictures.regions_overlay(film, regions, 700)
    empty = pictures.regions_overlay(film, regions, 700, masks={A.SPINE: np.zeros_like(mask)})
    outlined = pictures.regions_overlay(film, regions, 700, masks={A.SPINE: mask})
    assert np.array_equal(boxed, empty)
    unsure = [replace(regions[0], score=0.1)]
    dashed = pictures.regions_overlay(film, unsure, 700, masks={A.SPINE: mask})
    assert np.array_equal(dashed, pictures.regions_overlay(film, unsure, 700))
    assert not np.array_equal(boxed, outlined)


def test_a_picture_says_what_is_outlined_in_it() -> None:
    said = pictures._outlined_words
    assert said([A.LEFT_LUNG, A.RIGHT_CARDIAC_BORDER]) == "Outlined: lungs, heart and their parts."
    assert said([A.TRACHEA, A.SPINE]) == "Outlined: spine, trachea."
    assert said([A.SPINE, A.RIGHT_LUNG]) == "Outlined: lungs, heart and their parts, spine."


@pytest.mark.parametrize(
    ("orientation", "rows", "columns"),
    [(("L", "F"), (160, 320), (0, 160)), (("R", "F"), (160, 320), (160, 320)),
     (("L", "H"), (0, 160), (0, 160)), (("F", "L"), (0, 160), (160, 320)),
     (("F", "R"), (160, 320), (160, 320)), (("H", "L"), (0, 160), (0, 160))],
)  # fmt: skip
def test_a_network_s_masks_lie_as_the_film_is_stored(
    tmp_path_factory: pytest.TempPathFactory, orientation: tuple[str, str],
    rows: tuple[int, int], columns: tuple[int, int],
) -> None:  # fmt: skip
    """Only the lower quarter on the patient's right belongs to any region."""
    logits = np.full((36, SIDE, SIDE), -8.0, np.float32)
    logits[:, SIDE // 2 :, : SIDE // 2] = 8.0
    whole = np.tile(np.asarray((0.5, 0.5, 1.0, 1.0), np.float32), (36, 1))
    folder = tmp_path_factory.mktemp("bundle") / "b"
    eye = OnnxEye(write(folder, {"boxes": whole, "region_masks": logits}, {}))
    (sight,) = eye.look([a_film(320, 320, patient_orientation=orientation)])
    assert Capability.REGION_MASKS not in sight.unavailable
    assert list(sight.region_masks) == list(A)
    lung = sight.region_masks[A.RIGHT_LUNG]
    for axis, (low, high) in ((1, rows), (0, columns)):
        where = np.flatnonzero(lung.any(axis=axis))
        assert (where[0], where[-1] + 1) == pytest.approx((low, high), abs=1)


def test_a_bundle_says_which_of_its_masks_learnt_from_real_films(tmp_path: Path) -> None:
    logits = np.full((36, SIDE, SIDE), 8.0, np.float32)
    whole = np.tile(np.asarray((0.5, 0.5, 1.0, 1.0), np.float32), (36, 1))
    tables = {"output": {"outlined": ["spine", "trachea"]}, "operating": {"scope_margin": 0.0}}
    scope = np.asarray((9, 0, 0, 0, 0), np.float32)
    outputs = {"boxes": whole, "region_masks": logits, "presence": np.ones(36, np.float32),
               "scope": scope}  # fmt: skip
    eye = OnnxEye(write(tmp_path / "b", outputs, tables))
    film = a_film(320, 320)
    (sight,) = eye.look([film])
    assert adapted(sight) == {A.SPINE, A.TRACHEA}
    assert to_draw(sight)[A.SPINE].all()
    told = summary.to_json(pipeline.analyse(film, eye), masks=True)["regions"]
    assert {r["name"] for r in told if r["mask"]["learnt_from"] == "real and simulated films"} == {
        "spine", "trachea"}  # fmt: skip
