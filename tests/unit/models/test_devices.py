import numpy as np
import pytest

pytest.importorskip("torch")

from toy_chest import build

from models.simulate import clutter, devices
from models.simulate.devices_stroke import Plate, Tube, draw_plate, draw_tube, flat_curve, smooth
from models.simulate.devices_tips import Tip
from models.simulate.pose import Pose, Projection
from models.simulate.projector import Detector, Projector
from models.simulate.where import Finder
from models.vocabulary import Side, Sign

DETECTOR = Detector(side=160, steps=40)
STANCE = Pose(Projection.AP, heart=1.0)
SIDED = (Sign.CHEST_TUBE, Sign.CENTRAL_VENOUS_LINE, Sign.PACEMAKER)


@pytest.fixture(scope="module")
def projector() -> Projector:
    return build()[0]


def _drawn(projector: Projector, sign: Sign, seeds: int = 12) -> list[devices.Device]:
    found = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        found += devices.draw(rng, projector, STANCE, DETECTOR, [sign])
    return found


@pytest.mark.parametrize("sign", devices.DEVICES)
def test_every_device_shows_adds_attenuation_and_knows_its_tip(
    projector: Projector, sign: Sign
) -> None:
    for one in _drawn(projector, sign):
        assert one.sign is sign
        assert one.mask.sum() > 10
        assert (one.added_soft + one.added_bone)[one.mask].mean() > 0.3
        total = np.abs(one.added_soft) + np.abs(one.added_bone)
        assert total[one.mask].sum() > 0.5 * total.sum()
        assert (one.side is not None) == (sign in SIDED)
        x, y = (int(v) for v in one.tip_px)
        if 2 <= x < 158 and 2 <= y < 158 and sign is not Sign.CHEST_TUBE:
            assert one.mask[y - 2 : y + 3, x - 2 : x + 3].any()


@pytest.mark.parametrize("sign", devices.DEVICES)
def test_one_seed_draws_one_device(projector: Projector, sign: Sign) -> None:
    one, same = (
        devices.draw(np.random.default_rng(3), projector, STANCE, DETECTOR, [sign])[0]
        for _ in range(2)
    )
    assert one.added_soft.tobytes() == same.added_soft.tobytes()
    assert one.added_bone.tobytes() == same.added_bone.tobytes()
    assert one.tip_px == same.tip_px


def test_a_tube_in_the_airway_ends_as_high_as_its_words_say(projector: Projector) -> None:
    seen = set()
    for one in _drawn(projector, Sign.ENDOTRACHEAL_TUBE, 40):
        height, tip = one.tip_above_carina_mm, one.tip
        seen.add(tip)
        assert one.misplaced == (tip is not Tip.TRACHEA)
        assert (20.0 <= height <= 72.0) == (tip is Tip.TRACHEA)
        assert (height > 70.0) == (tip is Tip.HIGH_TRACHEA)
        assert (height < 0.0) == (tip in {Tip.RIGHT_MAIN_BRONCHUS, Tip.LEFT_MAIN_BRONCHUS})
    assert {Tip.TRACHEA, Tip.RIGHT_MAIN_BRONCHUS, Tip.HIGH_TRACHEA} <= seen


def test_the_tip_of_a_tube_is_on_the_film_where_it_is_in_the_patient(projector: Projector) -> None:
    carina = Finder(projector, STANCE, DETECTOR).find(np.zeros((1, 3))).y[0]
    for one in _drawn(projector, Sign.ENDOTRACHEAL_TUBE, 20):
        assert (one.tip_px[1] < carina) == (one.tip_above_carina_mm > 0)


def test_a_chest_tube_lies_on_its_side_of_the_patient(projector: Projector) -> None:
    sides = set()
    for one in _drawn(projector, Sign.CHEST_TUBE, 16):
        left_half = one.mask[:, 80:].sum() > one.mask[:, :80].sum()
        assert left_half == (one.side is Side.LEFT)
        sides.add(one.side)
    assert sides == set(Side)


