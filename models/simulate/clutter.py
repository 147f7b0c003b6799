"""What lies on the skin and means nothing: leads, electrodes, buttons, zips, chains, folds.

It looks like devices to a careless eye, so it is drawn with the same strokes and never has a sign.
Added before exposure, in mm of water, on the plane of the skin.
"""

from typing import TYPE_CHECKING

import numpy as np

from models.simulate.devices_stroke import Plate, Tube, draw_plate, draw_tube, flat_curve, smooth

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

# How often a film shows each kind of thing, and how it is drawn.
SHARES = {"leads": 0.24, "buttons": 0.09, "zip": 0.03, "chain": 0.06, "coin": 0.05, "wires": 0.05,
          "tubing": 0.07, "hooks": 0.05, "fold": 0.16, "sternal": 0.05}  # fmt: skip
CIRCLE = np.stack([np.cos(np.linspace(0, 2 * np.pi, 28, endpoint=False)),
                   np.sin(np.linspace(0, 2 * np.pi, 28, endpoint=False))], 1)  # fmt: skip


def external(
    rng: np.random.Generator, shape: tuple[int, int], pixel_mm: float
) -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
    """Return what clutter adds, soft and bone ``(rows, columns)``, mm of water; often nothing.

    The middle of the grid is taken for the middle of the chest.
    """
    plate = Plate.blank(shape, pixel_mm)
    for name, share in SHARES.items():
        if rng.random() < share:
            DRAWN[name](rng, plate)
    return plate.soft.astype(np.float32), plate.bone.astype(np.float32)


def _at(plate: Plate, x_mm: float, y_mm: float) -> "NDArray[np.float64]":
    """Film pixels of a point; mm from the middle of the grid, x to the patient's left, y down."""
    rows, columns = plate.soft.shape
    return np.asarray((columns / 2 + x_mm / plate.pixel_mm, rows / 2 + y_mm / plate.pixel_mm))


