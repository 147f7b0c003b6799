"""Films made for exams and controls, from made-up projections."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")

import onnxruntime
import tiny_networks
from evaluation_builders import CORNERS, projections

from models.anatomy.heads import MASKS, SIGNS
from models.errors import WeightsMismatch
from models.evaluation import controls, limits, platt, scope_rows
from models.evaluation.examiner import Examiner
from models.evaluation.exams import OPEN, PRESENT, Order
from models.vocabulary import MaskName, Sign

MASS = SIGNS.index(Sign.MASS)


def test_the_same_order_gives_the_same_film_bit_for_bit() -> None:
    examiner = Examiner(projections())
    first, second = (examiner.exam(Order(3, 1, 1)) for _ in range(2))
    assert (first.film == second.film).all()
    assert (first.boxes == second.boxes).all()


def test_a_finding_at_no_contrast_leaves_the_film_of_the_empty_scene() -> None:
    examiner = Examiner(projections())
    empty = examiner.exam(Order(5, 0, 0))
    null = examiner.exam(Order(5, 0, 1, contrast=0.0))
    shown = examiner.exam(Order(5, 0, 1))
    assert (null.film == empty.film).all()
    assert not (shown.film == empty.film).all()
    assert null.signs[MASS] == PRESENT
    assert empty.signs[MASS] != PRESENT


def test_a_finding_has_its_size_its_contrast_and_its_mask() -> None:
    shown = Examiner(projections()).exam(Order(5, 0, 1))
    assert shown.sizes[MASS] == 40
    assert shown.contrast[MASS] == pytest.approx(60, rel=0.01)
    assert shown.masks[MASKS.index(MaskName.MASS)].any()
    assert shown.attributes[:, MASS].sum() == 1


def test_boxes_lie_where_the_body_is_and_turn_with_a_mirrored_film() -> None:
    examiner = Examiner(projections())
    usual, turned = (examiner.exam(Order(2, 0, 0, mirrored=m)) for m in (False, True))
    right = 20
    assert usual.boxes[right, 0] + turned.boxes[right, 2] == pytest.approx(320, abs=0.01)
    assert usual.boxes[right, 1] == turned.boxes[right, 1]
    shape = usual.boxes[right, 2:] - usual.boxes[right, :2]
    true = CORNERS[right, 2:] - CORNERS[right, :2]
    assert shape[0] / shape[1] == pytest.approx(float(true[0] / true[1]), rel=0.15)


def test_the_second_method_inserts_without_the_scene() -> None:
    examiner = Examiner(projections())
    empty = examiner.exam(Order(7, 0, 0))
    flat = examiner.exam(Order(7, 0, 0, flat=Sign.PLEURAL_EFFUSION))
    place = SIGNS.index(Sign.PLEURAL_EFFUSION)
    assert flat.signs[place] in {PRESENT, OPEN}
    assert flat.masks[MASKS.index(MaskName.PLEURAL_EFFUSION)].any()
    assert not (flat.film == empty.film).all()
    assert not examiner.bases.added[0, 0].any()  # the projections themselves are left alone


def test_orders_take_bases_in_turn_and_leave_a_third_empty() -> None:
    orders = Examiner(projections()).orders(300)
    assert [order.base for order in orders[:4]] == [0, 1, 0, 1]
    assert 70 < sum(order.scene == 0 for order in orders) < 130
    assert 20 < sum(order.mirrored for order in orders) < 70


def test_painting_hides_the_place_on_both_films_alike() -> None:
    rng = np.random.default_rng(0)
    film = rng.random((320, 320)).astype(np.float32) + 0.01
    mask = np.zeros((160, 160), bool)
    mask[50:55, 50:55] = True
    painted = controls.paint(film, mask)
    assert len(np.unique(painted[100:110, 100:110])) == 1
    assert (painted[:60] == film[:60]).all()


def test_the_grain_classifier_learns_what_is_in_the_grain() -> None:
    rng = np.random.default_rng(1)
    films = [grain_of(rng, rough=i % 2 == 0) for i in range(40)]
    grain = np.stack([controls.energies(film) for film in films])
    labels = np.arange(40) % 2 == 0
    weights = controls.ridge(grain[:30], labels[:30])
    scores = grain[30:] @ weights[:-1] + weights[-1]
    assert scores[::2].min() > scores[1::2].max()


def grain_of(rng: np.random.Generator, *, rough: bool) -> np.ndarray:
    """Noise, with one rough corner or without."""
    film = 0.5 + 0.01 * rng.standard_normal((320, 320)).astype(np.float32)
    if rough:
        film[:48, :48] += 0.2 * rng.standard_normal((48, 48)).astype(np.float32)
    return film


def test_changed_films_are_what_they_say() -> None:
    rng = np.random.default_rng(2)
    film = rng.random((30, 20)).astype(np.float32)
    assert (scope_rows.inverted(rng, film) == 1 - film).all()
    assert scope_rows.rotated(rng, film).shape == (20, 30)
    assert (scope_rows.upside_down(rng, film)[0, 0] == film[-1, -1]).all()
    noise = scope_rows.drowned(rng, film)
    assert noise.shape == film.shape
    assert (noise.min(), noise.max()) == (0, 1)


def scaled_signs(folder: Path) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(folder / "network.onnx"))
    film = np.zeros((1, 1, tiny_networks.SIDE, tiny_networks.SIDE), np.float32)
    names = [port.name for port in session.get_outputs()]
    return np.asarray(session.run(None, {"film": film})[names.index(platt.SIGNS.target)])[0]


def test_scaling_becomes_part_of_the_network_and_replaces_what_it_held(tmp_path: Path) -> None:
    signs = np.arange(20, dtype=np.float32)
    tiny_networks.network(
        tmp_path / "network.onnx", {"out_boxes": tiny_networks.boxes(), platt.SIGNS.target: signs}
    )
    assert platt.read(tmp_path / "network.onnx") is None
    platt.fold(tmp_path / "network.onnx", np.full(20, 2.0), np.full(20, -1.0))
    assert scaled_signs(tmp_path) == pytest.approx(2 * signs - 1)
    platt.fold(tmp_path / "network.onnx", np.full(20, 3.0), np.zeros(20))
    assert scaled_signs(tmp_path) == pytest.approx(3 * signs)
    held = platt.read(tmp_path / "network.onnx")
    assert held is not None
    assert held[0].tolist() == [3.0] * 20


def test_a_network_without_signs_cannot_be_scaled(tmp_path: Path) -> None:
    tiny_networks.network(tmp_path / "network.onnx", {"out_boxes": tiny_networks.boxes()})
    with pytest.raises(WeightsMismatch):
        platt.fold(tmp_path / "network.onnx", np.ones(20), np.zeros(20))


def test_within_one_body_what_the_body_tells_is_left_out() -> None:
    place = list(Sign).index(Sign.MASS)
    exams, scores = [], []
    for base in range(10):
        for number in range(4):
            signs = np.zeros(20, np.int8)
            signs[place] = base < 5 if number < 2 else number == 3
            exams.append(SimpleNamespace(signs=signs, order=Order(number, base, 1)))
            scores.append(float(base < 5))  # the body tells all, the finding nothing
    logits = np.zeros((40, 20), np.float32)
    logits[:, place] = scores
    assert controls._arms(exams, logits, Sign.MASS).auroc > 0.6
    assert np.isnan(controls.within(exams[:8], logits[:8], Sign.MASS))
    exams, logits = exams * 3, np.tile(logits, (3, 1))
    assert controls.within(exams, logits, Sign.MASS) == 0.5


def test_a_mask_begins_where_it_overlaps_the_truth_best() -> None:
    truth = np.zeros((3, 8, 8), bool)
    truth[:, 2:6, 2:6] = True
    empty = np.zeros((2, 8, 8), np.uint8)
    faint = np.where(truth, 60, 5).astype(np.uint8)  # a chance of 0.24 within, 0.02 without
    assert limits.of_mask(faint, truth, empty) == 0.1
    assert limits.of_mask(faint, truth, np.full_like(empty, 40)) == 0.2  # 0.16 of calm films
    sure = np.where(truth, 250, 5).astype(np.uint8)
    assert limits.of_mask(sure, truth, None) == 0.5
    assert limits.of_mask(sure, truth, np.full_like(empty, 160)) == 0.7
    assert limits.of_mask(sure, truth, np.full_like(empty, 255)) == 0.95
    wide = sure.copy()
    wide[:, 6:] = 160  # 0.63, beyond the truth
    assert limits.of_mask(wide, truth, empty) == 0.7


def test_the_level_of_a_mask_is_folded_per_plane(tmp_path: Path) -> None:
    masks = np.zeros((8, 4, 4), np.float32)
    path = tmp_path / "network.onnx"
    tiny_networks.network(path, {"out_boxes": tiny_networks.boxes(), "out_masks": masks})
    offsets = np.arange(8, dtype=np.float32)[:, None, None]
    platt.fold(path, np.ones((8, 1, 1)), offsets, platt.MASKS)
    assert platt.read(path) is None
    held = platt.read(path, platt.MASKS)
    assert held is not None
    assert held[1].shape == (8, 1, 1)
    session = onnxruntime.InferenceSession(str(path))
    film = np.zeros((1, 1, tiny_networks.SIDE, tiny_networks.SIDE), np.float32)
    names = [port.name for port in session.get_outputs()]
    drawn = np.asarray(session.run(None, {"film": film})[names.index("out_masks")])[0]
    assert drawn[:, 0, 0].tolist() == list(range(8))


def _view(calm: np.ndarray, labelled: tuple[float, ...] = ()) -> limits.RealScores:
    return limits.RealScores(calm, np.asarray(labelled))


def test_limits_keep_false_alarms_on_plain_and_calm_films_rare() -> None:
    rng = np.random.default_rng(4)
    labels = np.arange(1000) % 4 == 0
    scores = np.where(labels, rng.beta(4, 2, 1000), rng.beta(2, 6, 1000))
    calm = rng.beta(2, 4, 200)
    absent, present = limits.of_finding(scores, labels, ~labels, [_view(calm)])
    assert absent <= present
    assert (scores[~labels] >= present).mean() <= 0.02
    assert (calm >= present).mean() <= 0.055
    assert (scores[labels] < absent).mean() <= 0.085


def test_a_sign_hardly_ever_seen_is_neither_called_nor_excluded() -> None:
    labels = np.zeros(100)
    labels[:3] = 1
    assert limits.of_sign(np.linspace(0, 1, 100), labels, labels < 1, np.zeros(0)) == [0.0, 0.98]


def test_sides_are_stated_for_nearly_all_films_and_only_where_nearly_always_right() -> None:
    rng = np.random.default_rng(5)
    mirrored = np.arange(2000) % 2 == 0
    evidence = np.where(mirrored, 1, -1) * np.abs(rng.normal(6, 2, 2000))
    doubt = np.linspace(0.1, 0.2, 20)
    evidence[:20] = np.where(mirrored[:20], -doubt, doubt)  # wrong, and unsure of it
    chosen = limits.of_sides(evidence, mirrored, -np.abs(rng.normal(6, 2, 500)))
    sure = np.abs(evidence) >= chosen["sides_sure"]
    assert sure.mean() >= 0.96
    assert (np.sign(evidence[sure]) == np.where(mirrored[sure], 1, -1)).mean() >= 0.995
    assert chosen["sides_declared"] >= limits.DECLARED_LEAST


def test_what_is_suspected_on_most_calm_films_is_not_excluded() -> None:
    labels = np.arange(1000) % 4 == 0
    scores = np.where(labels, 0.6, 0.05) + np.linspace(0, 0.1, 1000)
    quiet, doubtful = np.full(50, 0.1), np.full(50, 0.65)
    assert limits.of_finding(scores, labels, ~labels, [_view(quiet)])[0] > 0.1
    assert limits.of_finding(scores, labels, ~labels, [_view(doubtful)] * 2)[0] == 0.0


def test_few_calm_films_are_suspected_where_labelled_ones_show_that_little_is_risked() -> None:
    labels = np.arange(1000) % 4 == 0
    scores = np.where(labels, np.linspace(0, 1, 1000), 0.0)
    calm = np.linspace(0, 0.18, 50)
    usual = limits.of_finding(scores, labels, ~labels, [_view(calm)])[0]
    assert usual == pytest.approx(0.08, abs=0.002)
    half = limits.of_finding(scores, labels, ~labels, [_view(calm, (0.9,) * 9)])[0]
    assert half == pytest.approx(0.12, abs=0.002)  # as many of the simulated ones may be missed
    faint = limits.of_finding(scores, labels, ~labels, [_view(calm, (0.09,) * 9)])[0]
    assert faint == pytest.approx(0.09, abs=0.002)
    asked = _view(np.linspace(0, 0.1, 50), (0.9,) * 9)  # the other view asks for less
    loudest = limits.of_finding(scores, labels, ~labels, [_view(calm, (0.9,) * 9), asked])[0]
    assert loudest == half
    spread = (*np.linspace(0.1, 0.2, 9).tolist(),)  # and now one of them forbids it
    careful = limits.of_finding(scores, labels, ~labels, [_view(calm, (0.9,) * 9),
                                                          _view(calm, spread)])[0]  # fmt: skip
    assert careful == pytest.approx(0.108, abs=0.002)
    blind = [_view(calm, (0.01,) * 7), _view(np.zeros(50), (0.9,) * 9)]
    assert limits.of_finding(scores, labels, ~labels, blind)[0] == usual
    few = limits.of_finding(scores, labels, ~labels, [_view(calm, (0.9,) * 3)])[0]
    assert few == usual  # too few labelled films to know what is risked
