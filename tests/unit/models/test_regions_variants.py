"""Boxes redrawn for other conventions follow the patient, not the page."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.geometry import TURNS, Turn
from models.regions import (
    Frame,
    RegionVariant,
    apply,
    convert,
    described,
    fitted_for,
    frame_of,
    rules,
)
from models.regions_rules import AsWideAs, ReachInto, Shift, Union, parsed
from models.training import variants
from models.values import AnatomyRegion, PixelBox
from models.vocabulary import AnatomicStructure as A

PAPER = (Path(__file__).parents[3] / "docs" / "regions.md").read_text(encoding="utf-8")
ROWS, COLUMNS = 1200, 1000
CHEST = {
    A.RIGHT_LUNG: PixelBox(100, 150, 460, 900),
    A.LEFT_LUNG: PixelBox(520, 140, 900, 920),
    A.RIGHT_APICAL_ZONE: PixelBox(180, 150, 420, 270),
    A.LEFT_APICAL_ZONE: PixelBox(560, 140, 800, 265),
    A.RIGHT_UPPER_LUNG_ZONE: PixelBox(150, 150, 440, 400),
    A.LEFT_UPPER_LUNG_ZONE: PixelBox(540, 140, 850, 400),
    A.RIGHT_LOWER_LUNG_ZONE: PixelBox(100, 650, 440, 900),
    A.LEFT_LOWER_LUNG_ZONE: PixelBox(650, 660, 900, 920),
    A.CARDIAC_SILHOUETTE: PixelBox(380, 480, 740, 880),
    A.LEFT_CARDIAC_BORDER: PixelBox(650, 480, 760, 880),
    A.UPPER_MEDIASTINUM: PixelBox(400, 140, 600, 500),
    A.MEDIASTINUM: PixelBox(410, 160, 730, 860),
    A.ABDOMEN: PixelBox(60, 800, 940, 1200),
}
SEEN = tuple(AnatomyRegion(name, box, 0.5 + i / 100) for i, (name, box) in enumerate(CHEST.items()))
A_STEP = (
    Shift(A.RIGHT_LUNG, medial=-0.1, lateral=0.05, upper=0.02, lower=-0.04),
    Shift(A.LEFT_LUNG, medial=-0.1, lateral=0.05, upper=0.02, lower=-0.04),
)


def named(seen: tuple[AnatomyRegion, ...]) -> dict[A, PixelBox]:
    return {region.structure: region.box for region in seen}


def laid(seen: tuple[AnatomyRegion, ...], turn: Turn) -> tuple[AnatomyRegion, ...]:
    """The same regions on a film that is stored turned."""
    return tuple(replace(r, box=turn.undo_box(r.box, ROWS, COLUMNS)) for r in seen)


def near(first: PixelBox, second: PixelBox) -> bool:
    pairs = zip(
        (first.x_min, first.y_min, first.x_max, first.y_max),
        (second.x_min, second.y_min, second.x_max, second.y_max),
        strict=True,
    )
    return all(math.isclose(a, b, abs_tol=1e-6) for a, b in pairs)


@pytest.mark.parametrize("variant", list(RegionVariant))
def test_every_variant_says_what_it_rests_on(variant: RegionVariant) -> None:
    assert described()[variant]["basis"]
    assert set(described()) == set(RegionVariant)


def test_our_own_convention_changes_nothing() -> None:
    assert convert(SEEN, RegionVariant.VISIBLE_FIELD) == SEEN


@pytest.mark.parametrize("variant", list(RegionVariant))
def test_names_order_and_scores_stay(variant: RegionVariant) -> None:
    redrawn = convert(SEEN, variant)
    assert [(r.structure, r.score) for r in redrawn] == [(r.structure, r.score) for r in SEEN]


def test_v7_touches_the_lungs_only() -> None:
    before, after = named(SEEN), named(convert(SEEN, RegionVariant.V7))
    assert {name for name in before if before[name] != after[name]} <= {A.RIGHT_LUNG, A.LEFT_LUNG}


def test_v7_says_which_network_it_was_fitted_for_and_what_it_gained() -> None:
    assert len(fitted_for(RegionVariant.V7) or "") == 64
    assert fitted_for(RegionVariant.IMAGENOME) is None
    figures = described()[RegionVariant.V7]
    assert figures["train"]["films"] > figures["valid"]["films"] > 0
    scores = figures["iou_left_out"]
    assert scores[figures["form"]] >= max(scores.values()) - variants.WORTH


def test_v7_was_fitted_and_imagenome_was_not() -> None:
    assert described()[RegionVariant.V7]["basis"].startswith("fitted on training patients")
    imagenome = described()[RegionVariant.IMAGENOME]
    assert imagenome["basis"] == "stated, not fitted"
    assert all(row["stated_by"] for row in imagenome["rules"])


def test_imagenome_draws_the_mediastinum_around_its_two_parts() -> None:
    after = named(convert(SEEN, RegionVariant.IMAGENOME))
    assert after[A.MEDIASTINUM] == PixelBox(380, 140, 740, 880)


def test_imagenome_draws_the_left_heart_border_as_half_the_heart() -> None:
    after = named(convert(SEEN, RegionVariant.IMAGENOME))
    assert after[A.LEFT_CARDIAC_BORDER] == PixelBox(560, 480, 760, 880)


def test_imagenome_draws_every_zone_as_wide_as_its_lung() -> None:
    after = named(convert(SEEN, RegionVariant.IMAGENOME))
    assert after[A.LEFT_LOWER_LUNG_ZONE] == PixelBox(520, 660, 900, 920)
    assert after[A.RIGHT_UPPER_LUNG_ZONE] == PixelBox(100, 150, 460, 400)


def test_a_step_moves_medial_edges_of_both_lungs_towards_or_off_the_middle() -> None:
    after = named(apply(SEEN, A_STEP))
    right, left = after[A.RIGHT_LUNG], after[A.LEFT_LUNG]
    assert near(right, PixelBox(100 - 18, 150 - 15, 460 - 36, 900 - 30))
    assert near(left, PixelBox(520 + 38, 140 - 15.6, 900 + 19, 920 - 31.2))


@pytest.mark.parametrize("turn", list(TURNS.values()), ids=[" ".join(t) for t in TURNS])
@pytest.mark.parametrize(
    "steps", [A_STEP, rules(RegionVariant.IMAGENOME)], ids=["a step", "imagenome"]
)
def test_a_film_that_lies_otherwise_is_redrawn_alike(
    turn: Turn, steps: tuple[Shift | Union | AsWideAs | ReachInto, ...]
) -> None:
    # Turning first and redrawing then is redrawing first and turning then: mirrored films too.
    there = named(apply(laid(SEEN, turn), steps))
    here = named(laid(apply(SEEN, steps), turn))
    assert all(near(there[name], here[name]) for name in here)


@given(
    st.booleans(), st.booleans(), st.booleans(),
    st.tuples(*[st.floats(-4000, 4000), st.floats(1, 4000)] * 2),
)  # fmt: skip
def test_the_patient_s_frame_and_back_is_the_same_box(
    transposed: bool, left: bool, feet: bool, numbers: tuple[float, float, float, float]
) -> None:
    frame = Frame(transposed, left, feet)
    x, width, y, height = numbers
    box = PixelBox(x, y, x + width, y + height)
    assert frame.to_source(frame.to_patient(box)) == box


def test_without_both_lungs_the_usual_display_is_assumed() -> None:
    assert frame_of({A.LEFT_LUNG: CHEST[A.LEFT_LUNG]}) == Frame()


def test_a_region_that_is_missing_leaves_the_boxes_that_need_it_alone() -> None:
    without = tuple(r for r in SEEN if r.structure is not A.CARDIAC_SILHOUETTE)
    after = named(convert(without, RegionVariant.IMAGENOME))
    assert after[A.MEDIASTINUM] == CHEST[A.MEDIASTINUM]
    assert after[A.LEFT_CARDIAC_BORDER] == CHEST[A.LEFT_CARDIAC_BORDER]
    assert A.CARDIAC_SILHOUETTE not in after


def test_anatomy_out_of_order_keeps_its_box_instead_of_an_empty_one() -> None:
    astray = PixelBox(100, 480, 200, 880)  # the left border of the heart, seen right of the heart
    seen = tuple(
        replace(r, box=astray) if r.structure is A.LEFT_CARDIAC_BORDER else r for r in SEEN
    )
    assert named(convert(seen, RegionVariant.IMAGENOME))[A.LEFT_CARDIAC_BORDER] == astray


def test_no_regions_give_no_regions() -> None:
    assert convert((), RegionVariant.IMAGENOME) == ()


def test_a_rule_of_no_known_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="guess"):
        parsed({"rule": "guess", "region": "left lung"})


def boxed(patient: str, step: tuple[Shift, ...], turn: Turn | None = None) -> variants.BoxedFilm:
    """A film of our chest whose truth is the chest after this step."""
    seen = laid(SEEN, turn) if turn else SEEN
    truth = named(laid(apply(SEEN, step), turn) if turn else apply(SEEN, step))
    return variants.BoxedFilm(patient, seen, (truth[A.RIGHT_LUNG], truth[A.LEFT_LUNG]))


def test_a_step_that_all_patients_share_is_found_again() -> None:
    mirrored = TURNS["R", "F"]
    films = [
        boxed("a", A_STEP),
        boxed("a", A_STEP, mirrored),
        boxed("b", A_STEP),
        boxed("c", A_STEP),
    ]
    form, scores = variants.choose(films)
    assert form == "both sides alike"
    assert scores["both sides alike"] == pytest.approx(1.0, abs=1e-6)
    assert scores["no step"] < 0.9
    for found, planted in zip(variants.both_alike(films), A_STEP, strict=True):
        assert found == planted


def test_sides_get_steps_of_their_own_only_when_that_is_better() -> None:
    uneven = (A_STEP[0], replace(A_STEP[1], medial=0.1))
    films = [boxed(patient, uneven) for patient in "abc"]
    assert variants.choose(films)[0] == "each side its own"


def test_patients_who_differ_leave_the_boxes_as_they_are() -> None:
    outward = tuple(replace(s, medial=0.1, lateral=0.1, upper=0.1, lower=0.1) for s in A_STEP)
    inward = tuple(replace(s, medial=-0.1, lateral=-0.1, upper=-0.1, lower=-0.1) for s in A_STEP)
    films = [boxed("a", outward), boxed("b", inward), boxed("c", ())]
    assert variants.choose(films)[0] == "no step"


def test_one_patient_is_too_few_to_choose_by() -> None:
    with pytest.raises(ValueError, match="two training patients"):
        variants.choose([boxed("a", A_STEP), boxed("a", ())])


def test_a_lung_the_eye_did_not_see_counts_as_missed_and_teaches_nothing() -> None:
    whole = boxed("a", A_STEP)
    blind = replace(whole, seen=tuple(r for r in SEEN if r.structure is not A.LEFT_LUNG))
    assert blind.overlaps(())[1] == 0.0
    assert math.isnan(blind.steps()[1, 0])
    assert variants.both_alike([whole, blind]) == variants.both_alike([whole])


def test_what_is_written_is_what_is_read_back() -> None:
    films = [boxed(patient, A_STEP) for patient in "abc"]
    part = variants.fitted(films, films[:1], "0" * 64)
    assert tuple(parsed(row) for row in part["rules"]) == A_STEP
    assert part["valid"]["iou_after"] > part["valid"]["iou_before"]
    assert part["weights_sha256"] == "0" * 64


def test_the_paper_defines_four_edges_of_each_of_the_36_boxes() -> None:
    rules = PAPER[PAPER.index("| region |") : PAPER.index("## `v7`")]
    rows = [line.strip("| ").split(" | ") for line in rules.splitlines() if line.startswith("| ")]
    assert all(len(row) == 4 and all(row) for row in rows)
    assert sorted(name for row in rows[1:] for name in row[0].split(", ")) == sorted(A)


def test_the_paper_shows_the_figures_of_the_file() -> None:
    shown = PAPER[PAPER.index(variants.BEGIN) + len(variants.BEGIN) : PAPER.index(variants.END)]
    assert shown == variants.in_words(described()[RegionVariant.V7])


def test_writing_changes_the_marked_part_of_the_paper_and_no_other(tmp_path: Path) -> None:
    paper, out = tmp_path / "regions.md", tmp_path / "rules.json"
    paper.write_text(f"before\n{variants.BEGIN}old\n{variants.END}\nafter\n")
    found = described()
    found[RegionVariant.V7] = variants.fitted(
        [boxed(patient, A_STEP) for patient in "abc"], [boxed("d", A_STEP)], "f" * 64
    )
    variants.write(found, paper, out)
    text = paper.read_text()
    assert text.startswith(f"before\n{variants.BEGIN}")
    assert text.endswith(f"{variants.END}\nafter\n")
    assert "ffffffffffff" in text
    assert "old" not in text
    assert out.read_text().count('"weights_sha256"') == 1
