import json

import numpy as np
import pytest

pytest.importorskip("torch")

from evaluation_builders import CORNERS, answers, exam

from models.anatomy import retrieval
from models.anatomy.heads import MASKS, REGIONS, SIGNS
from models.evaluation import outline_rows, region_rows, rows, sign_rows
from models.evaluation.exams import mirror
from models.evaluation.rows import Reach, Row
from models.vocabulary import MaskName, Sign

MEAN_BOX = np.tile(np.asarray((60.0, 60.0, 160.0, 160.0)), (36, 1))


def named(found: rows.Findings, words: str) -> Row:
    (row,) = [row for row in found.rows if words in row.measure]
    return row


def test_a_bound_holds_its_own_ends() -> None:
    assert Reach(0.8).met(0.8)
    assert not Reach(0.8).met(0.7999)
    assert Reach(0.45, 0.55).met(0.55)
    assert not Reach(0.45, 0.55).met(0.56)
    assert not Reach(most=0.05).met(0.051)


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    assert Row("on", "what", None, Reach(0.5)).met is None
    assert Row("on", "what", float("nan"), Reach(0.5)).met is None
    told = Row("on", "what", float("nan"), Reach(0.5)).to_json()
    assert json.loads(json.dumps(told))["measured"] is None


def test_perfect_boxes_have_skill_one_and_no_error() -> None:
    exams = [exam(i, mirrored=i % 2 == 1) for i in range(4)]
    seen = answers(4, boxes=np.stack([e.boxes for e in exams]))
    found = region_rows.regions(region_rows.compare(exams, seen, MEAN_BOX), MEAN_BOX)
    assert named(found, "skill").value == pytest.approx(1.0)
    assert named(found, "error of the centre").value == pytest.approx(0.0, abs=1e-4)
    assert named(found, "25 large regions: R@0.7").value == 1.0
    assert found.tables["regions"]["carina"]["films"] == 4


def test_the_mean_box_itself_has_no_skill() -> None:
    exams = [exam(i) for i in range(3)]
    seen = answers(3, boxes=np.stack([MEAN_BOX] * 3))
    found = region_rows.regions(region_rows.compare(exams, seen, MEAN_BOX), MEAN_BOX)
    assert named(found, "skill").value == pytest.approx(0.0)


def test_a_region_off_the_plate_is_not_counted() -> None:
    one = exam(0)
    one.visible[REGIONS.index("carina")] = False
    boxes = region_rows.compare([one], answers(1), MEAN_BOX)
    assert np.isnan(boxes.own[0, REGIONS.index("carina")])
    assert np.isfinite(boxes.own).sum() == 35


def test_mirroring_twice_gives_the_film_back_and_names_keep_their_boxes() -> None:
    one = exam(0)
    turned = mirror(one)
    assert turned.boxes[REGIONS.index("right lung"), 0] > 160
    assert mirror(turned).boxes == pytest.approx(one.boxes)
    assert mirror(turned).order == one.order


def test_sides_are_judged_only_where_the_eye_is_sure() -> None:
    exams = [exam(i, mirrored=i < 2) for i in range(4)]
    seen = answers(4, mirrored=np.asarray([True, False, False, False]),
                   sure=np.asarray([True, False, True, True]))  # fmt: skip
    right, share = region_rows.sides(exams, seen, "some")
    assert right.value == 1.0
    assert share.value == 0.75
    assert "0.750" in right.note


def signs_of(count: int, separated: bool) -> sign_rows.Signs:
    exams = [exam(i, present=(Sign.PNEUMOTHORAX,) if i % 2 else ()) for i in range(count)]
    logits = np.zeros((count, len(SIGNS)))
    if separated:
        logits[1::2, SIGNS.index(Sign.PNEUMOTHORAX)] = 3.0
    return sign_rows.gather(exams, answers(count, signs=logits))


def test_a_sign_that_is_told_apart_has_an_auroc_of_one_and_others_none() -> None:
    found = sign_rows.aurocs(signs_of(40, separated=True))
    assert named(found, "pneumothorax > 2 cm").value == 1.0
    assert named(found, "AUROC enteric tube").value is None
    assert named(found, "worst").note.startswith("pneumothorax; 1 of 20")
    assert found.tables["signs"]["pneumothorax"]["with"] == 20


