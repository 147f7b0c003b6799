"""What follows from lungs, domes and heart lies where the rules of docs/regions.md place it."""

import numpy as np
import pytest

pytest.importorskip("torch")

from models.anatomy.heads import REGIONS
from models.simulate import regions as rules
from models.training.batches import FIRST, FOLLOW_HEART, Pseudo, RealStream, _corners
from models.training.drawn import Drawn
from models.training.follow import CHEST_MM, FOLLOWED, follow
from models.training.real import RealFilm
from models.vocabulary import AnatomicStructure as A

PLACE = {name: place for place, name in enumerate(REGIONS)}


def chest(n: int = 400) -> rules.Fields:
    """Two lungs and a heart as masks on a film of n x n, of usual proportions."""
    y, x = np.mgrid[:n, :n] / n

    def oval(cx: float, cy: float, wide: float, high: float) -> np.ndarray:
        return ((x - cx) / wide) ** 2 + ((y - cy) / high) ** 2 < 1

    heart = oval(0.53, 0.62, 0.15, 0.13)
    right, left = oval(0.32, 0.46, 0.14, 0.3), oval(0.68, 0.46, 0.14, 0.3)
    whole = np.ones((n, n), bool)
    width = (np.ptp(np.flatnonzero((right | left).any(0))) + 1) / n
    return rules.Fields(right, left & ~heart, heart, whole, CHEST_MM / (width * n))


def by_the_rules(fields: rules.Fields) -> np.ndarray:
    """Boxes of the simulator's own rules, 0..1; zeros for regions that need more than masks."""
    n = fields.heart.shape[0]
    found = {name: rules._box(mask) for name, mask in (
        (A.RIGHT_LUNG, fields.right_lung), (A.LEFT_LUNG, fields.left_lung),
        (A.CARDIAC_SILHOUETTE, fields.heart))}  # fmt: skip
    found |= rules._lung_parts(fields)
    found |= rules.heart_parts(found[A.CARDIAC_SILHOUETTE], found, fields.pixel_mm)
    boxes = np.zeros((36, 4), np.float32)
    for name, box in found.items():
        boxes[PLACE[name]] = np.asarray(box) / n
    return boxes


def test_what_follows_is_what_the_simulators_rules_make() -> None:
    truth = by_the_rules(chest())
    spoilt = truth.copy()
    told = np.flatnonzero(truth.any(1))
    loose = [p for p in told if p not in [PLACE[name] for name in FOLLOWED]]
    spoilt[loose, 1::2] += np.random.default_rng(1).normal(0, 0.05, (len(loose), 2))
    spoilt[FOLLOW_HEART] = 0.5
    angles = [PLACE[A.RIGHT_COSTOPHRENIC_ANGLE], PLACE[A.LEFT_COSTOPHRENIC_ANGLE]]
    moved = follow(spoilt, 1.0)
    own = [place for place in told if place not in angles]
    assert np.abs(moved[own] - truth[own]).max() < 0.006  # thirds are rounded to whole pixels
    assert np.array_equal(moved[angles], np.clip(spoilt[angles], 0, 1))


def test_a_film_that_is_no_square_keeps_millimetres_alike_in_both_directions() -> None:
    truth = by_the_rules(chest())
    tall = truth * np.asarray((1.0, 0.75, 1.0, 0.75), np.float32)  # the same on a film of 3 : 4
    border, angle = PLACE[A.RIGHT_CARDIAC_BORDER], PLACE[A.LEFT_CARDIOPHRENIC_ANGLE]
    moved = follow(tall, 3 / 4)
    assert moved[border] == pytest.approx(tall[border], abs=0.006)
    width, height = moved[angle, 2] - moved[angle, 0], moved[angle, 3] - moved[angle, 1]
    assert height / 0.75 == pytest.approx(width, abs=0.004)


def test_zones_do_not_reach_out_of_their_lung_and_the_mediastinum_holds_the_heart() -> None:
    boxes = by_the_rules(chest())
    boxes[PLACE[A.LEFT_MID_LUNG_ZONE], [0, 2]] = 0.1, 0.99
    boxes[PLACE[A.MEDIASTINUM]] = 0.5, 0.3, 0.52, 0.4
    moved = follow(boxes, 1.0)
    lung, heart = moved[PLACE[A.LEFT_LUNG]], moved[PLACE[A.CARDIAC_SILHOUETTE]]
    assert moved[PLACE[A.LEFT_MID_LUNG_ZONE], [0, 2]] == pytest.approx(lung[[0, 2]])
    middle = moved[PLACE[A.MEDIASTINUM]]
    assert middle == pytest.approx((heart[0], lung[1], heart[2], heart[3]))


def a_film(drawn: Drawn | None) -> RealFilm:
    pixels = np.random.default_rng(2).integers(0, 255, (300, 300)).astype(np.uint8)
    return RealFilm("film", "patient", "PA", 50, frozenset(), pixels, None, drawn)


def shapes(fields: rules.Fields, shift: float) -> dict[str, tuple[float, ...]]:
    boxes = by_the_rules(fields) + shift
    names = {"heart": A.CARDIAC_SILHOUETTE, "right_lung": A.RIGHT_LUNG, "left_lung": A.LEFT_LUNG}
    found = {name: tuple(float(v) for v in boxes[PLACE[region]]) for name, region in names.items()}
    for side, dome in (("right", A.RIGHT_HEMIDIAPHRAGM), ("left", A.LEFT_HEMIDIAPHRAGM)):
        x0, y0, x1, _ = boxes[PLACE[dome]]
        found[f"{side}_dome"] = (float(x0 + x1) / 2, float(y0) + 0.02)
    return found


def test_what_a_teacher_saw_moves_with_what_was_drawn() -> None:
    seen, fields = by_the_rules(chest()), chest()
    teacher = Pseudo(seen, np.full(36, 0.2, np.float32), np.zeros((3, 112, 112), np.float32), 0.0)
    corners, trusted = _corners(a_film(Drawn(shapes(fields, 0.05))), teacher)
    zone = PLACE[A.RIGHT_MID_LUNG_ZONE]
    assert corners[zone, 1::2] == pytest.approx(seen[zone, 1::2] + 0.05, abs=0.01)
    assert corners[FOLLOW_HEART] == pytest.approx(seen[FOLLOW_HEART] + 0.05, abs=0.02)
    assert (trusted[FOLLOW_HEART] == 1.0).all()
    assert (trusted[FIRST] == 2.0).all()
    assert trusted[zone] == pytest.approx(0.2)
    sample = RealStream([a_film(Drawn(shapes(fields, 0.05)))], {"film": teacher}).sample(
        np.random.default_rng(0)
    )
    assert (sample.boxes_known[FOLLOW_HEART] == 1.0).all()


def test_a_film_of_which_nothing_is_known_teaches_no_box() -> None:
    corners, trusted = _corners(a_film(None), None)
    assert not corners.any()
    assert not trusted.any()
