"""Lines in the veins, ports, pacemakers with their leads."""

from typing import TYPE_CHECKING

import numpy as np

from models.simulate import devices_routes as routes
from models.simulate.devices_stroke import Plate, Tube, draw_plate, draw_tube, smooth, trace
from models.simulate.devices_tips import Drawn, Tip
from models.simulate.where import Finder, from_voxels
from models.vocabulary import Side

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picked = tuple[NDArray[np.float64], Tip, bool]


def central_line(rng: np.random.Generator, finder: Finder, plate: Plate, side: Side) -> Drawn:
    """From neck, collar bone, arm or port to the superior vena cava; one in eight goes astray."""
    kind = ("jugular line", "subclavian line", "PICC", "dialysis catheter", "port")[
        int(rng.choice(5, p=(0.36, 0.2, 0.2, 0.1, 0.14)))
    ]
    line, where, wrong = _venous_way(rng, kind, side)
    points = from_voxels(smooth(routes.shaken(rng, line, 1.0)))
    wide = {"PICC": (1.3, 1.8), "dialysis catheter": (4.2, 5.2)}.get(kind, (2.0, 2.7))
    outer = float(rng.uniform(*wide))
    tube = Tube(outer, outer * 0.5, wall=1.2, metal=float(rng.uniform(2.6, 6.0)))
    draw_tube(plate, trace(finder, points, plate.pixel_mm), tube)
    if kind == "port":
        _port(rng, finder, plate, points[0])
    elif rng.random() < 0.5:  # noqa: PLR2004 - the hub at the skin
        hub = Tube(5.0, 2.0, wall=1.1, metal=0.5)
        draw_tube(plate, trace(finder, points[:8], plate.pixel_mm), hub)
    return Drawn(kind, side, outer, where, wrong, points[-1])


def _venous_way(rng: np.random.Generator, kind: str, side: Side) -> "Picked":
    """Return the way of a venous line and where it ends."""
    right = side is Side.RIGHT
    neck = routes.RIGHT_JUGULAR if right else routes.LEFT_JUGULAR
    collar = routes.RIGHT_SUBCLAVIAN if right else routes.LEFT_SUBCLAVIAN
    arm = routes.RIGHT_ARM if right else routes.LEFT_ARM
    start = {"subclavian line": collar, "PICC": arm, "port": collar}.get(kind, neck)
    if float(rng.random()) < 0.12 and start is not neck:  # noqa: PLR2004
        up = routes.UP_THE_RIGHT_NECK if right else routes.UP_THE_LEFT_NECK
        corner = 5 if start is collar else 7
        keep = corner if right else corner - (0 if start is collar else 1)
        return routes.join(start[:keep], up[: int(rng.integers(1, 4))]), Tip.JUGULAR, True
    if right and float(rng.random()) < 0.06:  # noqa: PLR2004
        line = routes.join(start, routes.INTO_THE_LEFT)
        return line, Tip.OTHER_BRACHIOCEPHALIC, True
    place = float(rng.random())
    if place < 0.12:  # noqa: PLR2004
        line = routes.join(start, routes.SUPERIOR_CAVA, routes.RIGHT_ATRIUM)
        return line, Tip.RIGHT_ATRIUM, kind != "dialysis catheter"
    if place < 0.35:  # noqa: PLR2004
        return routes.join(start, routes.SUPERIOR_CAVA), Tip.CAVOATRIAL, False
    keep = int(rng.integers(2, len(routes.SUPERIOR_CAVA)))
    return routes.join(start, routes.SUPERIOR_CAVA[:keep]), Tip.SUPERIOR_CAVA, False


def _port(
    rng: np.random.Generator, finder: Finder, plate: Plate, at_mm: "NDArray[np.float64]"
) -> None:
    """Draw the chamber of a port under the skin: a ring of metal, seen almost from the front."""
    place = finder.find(at_mm[None])
    radius = float(rng.uniform(11, 15)) / plate.pixel_mm * float(place.enlarged[0])
    tilt = float(rng.uniform(0.75, 1.0))
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    around = np.stack([np.cos(angle) * tilt, np.sin(angle)], 1)
    centre = np.asarray((place.x[0], place.y[0]))
    draw_plate(plate, centre + radius * around, 8.0, float(rng.uniform(6, 20)), blur=0.0)
    draw_plate(plate, centre + 0.6 * radius * around, -2.0, -4.0, blur=0.0)


