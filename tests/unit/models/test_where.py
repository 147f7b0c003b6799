from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from toy_chest import SHAPE, SPACING, build

from models.simulate import phantom, pose
from models.simulate.pose import Pose, Projection
from models.simulate.projector import Detector, Projector
from models.simulate.where import SOURCE_SPACING_MM, Finder, from_voxels

CARINA_MM = (272.0, 160.0, 224.0)  # of the toy
BALLS = ((240.0, 150.0, 150.0), (200.0, 210.0, 260.0), (280.0, 110.0, 300.0))
DETECTOR = Detector(side=144, steps=120)


def _one_ball(centre: tuple[float, float, float]) -> Projector:
    """Nothing but a ball of 20 mm in air."""
    grid = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    away = sum((g * s - c) ** 2 for g, s, c in zip(grid, SPACING, centre, strict=True))
    soft = np.clip(2.0 - np.sqrt(away) / 12.0, 0.0, 1.0).astype(np.float32)
    nothing = np.zeros(SHAPE, np.float32)
    return Projector(
        phantom.Phantom(soft, nothing, nothing.astype(np.uint8), SPACING, CARINA_MM,
                        (208.0, 192.0, 256.0))
    )  # fmt: skip


def _stances() -> list[Pose]:
    rng = np.random.default_rng(4)
    drawn = [pose.draw(rng, view) for view in (Projection.PA, Projection.AP)]
    turned = replace(drawn[0], yaw=14.0, pitch=-12.0, roll=8.0, heart=1.5)
    return [*drawn, turned, replace(drawn[1], mediastinum_mm=25.0, widening=1.6)]


@pytest.mark.parametrize("centre", BALLS)
@pytest.mark.parametrize("stance", _stances(), ids=("pa", "ap", "turned", "shifted"))
def test_a_point_is_found_where_the_projector_shows_it(
    stance: Pose, centre: tuple[float, float, float]
) -> None:
    projector = _one_ball(centre)
    seen = projector.project(stance, DETECTOR).soft
    rows, columns = np.mgrid[: DETECTOR.side, : DETECTOR.side] + 0.5
    offset = np.asarray(centre) - CARINA_MM
    found = Finder(projector, stance, DETECTOR).find(offset[None])
    assert found.error_mm[0] < 0.1
    assert found.x[0] == pytest.approx((seen * columns).sum() / seen.sum(), abs=0.7)
    assert found.y[0] == pytest.approx((seen * rows).sum() / seen.sum(), abs=0.7)


def test_what_is_near_the_detector_is_enlarged_less() -> None:
    projector, _ = build()
    points = np.asarray([(0.0, -60.0, 0.0), (0.0, 60.0, 0.0)])  # behind, in front
    for view, order in ((Projection.PA, -1), (Projection.AP, 1)):
        behind, before = Finder(projector, Pose(view), DETECTOR).find(points).enlarged
        assert np.sign(before - behind) == order


def test_lengths_are_those_of_the_patient_not_of_the_film() -> None:
    projector, _ = build()
    stance = Pose(Projection.PA, heart=1.0, shoulders_mm=0.0)
    points = np.asarray([(0.0, 0.0, -20.0), (0.0, 0.0, 20.0), (0.0, 30.0, 20.0)])
    finder = Finder(projector, stance, DETECTOR)
    lengths = finder.length_mm(finder.find(points))
    assert lengths == pytest.approx([40.0, 30.0], rel=0.03)


def test_a_point_beyond_the_film_lies_beyond_the_film() -> None:
    projector, _ = build()
    far = np.asarray([(0.0, 0.0, 400.0), (400.0, 0.0, 0.0)])
    found = Finder(projector, Pose(Projection.PA), DETECTOR).find(far)
    assert found.x[0] > DETECTOR.side
    assert found.y[1] < 0


def test_voxels_are_counted_from_the_carina() -> None:
    step = np.asarray(phantom.CARINA) + np.ones(3)
    assert from_voxels(step) == pytest.approx(SOURCE_SPACING_MM)
