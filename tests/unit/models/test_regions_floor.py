"""The summit of a dome and the costophrenic angle, by the rules of docs/regions.md."""

import numpy as np
import pytest

pytest.importorskip("torch")

from models.simulate import regions

SIDE = 100
OUT = {"right": -1, "left": 1}


def _lung(side: str) -> np.ndarray:
    """A lung of columns 55 to 90 with a flat floor at row 80; the right one is its mirror."""
    mask = np.zeros((SIDE, SIDE), bool)
    mask[10:80, 55:90] = True
    mask[80:81, 60:64] = True  # the lowest row of all lies in the middle
    return mask if side == "left" else mask[:, ::-1].copy()


def _at(side: str, x: float) -> float:
    return x if side == "left" else SIDE - x


@pytest.mark.parametrize("side", OUT)
def test_on_a_flat_floor_the_angle_is_the_outer_corner(side: str) -> None:
    summit, (x, y) = regions._floor(_lung(side), np.zeros((SIDE, SIDE), bool), OUT[side])
    assert (x, y) == (_at(side, 89.5), 80)
    assert summit == 80


@pytest.mark.parametrize("side", OUT)
def test_a_deep_recess_inside_the_wall_is_the_angle(side: str) -> None:
    mask = _lung("left")
    for step in range(12):  # an angle that runs down beside the wall, which leans inwards
        mask[80 + step, 78 : 88 - step // 3] = True
    mask = mask if side == "left" else mask[:, ::-1]
    _, (x, y) = regions._floor(mask, np.zeros((SIDE, SIDE), bool), OUT[side])
    assert y >= 88
    assert abs(x - _at(side, 85)) <= 3


@pytest.mark.parametrize("side", OUT)
def test_where_the_heart_ends_the_lung_there_is_no_dome(side: str) -> None:
    mask, heart = _lung("left"), np.zeros((SIDE, SIDE), bool)
    heart[40:78, 50:70] = True
    mask[40:, 50:70] = False
    mask, heart = (m if side == "left" else m[:, ::-1] for m in (mask, heart))
    assert regions._floor(mask, heart, OUT[side])[0] == 80
    assert regions._floor(mask, np.zeros_like(heart), OUT[side])[0] == 40


def test_a_dome_has_its_highest_point_as_summit() -> None:
    mask = np.zeros((SIDE, SIDE), bool)
    for x in range(40, 90):
        mask[10 : 60 + abs(x - 65), x] = True
    summit, (x, y) = regions._floor(mask, np.zeros_like(mask), 1)
    assert summit == pytest.approx(61, abs=2)
    assert (x, y) == (89.5, 84)
