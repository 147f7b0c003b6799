"""The page and its chapters, with and without data."""

import base64
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import tiny_networks
from evaluation_builders import answers, exam
from PIL import Image

from models import bundles
from models.anatomy.eye import OnnxEye
from models.anatomy.heads import OBSERVATIONS
from models.evaluation import (
    card,
    chapters,
    gallery,
    groups,
    label_rows,
    page,
    real_rows,
    report,
    rule_rows,
    served,
    speed,
)
from models.evaluation.chapters import Material
from models.evaluation.looking import ListeningEye, look
from models.evaluation.real_rows import RealFilms
from models.evaluation.rows import Findings, Reach, Row
from models.training import onnx_file
from models.training.follow import follow
from models.training.real import RealFilm
from models.vocabulary import Observation, Sign

LIMITS = np.full(4, 0.5)


def film(number: int, labels: str = "No Finding", view: str = "AP") -> RealFilm:
    pixels = np.random.default_rng(number).integers(1, 255, (320, 320)).astype(np.uint8)
    lungs = np.asarray([(0.11, 0.10, 0.46, 0.74), (0.54, 0.10, 0.89, 0.76)], np.float32)
    name = f"images/nih_{number:08d}_000.jpg"
    return RealFilm(name, f"p{number}", view, 40 + number, frozenset({labels}), pixels, lungs)


TRAIN = [film(100 + i, "Effusion" if i % 2 else "No Finding") for i in range(20)]


def films(count: int, **given: np.ndarray) -> RealFilms:
    own = answers(count, **given)
    turned = own.boxes.copy()
    turned[..., [0, 2]] = 320 - own.boxes[..., [2, 0]]
    return RealFilms(
        "test patients", [film(i) for i in range(count)], own, answers(count, boxes=turned)
    )


def named(found: Findings, words: str) -> Row:
    return next(row for row in found.rows if words in row.measure)


def test_a_page_tells_reach_measured_and_why_not() -> None:
    rows = [
        Row("films <1>", "IoU", 0.91, Reach(0.85), (0.9, 0.92), "3 films", "mean box 0.4"),
        Row("films <1>", "AUROC", 0.6, Reach(0.75)),
        Row("films 2", "time", None, Reach(most=40.0), note="no clock"),
    ]
    text = page.render(page.Report("Eye & report", {"part": "valid"}, Findings(rows)))
    assert "films &lt;1&gt;" in text
    assert "0.910" in text
    assert "not measured" in text
    assert "no clock" in text
    assert "3 figures to reach: 1 reached, 1 not, 1 not measured" in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_curves_bars_and_training_are_drawn_in_the_page_itself() -> None:
    found = Findings(
        tables={"regions": {"carina": {"iou": 0.7, "mean_box": 0.1}}},
        curves={"roc": {"mass": [[0.0, 1.0], [0.0, 1.0]]}, "reliability": [[0.1, 0.2, 5]]},
    )
    text = page.render(page.Report("t", {}, found, {}, {"boxes": [3.0, 1.0, 0.5]}))
    assert text.count("<svg") == 4


def test_without_any_data_every_chapter_says_what_is_missing(tmp_path: Path) -> None:
    outputs = {"boxes": tiny_networks.boxes()}
    bundle = tiny_networks.write(tmp_path / "b", outputs, {})
    given = Material(ListeningEye(bundle), bundle.folder, "test", None, None, None, 4, LIMITS)
    found = chapters.simulated(given)
    found.join(chapters.controlled(given))
    told, some = chapters.real_films(given)
    found.join(told)
    found.join(chapters.strange(given, some))
    assert some is None
    assert all(row.value is None and row.note for row in found.rows)
    assert {"simulated films", "controls, simulated", "real films"} <= {
        row.group for row in found.rows
    }


def test_a_report_on_films_says_when_regions_have_no_masks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).random((320, 320), np.float32)
    shifted = (Sign.MEDIASTINAL_SHIFT,)  # the sides of such films are asked for too
    films = [replace(exam(number, present=shifted), film=noise) for number in range(3)]
    monkeypatch.setattr(chapters.frozen, "load", lambda _: films)
    for name, more in (("without", {}), ("with", {"region_masks": np.ones((36, 80, 80))})):
        made = tiny_networks.write(tmp_path / name, {"boxes": tiny_networks.boxes(), **more}, {})
        eye = ListeningEye(made)
        given = Material(eye, made.folder, "test", None, None, None, 3, LIMITS, tmp_path)
        rows = [r for r in chapters.simulated(given).rows if "masks of" in r.measure]
        assert len(rows) == (3 if more else 1)
        assert all((row.value is None) == (not more) for row in rows)