def _way(plate: Plate, points_mm: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Return a smooth way through points ``(n, 2)`` in mm, as pixels."""
    return smooth(np.stack([_at(plate, float(x), float(y)) for x, y in points_mm]), 200)


def _disc(plate: Plate, at: "NDArray[np.float64]", radius_mm: float, soft: float,
          bone: float) -> None:  # fmt: skip
    draw_plate(plate, at + CIRCLE * radius_mm / plate.pixel_mm, soft, bone, blur=0.0)


def _leads(rng: np.random.Generator, plate: Plate) -> None:
    """Draw electrodes with a snap and the wires that leave them towards an edge of the film."""
    wire = Tube(float(rng.uniform(1.2, 2.4)), wall=1.1, metal=float(rng.uniform(1.5, 5)))
    away = rng.uniform((-240, -260), (240, 260))
    for _ in range(int(rng.integers(2, 6))):
        place = rng.uniform((-150, -120), (150, 130))
        bend = (place + away) / 2 + rng.normal(0, 45, 2)
        draw_tube(
            plate, flat_curve(_way(plate, np.stack([place, bend, away])), plate.pixel_mm), wire
        )
        at = _at(plate, float(place[0]), float(place[1]))
        if rng.random() < 0.7:  # noqa: PLR2004 - others are radiolucent
            _disc(plate, at, float(rng.uniform(9, 16)), float(rng.uniform(1, 3)), 0.0)
        _disc(plate, at, float(rng.uniform(2.5, 5)), 2.0, float(rng.uniform(5, 20)))


def _buttons(rng: np.random.Generator, plate: Plate) -> None:
    """Draw a row of discs down the front, with holes when they are large."""
    x, gap = float(rng.normal(0, 25)), float(rng.uniform(55, 90))
    radius, bone = float(rng.uniform(4, 8)), float(rng.uniform(0, 12))
    for number in range(int(rng.integers(2, 6))):
        at = _at(plate, x + float(rng.normal(0, 4)), -150 + number * gap)
        _disc(plate, at, radius, 3.0, bone)
        _disc(plate, at, radius * 0.35, -2.0, -0.7 * bone)


def _zip(rng: np.random.Generator, plate: Plate) -> None:
    """Draw two rows of teeth down the front."""
    x, top = float(rng.normal(0, 30)), float(rng.uniform(-170, -80))
    for number in range(int(rng.integers(40, 75))):
        at = _at(plate, x + (1.2 if number % 2 else -1.2), top + 3.2 * number)
        _disc(plate, at, 1.3, 0.5, 7.0)


def _chain(rng: np.random.Generator, plate: Plate) -> None:
    """Draw a chain around the neck, sometimes with a pendant."""
    low = float(rng.uniform(-110, -40))
    half = float(rng.uniform(45, 75))
    line = np.asarray([(-half, -200), (-0.6 * half, -140), (0, low), (0.6 * half, -140),
                       (half, -200)]) + rng.normal(0, 5, (5, 2))  # fmt: skip
    curve = flat_curve(_way(plate, line), plate.pixel_mm)
    if rng.random() < 0.5:  # noqa: PLR2004 - links, or a solid thread
        every = max(int(2.4 / plate.pixel_mm / 0.35), 1)
        for x, y in zip(curve.x[::every], curve.y[::every], strict=True):
            _disc(plate, np.asarray((x, y)), 1.0, 0.5, 6.0)
    else:
        draw_tube(plate, curve, Tube(float(rng.uniform(0.8, 1.6)), metal=9.0))
    if rng.random() < 0.6:  # noqa: PLR2004
        middle = len(curve.x) // 2
        lowest = np.asarray((curve.x[middle], curve.y[middle] + 6 / plate.pixel_mm))
        _disc(plate, lowest, float(rng.uniform(4, 10)), 1.0, float(rng.uniform(6, 25)))


def _coin(rng: np.random.Generator, plate: Plate) -> None:
    """Draw something of metal in a pocket: a disc, or a key-like bar."""
    at = _at(plate, *(float(v) for v in rng.uniform((-120, -60), (120, 170))))
    if rng.random() < 0.6:  # noqa: PLR2004
        _disc(plate, at, float(rng.uniform(8, 14)), 2.0, float(rng.uniform(10, 40)))
        return
    turn = float(rng.uniform(0, np.pi))
    spin = np.asarray(((np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))))
    bar = np.asarray(((-1, -1), (1, -1), (1, 1), (-1, 1))) * rng.uniform((10, 1.5), (26, 5))
    corners = at + bar @ spin.T / plate.pixel_mm
    draw_plate(plate, corners, 1.0, float(rng.uniform(8, 30)), blur=0.0)


def _wires(rng: np.random.Generator, plate: Plate) -> None:
    """Draw wires below the breasts."""
    for sign in (-1, 1):
        middle, low = sign * float(rng.uniform(75, 95)), float(rng.uniform(60, 110))
        half = float(rng.uniform(45, 65))
        line = np.asarray([(middle - half, low - 45), (middle - 0.6 * half, low - 8),
                           (middle, low), (middle + 0.6 * half, low - 8),
                           (middle + half, low - 45)])  # fmt: skip
        draw_tube(plate, flat_curve(_way(plate, line), plate.pixel_mm), Tube(1.4, metal=9.0))


def _tubing(rng: np.random.Generator, plate: Plate) -> None:
    """Draw a hose of oxygen or ventilator across the upper chest: wide, pale, no stripe."""
    start, end = rng.uniform((-260, -240), (-60, 40)), rng.uniform((-40, -260), (260, -60))
    bend = (start + end) / 2 + rng.normal(0, 50, 2)
    wide = float(rng.uniform(5, 22))
    tube = Tube(wide, wide - float(rng.uniform(2.0, 3.0)), wall=1.2)
    draw_tube(plate, flat_curve(_way(plate, np.stack([start, bend, end])), plate.pixel_mm), tube)


def _hooks(rng: np.random.Generator, plate: Plate) -> None:
    """Draw clips of a strap or a gown: bits of metal near shoulders or back."""
    for _ in range(int(rng.integers(1, 5))):
        at = _at(plate, float(rng.choice((-1, 1)) * rng.uniform(20, 110)),
                 float(rng.uniform(-150, 110)))  # fmt: skip
        corners = np.asarray(((-1, -1), (1, -1), (1, 1), (-1, 1))) * rng.uniform((2, 1), (7, 5))
        draw_plate(plate, at + corners / plate.pixel_mm, 1.0, float(rng.uniform(5, 18)), blur=0.0)


def _fold(rng: np.random.Generator, plate: Plate) -> None:
    """Draw a fold of skin, gown or sheet: sharp on one side, fading on the other."""
    rows, columns = plate.soft.shape
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    angle = float(rng.normal(0, 0.5))
    at = _at(plate, float(rng.uniform(-150, 150)), 0.0)
    bend = float(rng.normal(0, 4e-4)) * plate.pixel_mm
    across = (x - at[0]) * np.cos(angle) + (y - at[1]) * np.sin(angle) + bend * (y - at[1]) ** 2
    across = across * plate.pixel_mm * float(rng.choice((-1.0, 1.0)))
    width = float(rng.uniform(8, 45))
    depth = float(rng.uniform(1.5, 8.0)) * np.exp(-np.clip(across, 0, None) / width)
    layer = depth * np.clip(across / 1.0 + 0.5, 0.0, 1.0)
    along = (y - at[1]) * np.cos(angle) - (x - at[0]) * np.sin(angle)
    reach = float(rng.uniform(40, 160)) / plate.pixel_mm
    middle = float(rng.uniform(-80, 80)) / plate.pixel_mm
    plate.soft += layer * np.exp(-(((along - middle) / reach) ** 4))


def _sternal(rng: np.random.Generator, plate: Plate) -> None:
    """Draw wire loops of an old sternotomy down the midline: real metal, but none of our signs."""
    x = float(rng.normal(0, 9))
    wire = Tube(1.1, metal=10.0)
    for number in range(int(rng.integers(3, 8))):
        middle = _at(plate, x + float(rng.normal(0, 2)), -95 + 30 * number)
        size = rng.uniform((5, 4), (10, 8)) / plate.pixel_mm
        loop = np.concatenate([CIRCLE, CIRCLE[:1]]) * size
        draw_tube(plate, flat_curve(middle + smooth(loop, 80), plate.pixel_mm), wire)
        twist = middle + np.asarray(((0.0, 0.0), (4.0, 7.0))) / plate.pixel_mm
        draw_tube(plate, flat_curve(twist, plate.pixel_mm), wire)


DRAWN: "dict[str, Callable[[np.random.Generator, Plate], None]]" = {
    "leads": _leads, "buttons": _buttons, "zip": _zip, "chain": _chain, "coin": _coin,
    "wires": _wires, "tubing": _tubing, "hooks": _hooks, "fold": _fold, "sternal": _sternal,
}  # fmt: skip