def test_a_misplaced_line_says_so(projector: Projector) -> None:
    lines = _drawn(projector, Sign.CENTRAL_VENOUS_LINE, 45)
    astray = {Tip.JUGULAR, Tip.OTHER_BRACHIOCEPHALIC, Tip.RIGHT_ATRIUM}
    assert any(one.misplaced for one in lines)
    assert all(one.tip in astray for one in lines if one.misplaced)
    right = (Tip.SUPERIOR_CAVA, Tip.CAVOATRIAL)
    assert sum(one.tip in right for one in lines) > len(lines) / 2


def test_without_a_wish_devices_come_as_often_as_the_shares_say(projector: Projector) -> None:
    rng = np.random.default_rng(0)
    counts = dict.fromkeys(devices.DEVICES, 0)
    for _ in range(400):
        for sign in devices._choose(rng, STANCE):
            counts[sign] += 1
    for sign, share in devices.SHARES[Projection.AP].items():
        assert counts[sign] / 400 == pytest.approx(share, abs=0.07)
    tiny = Detector(side=12, width_mm=6.0, steps=40)  # sees none of it
    assert devices.draw(rng, projector, STANCE, tiny, [Sign.PACEMAKER]) == []


@pytest.mark.parametrize("pixel_mm", [1.63, 0.8, 0.23])
def test_a_line_keeps_its_attenuation_on_any_grid(pixel_mm: float) -> None:
    tube = Tube(2.4, 1.2, wall=1.2, metal=3.0)
    side = int(120 / pixel_mm)
    plate = Plate.blank((side, side), pixel_mm)
    ends = np.asarray([(30.0, 20.0), (90.0, 100.0)]) / pixel_mm
    draw_tube(plate, flat_curve(smooth(ends), pixel_mm), tube)
    section = np.pi * (1.2**2 - 0.6**2)  # mm² of wall
    assert plate.bone.sum() * pixel_mm**2 == pytest.approx(3.0 * section * 100.0, rel=0.03)
    assert plate.soft.sum() * pixel_mm**2 == pytest.approx(1.2 * section * 100.0, rel=0.03)
    assert plate.mask.sum() * pixel_mm**2 == pytest.approx(240.0, rel=0.55)


def test_on_a_fine_grid_wall_and_lumen_of_a_tube_are_seen_apart() -> None:
    plate = Plate.blank((200, 200), 0.2)
    middle = np.asarray([(100.0, 0.0), (100.0, 200.0)])
    draw_tube(plate, flat_curve(middle, 0.2), Tube(10.0, 7.0, wall=1.5))
    row = plate.soft[100]
    assert row[82] > 2.0 * row[100]  # 3.5 mm beside the axis the beam meets most wall
    assert row[70] == 0.0


def test_a_plate_covers_its_area() -> None:
    plate = Plate.blank((60, 60), 1.0)
    corners = np.asarray([(10.25, 10.0), (40.25, 10.0), (40.25, 30.5), (10.25, 30.5)])
    draw_plate(plate, corners, 2.0, 5.0, blur=0.0)
    assert plate.bone.sum() == pytest.approx(5.0 * 30.0 * 20.5, rel=0.01)
    assert plate.cover.max() == 1.0


@pytest.mark.parametrize("name", clutter.SHARES)
def test_every_kind_of_clutter_can_be_drawn(name: str) -> None:
    plate = Plate.blank((144, 144), 3.2)
    clutter.DRAWN[name](np.random.default_rng(1), plate)
    assert (np.abs(plate.soft) + np.abs(plate.bone)).max() > 0.3


def test_clutter_comes_on_some_films_only_and_is_repeatable() -> None:
    def one(seed: int) -> tuple[np.ndarray, np.ndarray]:
        return clutter.external(np.random.default_rng(seed), (96, 96), 4.9)

    empty = [not np.any(one(seed)[0]) and not np.any(one(seed)[1]) for seed in range(40)]
    assert 0.2 < np.mean(empty) < 0.8
    assert one(2)[0].tobytes() == one(2)[0].tobytes()