def test_a_bundle_with_few_heads_is_looked_through_all_the_same(tmp_path: Path) -> None:
    bundle = tiny_networks.write(tmp_path / "b", {"boxes": tiny_networks.boxes()}, {})
    eye = ListeningEye(bundle)
    pixels = np.random.default_rng(0).random((64, 64)).astype(np.float32)
    seen = look(eye, [pixels] * 3)
    assert seen.boxes.shape == (3, 36, 4)
    assert np.isnan(seen.signs).all()
    assert eye.heads == {"boxes"}


def test_lungs_that_are_v7_s_own_boxes_overlap_wholly() -> None:
    found = real_rows.lungs(films(6))
    row = named(found, "lung IoU (v7)")
    assert row.value == pytest.approx(1.0, abs=1e-5)
    assert row.cases == "6 films of 6 patients"


def test_names_that_stay_behind_when_a_film_is_mirrored_are_counted() -> None:
    right = films(4)
    assert named(real_rows.sides(right), "agree").value == 1.0
    stuck = RealFilms("test patients", right.films, right.seen, right.seen)
    assert named(real_rows.sides(stuck), "agree").value == 0.0


def one_odd_one_without_boxes() -> RealFilms:
    """Four films: the lungs of the third have exchanged places, the fourth has no boxes of V7."""
    given = films(4)
    given.seen.boxes[2] = given.flipped.boxes[2]
    given.seen.v7_lungs[2] = given.seen.v7_lungs[2, ::-1]
    own = [*given.films[:3], replace(given.films[3], lungs=None)]
    return RealFilms(given.name, own, given.seen, given.flipped)


def test_sides_and_lungs_are_told_film_by_film() -> None:
    given = one_odd_one_without_boxes()
    assert real_rows.side_order(given.seen).tolist() == [1, 1, -1, 1]
    overlap = real_rows.lung_overlaps(given)
    assert overlap[:2] == pytest.approx(1.0, abs=1e-5)
    assert (overlap[2] == 0).all()
    assert np.isnan(overlap[3]).all()


def test_rows_groups_and_pictures_tell_the_same_of_sides_and_lungs() -> None:
    given = one_odd_one_without_boxes()
    told = groups.table(given, np.zeros((4, 4), int)).tables[groups.TABLE]["all"]
    assert told["right_side_right"] == named(real_rows.sides(given), "patient's right").value
    assert told["right_side_right"] == 0.75
    assert told["lung_iou"] == pytest.approx(2 / 3, abs=1e-4)
    assert named(real_rows.lungs(given), "lung IoU (v7)").value == pytest.approx(2 / 3, abs=1e-4)
    assert told["lung_films"] == 3
    cases = gallery.hard(given, LIMITS)
    assert [case.place for case in cases["sides read against the usual display"]] == [2]
    worst = cases["worst lungs against V7's boxes"]
    assert (len(worst), worst[0]) == (3, gallery.Case(2, "IoU 0.00"))


def test_boxes_that_leave_their_lungs_or_their_heart_do_not_agree() -> None:
    given = films(4)
    height, width = given.films[0].pixels.shape
    scale = np.asarray((width, height, width, height), np.float32)
    given.seen.boxes[:] = follow((given.seen.boxes[0] / scale).astype("f4"), width / height) * scale
    zones, heart = rule_rows.agreeing(given).rows
    assert zones.value == pytest.approx(1.0, abs=1e-4)
    assert heart.value == pytest.approx(1.0, abs=1e-4)
    given.seen.boxes[0, rule_rows.ZONES] += (0, 9, 0, 9)
    given.seen.boxes[1] = given.flipped.boxes[1]  # shown the other way round: not asked
    spoilt, same = rule_rows.agreeing(given).rows
    assert spoilt.value is not None
    assert spoilt.value < 0.95
    assert same.value == pytest.approx(1.0, abs=1e-4)
    assert spoilt.cases == "3 films of 3 patients"


def test_a_group_without_lung_boxes_has_no_figure_for_them() -> None:
    given = one_odd_one_without_boxes().take([3], "the last")
    told = groups.table(given, np.zeros((1, 4), int)).tables[groups.TABLE]["all"]
    assert told["lung_iou"] is None
    assert told["lung_films"] == 0


def test_calling_no_finding_films_abnormal_is_counted_once_a_film() -> None:
    states = np.zeros((10, 4), int)
    states[0] = served.PRESENT
    states[1, 2] = served.PRESENT
    states[2, 1] = served.POSSIBLE
    states[3, OBSERVATIONS.index(Observation.ENLARGED_CARDIAC_SILHOUETTE)] = served.POSSIBLE
    found = label_rows.labels(films(10), states, TRAIN)
    assert named(found, "No-Finding films called abnormal").value == pytest.approx(0.2)
    assert named(found, "abnormal, or possibly so").value == pytest.approx(0.4)
    assert named(found, "possibly so, but for the heart").value == pytest.approx(0.3)


