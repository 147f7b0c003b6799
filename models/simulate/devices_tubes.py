"""Tubes: in the airway, in the gullet, in the pleural space."""

from typing import TYPE_CHECKING

import numpy as np

from models.simulate import devices_routes as routes
from models.simulate.devices_stroke import Plate, Tube, draw_tube, smooth, trace
from models.simulate.devices_tips import Drawn, Tip
from models.simulate.where import Finder, from_voxels
from models.vocabulary import Side

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picked = tuple[NDArray[np.float64], Tip, bool]


def endotracheal(rng: np.random.Generator, finder: Finder, plate: Plate, _: Side) -> Drawn:
    """From the mouth down the trachea; one in seven too deep, one in fourteen too high."""
    place = float(rng.random())
    trachea = routes.join(routes.TRACHEA)
    if place < 0.14:  # noqa: PLR2004
        left = rng.random() < 0.1  # noqa: PLR2004 - the left bronchus leaves at a sharper angle
        bronchus = routes.LEFT_BRONCHUS if left else routes.RIGHT_BRONCHUS
        line = routes.cut_at(np.concatenate([trachea, routes.join(bronchus)[:2]]), 0.0, rng)
        where = Tip.LEFT_MAIN_BRONCHUS if left else Tip.RIGHT_MAIN_BRONCHUS
    else:
        height, where = (
            (rng.uniform(5, 18), Tip.LOW_TRACHEA) if place < 0.20  # noqa: PLR2004
            else (rng.uniform(72, 95), Tip.HIGH_TRACHEA) if place < 0.27  # noqa: PLR2004
            else (rng.uniform(22, 68), Tip.TRACHEA)
        )  # fmt: skip
        line = routes.down_to(trachea, float(height))
    outer = float(rng.uniform(9.0, 11.5))
    tube = Tube(outer, outer - float(rng.uniform(2.4, 3.2)), wall=float(rng.uniform(1.4, 2.2)),
                stripe_mm=float(rng.uniform(1.2, 1.8)),
                stripe_bone_mm=float(rng.uniform(5, 13)))  # fmt: skip
    points = from_voxels(smooth(routes.shaken(rng, line, 1.2)))
    draw_tube(plate, trace(finder, points, plate.pixel_mm), tube, float(rng.uniform(0, 6.3)))
    wrong = where is not Tip.TRACHEA
    return Drawn("endotracheal tube", None, outer, where, wrong, points[-1])


def enteric(rng: np.random.Generator, finder: Finder, plate: Plate, _: Side) -> Drawn:
    """Down the oesophagus behind the heart into the stomach; now and then into a bronchus."""
    line, where, wrong = _enteric_way(rng)
    points = from_voxels(smooth(routes.shaken(rng, line, 2.0)))
    thin = rng.random() < 0.4  # noqa: PLR2004
    outer = float(rng.uniform(2.7, 3.8) if thin else rng.uniform(4.6, 6.4))
    tube = Tube(outer, outer * 0.68, wall=1.3, metal=float(rng.uniform(0.9, 1.8)) if thin else 0.25,
                lumen=0.0 if thin else 0.7, stripe_mm=0.0 if thin else float(rng.uniform(0.8, 1.3)),
                stripe_bone_mm=float(rng.uniform(5, 12)),
                gaps_mm=() if thin else ((55.0, 60.0),))  # fmt: skip
    curve = trace(finder, points, plate.pixel_mm)
    draw_tube(plate, curve, tube, float(rng.uniform(0, 6.3)))
    if thin and rng.random() < 0.7:  # noqa: PLR2004 - a feeding tube's weighted tip
        end = from_voxels(smooth(line))[-14:] if len(points) < 14 else points[-10:]  # noqa: PLR2004
        weight = Tube(outer * 1.25, wall=1.0, metal=float(rng.uniform(3, 7)))
        draw_tube(plate, trace(finder, end, plate.pixel_mm), weight)
    return Drawn("feeding tube" if thin else "nasogastric tube", None, outer, where, wrong,
                 points[-1])  # fmt: skip


def _enteric_way(rng: np.random.Generator) -> "Picked":
    place = float(rng.random())
    if place < 0.10:  # noqa: PLR2004
        right = rng.random() < 0.7  # noqa: PLR2004
        bronchus = routes.RIGHT_BRONCHUS if right else routes.LEFT_BRONCHUS
        line = routes.cut_at(
            routes.join(routes.TRACHEA, bronchus), float(rng.uniform(0, 0.14)), rng
        )
        return line, Tip.RIGHT_MAIN_BRONCHUS if right else Tip.LEFT_MAIN_BRONCHUS, True
    gullet = routes.join(routes.OESOPHAGUS)
    if place < 0.20:  # noqa: PLR2004
        return gullet[: -int(rng.integers(1, 4))], Tip.OESOPHAGUS, True
    if place < 0.32:  # noqa: PLR2004
        return routes.join(routes.OESOPHAGUS, routes.STOMACH, routes.DUODENUM), Tip.DUODENUM, False
    keep = int(rng.integers(2, len(routes.STOMACH) + 1))
    return routes.join(routes.OESOPHAGUS, routes.STOMACH[:keep]), Tip.STOMACH, False


def chest_tube(rng: np.random.Generator, finder: Finder, plate: Plate, side: Side) -> Drawn:
    """Through the side of the chest, up to the apex or down to the base; rarely under the skin."""
    ways = (
        (routes.CHEST_UP, Tip.APEX_OF_PLEURA), (routes.CHEST_UP_FRONT, Tip.APEX_OF_PLEURA),
        (routes.CHEST_DOWN, Tip.BASE_OF_PLEURA), (routes.UNDER_THE_SKIN, Tip.CHEST_WALL),
    )  # fmt: skip
    way, where = ways[int(rng.choice(len(ways), p=(0.4, 0.2, 0.32, 0.08)))]
    line = routes.join(way)
    line = routes.cut_at(line, float(rng.uniform(0.0, 0.22)), rng)
    line[:3] += (float(rng.normal(0, 3)), 0.0, 0.0)  # a rib space higher or lower
    if side is Side.LEFT:
        line = routes.other_side(line)
    points = from_voxels(smooth(routes.shaken(rng, line, 3.0)))
    small = rng.random() < 0.25  # noqa: PLR2004 - a pigtail or small drain
    outer = float(rng.uniform(3.2, 4.8) if small else rng.uniform(7.5, 11.5))
    tube = Tube(outer, outer * 0.7, wall=1.35, metal=0.7 if small else 0.15, lumen=0.25,
                stripe_mm=0.0 if small else float(rng.uniform(1.4, 2.2)),
                stripe_bone_mm=float(rng.uniform(5, 11)),
                gaps_mm=((45.0, 51.0), (70.0, 78.0))[: int(rng.integers(0, 3))])  # fmt: skip
    draw_tube(plate, trace(finder, points, plate.pixel_mm), tube, float(rng.uniform(0, 6.3)))
    wrong = where is Tip.CHEST_WALL
    return Drawn("chest drain" if small else "chest tube", side, outer, where, wrong, points[-1])
