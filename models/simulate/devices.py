"""Tubes, lines and pacemakers in a projected chest, through the places where they belong or not.

Each is a curve in three dimensions through the deformed CT, projected with the film's perspective,
with the wall, lumen, stripe or metal that makes it visible. What lies on the skin and means nothing
(leads, buttons, folds) is in :mod:`models.simulate.clutter`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.simulate import devices_lines, devices_tubes
from models.simulate.devices_stroke import Plate
from models.simulate.findings import Inserted
from models.simulate.pose import Projection
from models.simulate.where import Finder
from models.vocabulary import Side, Sign

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from models.simulate.devices_tips import Drawn, Tip
    from models.simulate.pose import Pose
    from models.simulate.projector import Detector, Projector

MAKERS: "dict[Sign, Callable[[np.random.Generator, Finder, Plate, Side], Drawn]]" = {
    Sign.ENDOTRACHEAL_TUBE: devices_tubes.endotracheal,
    Sign.ENTERIC_TUBE: devices_tubes.enteric,
    Sign.CHEST_TUBE: devices_tubes.chest_tube,
    Sign.CENTRAL_VENOUS_LINE: devices_lines.central_line,
    Sign.PACEMAKER: devices_lines.pacemaker,
}
DEVICES = tuple(MAKERS)
# How often a film shows each. More on AP films, as in hospitals, but on PA often enough that the
# view alone does not give a device away.
SHARES = {
    Projection.AP: dict(zip(DEVICES, (0.20, 0.22, 0.16, 0.26, 0.12), strict=True)),
    Projection.PA: dict(zip(DEVICES, (0.10, 0.12, 0.12, 0.17, 0.14), strict=True)),
}
LEAST_VISIBLE_PX = 12  # covered pixels (of a 288 px film) from which a device counts as shown


@dataclass(frozen=True, slots=True, eq=False)
class Device(Inserted):
    """A tube, line or pacemaker, seen as a finding; ``size_mm`` is its outer diameter.

    ``kind`` names it in words; ``tip`` says where its tip lies, and ``misplaced`` whether that is
    wrong; ``tip_px`` is the tip on the film, pixels (x, y); ``tip_above_carina_mm`` is its height
    above the carina along the patient's body axis (negative below).
    """

    kind: str
    tip: "Tip"
    misplaced: bool
    tip_px: tuple[float, float]
    tip_above_carina_mm: float


def draw(
    rng: np.random.Generator,
    projector: "Projector",
    pose: "Pose",
    detector: "Detector",
    wanted: "Iterable[Sign] | None" = None,
) -> list[Device]:
    """Draw devices into the chest that ``projector`` shows in ``pose``.

    ``wanted`` names what is to be there; by default it is drawn by ``SHARES``. Pictures are
    ``(detector.side, detector.side)``. What lies outside the film is left out.
    """
    finder = Finder(projector, pose, detector)
    chosen = _choose(rng, pose) if wanted is None else [s for s in DEVICES if s in set(wanted)]
    made = [_make(rng, sign, finder, detector) for sign in chosen]
    return [one for one in made if one is not None]


def _choose(rng: np.random.Generator, pose: "Pose") -> list[Sign]:
    """Draw which devices there are; tubes and lines of the very ill come together."""
    shares = SHARES.get(pose.projection, SHARES[Projection.PA])
    illness = 1.7 if rng.random() < 0.4 else 0.53  # noqa: PLR2004 - mean 1
    return [
        sign
        for sign, share in shares.items()
        if rng.random() < (share if sign is Sign.PACEMAKER else share * illness)
    ]


def _make(
    rng: np.random.Generator, sign: Sign, finder: Finder, detector: "Detector"
) -> Device | None:
    """Draw one device on its own plate."""
    shape = (detector.side, detector.side)
    plate = Plate.blank(shape, detector.pixel_mm)
    side = Side.RIGHT if rng.random() < 0.5 else Side.LEFT  # noqa: PLR2004
    drawn = MAKERS[sign](rng, finder, plate, side)
    scale = (detector.side / 288.0) ** 2
    mask = plate.mask
    if mask.sum() < LEAST_VISIBLE_PX * scale**0.5:
        return None
    tip = finder.find(drawn.tip_mm[None])
    return Device(
        sign, drawn.side, drawn.outer_mm,
        plate.soft.astype(np.float32), plate.bone.astype(np.float32), mask,
        drawn.kind, drawn.tip, drawn.misplaced,
        (float(tip.x[0]), float(tip.y[0])), float(drawn.tip_mm[0]),
    )  # fmt: skip
