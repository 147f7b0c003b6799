"""How a simulated patient is built and stands: all random numbers of a film's geometry."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

TRAIN_PITCH, TRAIN_YAW = 9.0, 11.0  # degrees; no frontal training film goes beyond
HELD_OUT_PITCH, HELD_OUT_YAW = (9.5, 20.0), (11.5, 16.0)  # for tests only: lordotic, badly turned
EVEN_WAVES, EVEN_SPREAD_MM = (4, 5, 6, 7), (3.0, 5.5)  # lattice points per side and mm
HELD_OUT_WAVES = (9, 4.0)  # for tests only: finer waves, lattice points per side and mm


class Projection(StrEnum):
    """How the beam runs through the patient."""

    PA = "PA"
    AP = "AP"
    LATERAL = "lateral"
    OBLIQUE = "oblique"


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """Geometry of one film; lengths in mm, angles in degrees, patient axes left, front, head.

    ``stretch`` is the size of the chest relative to the CT (left-right, front-back, head-foot);
    ``heart`` its heart's relative size; ``domes_mm`` raise (+) the right and left diaphragm;
    ``shoulders_mm`` lower the shoulders; ``waves_mm`` is a smooth random displacement,
    ``(3, n, n, n)``. ``source_mm`` is the distance of the focus from the patient's middle.
    ``recline`` leans the patient back, 0 upright to 90 supine: gravity, not the beam, follows it.
    ``mediastinum_mm`` shifts heart and mediastinum to the left (+); ``widening`` is the relative
    width of the upper mediastinum.
    """

    projection: Projection
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    shift_mm: tuple[float, float] = (0.0, 0.0)
    stretch: tuple[float, float, float] = (1.0, 1.0, 1.0)
    heart: float = 0.95
    domes_mm: tuple[float, float] = (0.0, 0.0)
    shoulders_mm: float = 35.0
    source_mm: float = 1700.0
    recline: float = 0.0
    mediastinum_mm: float = 0.0
    widening: float = 1.0
    waves_mm: "NDArray[np.float32]" = field(
        default_factory=lambda: np.zeros((3, 5, 5, 5), np.float32)
    )


def draw(
    rng: np.random.Generator,
    projection: Projection,
    *,
    heart: float | None = None,
    held_out: bool = False,
    even: bool = False,
) -> Pose:
    """Draw a pose; ``heart`` fixes the heart's relative size instead of drawing it.

    Frontal poses stay inside TRAIN_PITCH and TRAIN_YAW unless ``held_out``: then pitch, yaw or the
    waves (or several) come from ranges which no training film has. ``even`` uses the whole of the
    training ranges alike, and waves of several kinds: what training sees, not what wards see.
    """
    supine = projection is Projection.AP
    turn = {Projection.LATERAL: 90.0, Projection.OBLIQUE: float(rng.uniform(30, 65))}
    aside = turn.get(projection, 0.0) * float(rng.choice((-1.0, 1.0)))
    depth_of_breath = float(rng.normal(-12.0 if not supine else 2.0, 13.0))
    size = float(rng.uniform(0.86, 1.10))
    low, high = (0.80, 1.04) if rng.random() < 0.62 else (1.04, 1.55)  # noqa: PLR2004
    drawn_heart = float(rng.uniform(low, high))
    usual = _usual(rng, supine=supine)
    yaw, pitch, waves = _held_out(rng, *usual) if held_out else _even(rng) if even else usual
    return Pose(
        projection=projection,
        yaw=aside + yaw,
        pitch=pitch,
        roll=float(rng.normal(0, 3.0)),
        shift_mm=(float(rng.normal(0, 12)), float(rng.normal(0, 15))),
        stretch=(
            size * float(rng.uniform(0.87, 1.09)),
            size * float(rng.uniform(0.88, 1.12)),
            size * float(rng.uniform(0.92, 1.15)),
        ),
        heart=drawn_heart if heart is None else heart,
        domes_mm=(
            depth_of_breath + float(rng.normal(0, 8)),
            depth_of_breath + float(rng.normal(0, 8)),
        ),
        shoulders_mm=float(rng.uniform(10, 60)),
        source_mm=float(rng.uniform(900, 1300) if supine else rng.uniform(1500, 1900)),
        recline=float(rng.choice((rng.uniform(20, 60), rng.uniform(75, 90)))) if supine else 0.0,
        waves_mm=waves,
    )


def _usual(rng: np.random.Generator, *, supine: bool) -> "tuple[float, float, NDArray[np.float32]]":
    """Return yaw, pitch and waves as they are most of the time: near none."""
    yaw = _inside(float(rng.normal(0, 6.0)), TRAIN_YAW)
    pitch = _inside(float(rng.normal(3.0 if supine else 0.0, 5.0)), TRAIN_PITCH)
    return yaw, pitch, rng.normal(0, 4.5, (3, 5, 5, 5)).astype(np.float32)


def _even(rng: np.random.Generator) -> "tuple[float, float, NDArray[np.float32]]":
    """Return the same from anywhere in the training ranges."""
    yaw, pitch = (float(rng.uniform(-most, most)) for most in (TRAIN_YAW, TRAIN_PITCH))
    lattice, spread = int(rng.choice(EVEN_WAVES)), float(rng.uniform(*EVEN_SPREAD_MM))
    return yaw, pitch, rng.normal(0, spread, (3, *(lattice,) * 3)).astype(np.float32)


def _inside(value: float, limit: float) -> float:
    """Fold a drawn angle back into its range, so that none gathers at the limit."""
    return value if abs(value) <= limit else limit * value / abs(value) * (limit / abs(value))


def _held_out(
    rng: np.random.Generator, yaw: float, pitch: float, waves: "NDArray[np.float32]"
) -> "tuple[float, float, NDArray[np.float32]]":
    """Replace at least one of the three by a draw from its held-out range."""
    chosen = rng.random(3) < 0.5  # noqa: PLR2004
    chosen[int(rng.integers(3))] = True
    sign = rng.choice((-1.0, 1.0), 2)
    if chosen[0]:
        yaw = float(sign[0] * rng.uniform(*HELD_OUT_YAW))
    if chosen[1]:
        pitch = float(sign[1] * rng.uniform(*HELD_OUT_PITCH))
    if chosen[2]:
        waves = rng.normal(0, HELD_OUT_WAVES[1], (3, *(HELD_OUT_WAVES[0],) * 3)).astype(np.float32)
    return yaw, pitch, waves