def test_small_findings_are_not_asked_for_where_a_size_is_stated() -> None:
    signs = signs_of(40, separated=True)
    signs.sizes[1:20:2] = 10.0
    rows_of = signs.rows(Sign.PNEUMOTHORAX, 20.0)
    assert len(signs.rows(Sign.PNEUMOTHORAX)) == 40
    assert len(rows_of) == 30


def test_chances_that_say_one_half_are_calibrated_on_even_signs_only() -> None:
    signs = signs_of(40, separated=False)
    found = sign_rows.calibration(signs, None)
    errors = found.tables["calibration"]
    assert errors["pneumothorax"] == pytest.approx(0.0)
    assert errors["nodule"] == pytest.approx(0.5)


def test_scaling_on_tuning_films_repairs_chances() -> None:
    signs = signs_of(40, separated=False)
    found = sign_rows.calibration(signs, signs)
    served, worst, scaled = (row.value for row in found.rows)
    assert served is not None
    assert scaled is not None
    assert served > 0.4
    assert worst is not None
    assert worst >= served
    assert scaled < 0.05


def test_mask_overlap_is_asked_only_of_films_that_show_the_finding() -> None:
    exams = [exam(i) for i in range(16)]
    place = MASKS.index(MaskName.MASS)
    drawn = np.zeros((16, len(MASKS), 160, 160), np.uint8)
    for one in exams[:8]:
        one.masks[place, 10:20, 10:20] = True
    drawn[:8, place, 10:20, 10:15] = 255
    drawn[8:12, place, 0, 0] = 255
    may = np.ones((16, len(MASKS)), bool)
    may[4:10] = False
    found = sign_rows.masks(exams, answers(16, masks=drawn), may)
    assert named(found, "mass or nodule").value == pytest.approx(0.5)
    assert named(found, "as shown").value == pytest.approx(0.25)
    told = found.tables["masks"]["mass or nodule"]
    assert (told["drawn_without"], told["shown_without"]) == (0.5, 0.25)


def test_retrieval_counts_regions_whose_nearest_set_is_their_own() -> None:
    one = exam(0, present=(Sign.MASS,))
    one.attributes[0, SIGNS.index(Sign.MASS)] = True
    sets = np.zeros((72, len(SIGNS)), bool)
    sets[36:, SIGNS.index(Sign.MASS)] = True
    embedding = np.repeat(np.asarray([[1.0, 0.0], [0.0, 1.0]], np.float32), 36, axis=0)
    known = retrieval.SubDatabases(
        np.tile(np.arange(36), 2), sets, embedding, np.zeros(72, np.float32)
    )
    said = np.tile(np.asarray((1.0, 0.0), np.float32), (1, 36, 1))
    said[0, 0] = (0.0, 1.0)
    said[0, 1] = (0.0, 1.0)  # wrongly: this region shows nothing
    found = sign_rows.retrieved([one], answers(1, embedding=said), known)
    assert named(found, "all regions").value == pytest.approx(35 / 36)
    assert named(found, "with a sign").value == 1.0


def test_the_test_body_lies_in_the_square() -> None:
    assert CORNERS.min() >= 0
    assert CORNERS.max() <= 1


def test_outlines_are_measured_inside_their_boxes_beside_the_boxes_filled() -> None:
    films = [exam(number) for number in range(3)]
    for film in films:
        film.region_masks[0, :, :40] = False  # half of the first region is in its box only
        film.visible[1] = False
    whole = np.ones((3, 36, 80, 80), bool)
    found = outline_rows.outlines(films, answers(3, region_masks=whole))
    table = found.tables["region_masks"]
    assert table[REGIONS[0].value] == {"iou": 0.5, "own_box_filled": 0.5, "films": 3}
    assert table[REGIONS[1].value]["films"] == 0
    exact = np.stack([film.region_masks for film in films])
    found = outline_rows.outlines(films, answers(3, region_masks=exact))
    assert found.rows[0].value == pytest.approx(1.0)
    assert found.rows[0].baseline == f"own box filled {1 - 0.5 / 35:.3f}"
    assert [row.measure.split(":")[0] for row in found.rows[1:]] == [
        "masks of 25 large regions", "masks of 11 small regions",
    ]  # fmt: skip
