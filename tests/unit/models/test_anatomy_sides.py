"""A film is judged together with its mirror image, so that the two get the same answer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.anatomy import order, sides
from models.anatomy.sides import Names, Rule, belief, judge, merge, restore
from models.fakes import LAYOUT
from models.vocabulary import AnatomicStructure, MaskName

REGIONS, MASKS = tuple(AnatomicStructure), tuple(MaskName)
NAMES = Names(REGIONS, MASKS)
RULE = Rule(sure=1.0, declared=4.0, mirror_share=0.25)
RIGHT, LEFT = REGIONS.index("right lung"), REGIONS.index("left lung")
EVIDENCE = st.floats(-20, 20, allow_nan=False)


def outputs(mirrored: float, *, shown_mirrored: bool, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    corners = np.asarray([LAYOUT[name] for name in AnatomicStructure], np.float32)
    boxes = np.concatenate(
        [(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], axis=1
    ) + rng.normal(0, 0.001, (36, 4)).astype(np.float32)
    masks = rng.normal(0, 1, (len(MASKS), 4, 4)).astype(np.float32)
    region_masks = rng.normal(0, 1, (36, 4, 4)).astype(np.float32)
    if shown_mirrored:
        boxes = boxes * (-1, 1, 1, 1) + (1, 0, 0, 0)
        masks, region_masks = masks[..., ::-1], region_masks[..., ::-1]
    return {
        "boxes": boxes.astype(np.float32),
        "presence": np.arange(36, dtype=np.float32),
        "masks": masks,
        "region_masks": region_masks,
        "findings": rng.normal(0, 1, 4).astype(np.float32),
        "mirrored": np.asarray([mirrored], np.float32),
    }


@given(own=EVIDENCE, flipped=EVIDENCE, seed=st.integers(0, 3), believed=st.booleans())
def test_a_film_and_its_mirror_image_get_answers_that_are_mirror_images(
    own: float, flipped: float, seed: int, believed: bool
) -> None:
    first = outputs(own, shown_mirrored=believed, seed=seed)
    second = outputs(flipped, shown_mirrored=not believed, seed=seed + 1)
    here, opinion = merge(first, second, NAMES, RULE, declared=False)
    there, other = merge(second, first, NAMES, RULE, declared=False)
    assert opinion.evidence == -other.evidence
    assert opinion.sure == other.sure
    assert opinion.mirrored != other.mirrored or opinion.evidence == 0
    if opinion.evidence:
        for name in here:
            expected = -here[name] if name == sides.MIRRORED else here[name]
            assert np.array_equal(there[name], expected)
        shown, turned = restore(here, opinion), restore(there, other)
        assert turned["boxes"][:, 0] == pytest.approx(1 - shown["boxes"][:, 0], abs=1e-6)
        assert np.array_equal(turned["boxes"][:, 1:], shown["boxes"][:, 1:])
        for name in ("masks", "region_masks"):
            assert np.array_equal(turned[name], shown[name][..., ::-1])


@given(evidence=EVIDENCE, declared=st.booleans())
def test_a_film_in_doubt_or_mirrored_is_flagged_and_no_other(
    evidence: float, declared: bool
) -> None:
    opinion = judge(evidence, RULE, declared=declared)
    doubt = not opinion.sure
    assert (belief(opinion) >= 0.5) == (doubt or opinion.mirrored)


def test_a_declared_orientation_is_overruled_only_when_the_evidence_is_large() -> None:
    assert not judge(3.9, RULE, declared=True).mirrored
    assert not judge(3.9, RULE, declared=True).sure
    assert judge(4.1, RULE, declared=True) == sides.SidesOpinion(True, True, 4.1)
    assert judge(3.9, RULE, declared=False) == sides.SidesOpinion(True, True, 3.9)
    assert judge(-0.9, RULE, declared=False) == sides.SidesOpinion(False, False, -0.9)


def test_a_look_that_read_its_picture_by_position_has_its_names_exchanged() -> None:
    usual = outputs(-6.0, shown_mirrored=False)
    # It saw the mirror image but put the right lung on the left of the picture all the same.
    by_position = outputs(-2.0, shown_mirrored=False)
    merged, opinion = merge(usual, by_position, NAMES, RULE, declared=False)
    assert opinion.evidence == -2.0
    assert order.lean(merged["boxes"], REGIONS) == 1.0
    assert merged["presence"][RIGHT] == pytest.approx(0.75 * RIGHT + 0.25 * LEFT)
    right, left = MASKS.index(MaskName.RIGHT_LUNG), MASKS.index(MaskName.LEFT_LUNG)
    expected = 0.75 * usual["masks"][right] + 0.25 * by_position["masks"][left][:, ::-1]
    assert merged["masks"][right] == pytest.approx(expected)
    own, other = usual["region_masks"][RIGHT], by_position["region_masks"][LEFT][:, ::-1]
    assert merged["region_masks"][RIGHT] == pytest.approx(0.75 * own + 0.25 * other)


def test_a_mirrored_film_is_laid_the_usual_way_round_and_brought_back() -> None:
    own, flipped = outputs(5.0, shown_mirrored=True), outputs(-5.0, shown_mirrored=False)
    merged, opinion = merge(own, flipped, NAMES, RULE, declared=False)
    assert opinion.mirrored
    assert merged["boxes"][RIGHT, 0] < merged["boxes"][LEFT, 0]
    shown = restore(merged, opinion)
    assert shown["boxes"][RIGHT, 0] > shown["boxes"][LEFT, 0]
    assert shown["boxes"] == pytest.approx(own["boxes"], abs=0.01)


def test_names_that_were_exchanged_take_everything_of_their_region_along() -> None:
    seen = outputs(-5.0, shown_mirrored=False)
    rows = [RIGHT, LEFT]
    seen["boxes"][rows] = seen["boxes"][rows[::-1]]
    moved, found = sides.in_order(seen, NAMES)
    assert found.exchanged == ("right lung | left lung",)
    assert moved["presence"][RIGHT] == LEFT
    assert np.array_equal(moved["region_masks"][RIGHT], seen["region_masks"][LEFT])
    assert np.array_equal(moved["findings"], seen["findings"])