def test_figures_by_group_say_how_many_films_and_whom() -> None:
    states = np.zeros((10, 4), int)
    states[0] = served.PRESENT
    told = groups.table(films(10), states).tables[groups.TABLE]
    assert told["all"]["films"] == 10
    assert told["all"]["no_finding_called_abnormal"] == pytest.approx(0.1)
    assert told["18 to 44 years"]["films"] == 5
    assert told["45 to 64 years"]["patients"] == 5
    assert told["NIH"]["lung_iou"] == pytest.approx(1.0, abs=1e-5)
    assert told["sex not told"]["right_side_right"] == 1.0


def test_drafts_say_what_the_rules_make_of_the_numbers() -> None:
    film_of_a_mass = onnx_file.EXAMPLES / "frontal-with-mass.png"
    with Image.open(film_of_a_mass) as picture:
        pixels = np.asarray(picture, np.float32)
    noise = np.random.default_rng(0).random((320, 320)).astype(np.float32)
    said = served.states(ListeningEye(bundles.find()), [pixels, noise])
    assert said.shape == (2, 4)
    assert said[0].max() >= served.POSSIBLE
    assert said[1].max() == 0


def test_the_timed_film_is_read_to_the_end() -> None:
    found = speed.speed(OnnxEye(bundles.find()), runs=1)
    assert all("read to the end" in row.cases for row in found.rows)
    assert all(row.value for row in found.rows)


def test_too_few_labelled_films_give_no_figure() -> None:
    row = named(
        label_rows.labels(films(10), np.zeros((10, 4), int), TRAIN), "pleural effusion, within AP"
    )
    assert row.value is None
    assert row.note.startswith("too few")


def test_pointing_hits_where_the_mask_is_strongest() -> None:
    masks = np.zeros((2, 8, 160, 160), np.uint8)
    masks[:, 0, 14:142, 14:71] = 255
    masks[:, 4, 43, 29] = 200
    given = films(2, masks=masks)
    boxes = {given.films[0].name: np.asarray((0.1, 0.2, 0.3, 0.4)),
             given.films[1].name: np.asarray((0.6, 0.2, 0.9, 0.4))}  # fmt: skip
    (row,) = label_rows.pointing(given, boxes, set()).rows
    assert row.value == 0.5
    assert "by chance" in row.baseline


def test_hard_cases_are_drawn_small_and_named() -> None:
    chances = np.zeros((5, 4))
    chances[2, 1] = 0.9
    given = films(5, findings=chances, in_scope=np.asarray([1, 1, 1, 1, 0.1]))
    cases = gallery.hard(given, LIMITS)
    assert [case.place for case in cases["labelled No Finding, yet called present"]] == [2]
    assert [case.place for case in cases["refused"]] == [4]
    picture = gallery.strip(given, cases["worst lungs against V7's boxes"])
    assert picture.startswith("data:image/jpeg;base64,")
    assert (
        len(base64.b64decode(picture.split(",")[1])) < 200_000
    )  # of noise, which no coding shrinks


def test_a_training_log_becomes_curves(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text(
        "step 20/400 1.23 s: boxes 0.50 masks 0.2\nwords\nstep 40/400 1.2 s: boxes 0.40\n"
    )
    assert report.history(log) == {"boxes": [0.5, 0.4], "masks": [0.2]}
    assert report.history(tmp_path / "none.log") == {}


FIGURES = {
    "bundle": "mini 1", "network_sha256": "ab" * 32, "part": "valid",
    "figures": [Row("real", "IoU | lungs", 0.8123, Reach(0.8), (0.7, 0.9)).to_json(),
                Row("real", "AUROC", 0.5, Reach(0.75)).to_json()],
    "signs": {"mass": {"auroc": None, "with": 3, "without": 40}},
}  # fmt: skip


def test_the_card_is_filled_between_its_marks_and_nowhere_else() -> None:
    written = f"# Card\n\nwords\n{card.START}\nold 0.1\n{card.END}\nmore words\n"
    text = card.filled(written, FIGURES)
    assert text.startswith("# Card\n\nwords\n")
    assert text.endswith("\nmore words\n")
    assert "old" not in text
    assert "| IoU / lungs | ≥ 0.8 | 0.812 | 0.700 to 0.900 | yes |" in text
    assert "**no**" in text
    assert "| mass | too few | 3 : 40 |" in text
    assert card.filled(text, FIGURES) == text


def test_a_card_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="must hold"):
        card.filled("# Card", FIGURES)