def pacemaker(rng: np.random.Generator, finder: Finder, plate: Plate, side: Side) -> Drawn:
    """Lay a can below the collar bone (three of four left) and one to three leads to the heart."""
    left = side is Side.LEFT or rng.random() < 0.5  # noqa: PLR2004
    flip = (lambda p: p) if left else routes.other_side
    can = flip(np.asarray([routes.CAN_LEFT]) + rng.normal(0, (3.0, 2.0, 8.0)))[0]
    pocket = flip(routes.join(routes.POCKET_TO_VEIN))
    vein = routes.LEFT_SUBCLAVIAN[3:] if left else routes.RIGHT_SUBCLAVIAN[3:]
    ends = [routes.VENTRICLE_TIP]
    count = int(rng.choice((1, 2, 3), p=(0.3, 0.55, 0.15)))
    ends += [routes.ATRIAL_TIP, routes.SINUS_TIP][: count - 1]
    shock = rng.random() < 0.3  # noqa: PLR2004 - a defibrillator's coil
    tip = np.zeros(3)
    for number, end in enumerate(ends):
        loop = can + np.asarray((rng.normal(0, 3), 0.0, rng.normal(0, 12)))
        way = routes.join(vein, routes.SUPERIOR_CAVA[:4], end)
        line = np.concatenate([[loop], pocket, way])
        points = from_voxels(smooth(routes.shaken(rng, line, 1.8)))
        wire = Tube(float(rng.uniform(1.6, 2.4)), wall=1.2, metal=float(rng.uniform(4, 9)))
        draw_tube(plate, trace(finder, points, plate.pixel_mm), wire)
        draw_tube(plate, trace(finder, points[-5:], plate.pixel_mm), Tube(2.6, metal=9.0))
        if shock and number == 0:
            coil = Tube(3.2, wall=1.0, metal=12.0)
            draw_tube(plate, trace(finder, points[-60:-12], plate.pixel_mm), coil)
        tip = points[-1] if number == 0 else tip
    _can(rng, finder, plate, from_voxels(can))
    where = Side.LEFT if left else Side.RIGHT
    kind = "implantable defibrillator" if shock else "pacemaker"
    return Drawn(kind, where, 2.0, Tip.RIGHT_VENTRICLE, misplaced=False, tip_mm=tip)


def _can(
    rng: np.random.Generator, finder: Finder, plate: Plate, at_mm: "NDArray[np.float64]"
) -> None:
    """Draw the can: a rounded box of metal with a paler header and a denser battery."""
    place = finder.find(at_mm[None])
    scale = float(place.enlarged[0]) / plate.pixel_mm
    half = np.asarray((rng.uniform(20, 27), rng.uniform(18, 25))) * scale
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    round_box = np.stack([np.cos(angle), np.sin(angle)], 1)
    round_box = np.sign(round_box) * np.abs(round_box) ** 0.55  # a superellipse
    turn = float(rng.uniform(-0.6, 0.6))
    spin = np.asarray(((np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))))
    centre = np.asarray((place.x[0], place.y[0]))

    def part(size: tuple[float, float], shift: tuple[float, float]) -> "NDArray[np.float64]":
        return np.asarray(centre + (round_box * size * half + np.asarray(shift) * half) @ spin.T)

    metal = float(rng.uniform(45, 90))
    draw_plate(plate, part((1.0, 1.0), (0, 0)), 6.0, 0.45 * metal, blur=0.0)
    draw_plate(plate, part((0.85, 0.45), (0, 0.4)), 0.0, 0.55 * metal, blur=0.0)
    draw_plate(plate, part((0.55, 0.28), (-0.2, -0.35)), 0.0, 0.35 * metal, blur=0.0)
    draw_plate(plate, part((0.9, 0.22), (0, -1.15)), 8.0, 2.0, blur=0.0)
