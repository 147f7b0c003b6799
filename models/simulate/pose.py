"""How a simulated patient is built and stands: all random numbers of a film's geometry."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
    ``(3, 5, 5, 5)``. ``source_mm`` is the distance of the focus from the patient's middle.
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
    waves_mm: "NDArray[np.float32]" = field(
        default_factory=lambda: np.zeros((3, 5, 5, 5), np.float32)
    )


def draw(rng: np.random.Generator, projection: Projection, *, heart: float | None = None) -> Pose:
    """Draw a pose; ``heart`` fixes the heart's relative size instead of drawing it."""
    supine = projection is Projection.AP
    turn = {Projection.LATERAL: 90.0, Projection.OBLIQUE: float(rng.uniform(30, 65))}
    yaw = turn.get(projection, 0.0) * float(rng.choice((-1.0, 1.0)))
    depth_of_breath = float(rng.normal(-8.0 if not supine else 12.0, 12.0))
    size = float(rng.uniform(0.86, 1.10))
    low, high = (0.80, 1.04) if rng.random() < 0.62 else (1.04, 1.55)  # noqa: PLR2004
    drawn_heart = float(rng.uniform(low, high))
    return Pose(
        projection=projection,
        yaw=yaw + float(rng.normal(0, 6.0)),
        pitch=float(rng.normal(3.0 if supine else 0.0, 5.0)),
        roll=float(rng.normal(0, 3.0)),
        shift_mm=(float(rng.normal(0, 12)), float(rng.normal(0, 15))),
        stretch=(
            size * float(rng.uniform(0.92, 1.12)),
            size * float(rng.uniform(0.88, 1.12)),
            size * float(rng.uniform(0.88, 1.08)),
        ),
        heart=drawn_heart if heart is None else heart,
        domes_mm=(
            depth_of_breath + float(rng.normal(0, 8)),
            depth_of_breath + float(rng.normal(0, 8)),
        ),
        shoulders_mm=float(rng.uniform(10, 60)),
        source_mm=float(rng.uniform(900, 1300) if supine else rng.uniform(1500, 1900)),
        waves_mm=rng.normal(0, 4.5, (3, 5, 5, 5)).astype(np.float32),
    )
