"""What is true of a simulated film: every sign, its side, its box and the regions it touches."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.simulate import scenes
from models.vocabulary import AnatomicStructure as A
from models.vocabulary import Side, Sign

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.simulate.pose import Pose
    from models.simulate.regions import Fields
    from models.simulate.scenes import Scene

REGIONS, SIGNS = tuple(A), tuple(Sign)
PRESENT, ABSENT, OPEN = 1, 0, -1
BITS = {Side.RIGHT: 1, Side.LEFT: 2}
# By how much the left dome lies below the right, mm: ordinary, and what makes one of them raised.
ORDINARY_MM, RAISED_RIGHT_MM, RAISED_LEFT_MM = (-6.0, 24.0), 36.0, -18.0
TOUCH_SHARE, TOUCH_AREA, TOUCH_PX = 0.3, 0.08, 8  # of the mask, or of the region; and at least
# Deformations have no mask: they belong to regions by name.
OWN = {
    Sign.ENLARGED_CARDIAC_SILHOUETTE: (A.CARDIAC_SILHOUETTE,),
    Sign.MEDIASTINAL_WIDENING: (A.MEDIASTINUM, A.UPPER_MEDIASTINUM),
    Sign.MEDIASTINAL_SHIFT: (A.MEDIASTINUM, A.TRACHEA, A.CARDIAC_SILHOUETTE),
    Sign.SUBDIAPHRAGMATIC_AIR: (A.ABDOMEN,),
}
OWN_BY_SIDE = {
    (Sign.ELEVATED_HEMIDIAPHRAGM, Side.RIGHT): (A.RIGHT_HEMIDIAPHRAGM,),
    (Sign.ELEVATED_HEMIDIAPHRAGM, Side.LEFT): (A.LEFT_HEMIDIAPHRAGM,),
    (Sign.SUBDIAPHRAGMATIC_AIR, Side.RIGHT): (
        A.RIGHT_HEMIDIAPHRAGM, A.RIGHT_UPPER_QUADRANT_OF_ABDOMEN),
    (Sign.SUBDIAPHRAGMATIC_AIR, Side.LEFT): (
        A.LEFT_HEMIDIAPHRAGM, A.LEFT_UPPER_QUADRANT_OF_ABDOMEN),
    (Sign.CLAVICLE_FRACTURE, Side.RIGHT): (A.RIGHT_CLAVICLE,),
    (Sign.CLAVICLE_FRACTURE, Side.LEFT): (A.LEFT_CLAVICLE,),
}  # fmt: skip
LUNG_WORDS = ("lung", "apical zone", "hilar", "angle", "hemidiaphragm")
OF_THE_LUNG = frozenset(SIGNS[: SIGNS.index(Sign.ENLARGED_CARDIAC_SILHOUETTE)]) | {
    Sign.RIB_FRACTURE, Sign.CHEST_TUBE}  # fmt: skip
FIXED = (Sign.SUBDIAPHRAGMATIC_AIR, Sign.CLAVICLE_FRACTURE)  # only their own regions count
SOLID_PX = 6.0  # smallest box side counted as one, so that a line has an area


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Arrays over the 20 signs, as in :class:`models.training.cache.Bases`."""

    signs: "NDArray[np.int8]"
    sides: "NDArray[np.uint8]"
    sizes: "NDArray[np.float16]"
    reach: "NDArray[np.float32]"
    touches: "NDArray[np.uint8]"


def describe(pose: "Pose") -> tuple[float, ...]:
    """Return yaw, pitch, roll, recline, shift, widening, right and left dome, as numbers."""
    return (pose.yaw, pose.pitch, pose.roll, pose.recline, pose.mediastinum_mm, pose.widening,
            *pose.domes_mm)  # fmt: skip


def of_the_body(pose: "Pose", boxes: "NDArray[np.float32]", seen: "Fields") -> Answers:
    """Answer the signs which the pose itself carries; all others are absent.

    An enlarged heart is left open here: the ratio decides it when the film is made.
    """
    answers = _nothing()
    _set(answers, Sign.ENLARGED_CARDIAC_SILHOUETTE, OPEN, None, 0.0)
    shift = abs(pose.mediastinum_mm)
    state = PRESENT if shift >= scenes.SHIFT_FROM_MM else OPEN
    if shift <= scenes.SHIFT_UP_TO_MM:
        state = ABSENT
    side = Side.LEFT if pose.mediastinum_mm > 0 else Side.RIGHT
    _set(answers, Sign.MEDIASTINAL_SHIFT, state, side, shift)
    wide = PRESENT if pose.widening >= scenes.WIDE_FROM else OPEN
    if pose.widening <= scenes.WIDE_UP_TO:
        wide = ABSENT
    _set(answers, Sign.MEDIASTINAL_WIDENING, wide, None, 100.0 * (pose.widening - 1.0))
    tops = boxes[[REGIONS.index(A.RIGHT_HEMIDIAPHRAGM), REGIONS.index(A.LEFT_HEMIDIAPHRAGM)], 1]
    lower = float(tops[1] - tops[0]) * seen.pixel_mm  # how far the left dome lies below the right
    if lower >= RAISED_RIGHT_MM:
        _set(answers, Sign.ELEVATED_HEMIDIAPHRAGM, PRESENT, Side.RIGHT, lower)
    elif lower <= RAISED_LEFT_MM:
        _set(answers, Sign.ELEVATED_HEMIDIAPHRAGM, PRESENT, Side.LEFT, -lower)
    elif not ORDINARY_MM[0] <= lower <= ORDINARY_MM[1]:
        _set(answers, Sign.ELEVATED_HEMIDIAPHRAGM, OPEN, None, 0.0)
    for sign in (Sign.MEDIASTINAL_SHIFT, Sign.MEDIASTINAL_WIDENING, Sign.ELEVATED_HEMIDIAPHRAGM):
        _own_regions(answers, sign, boxes)
    return answers


def of_scene(scene: "Scene", body: Answers, boxes: "NDArray[np.float32]") -> Answers:
    """Join the answers of the body with those of a scene's findings."""
    answers = Answers(*(getattr(body, n).copy() for n in Answers.__slots__))
    for sign in scene.unsure:
        answers.signs[SIGNS.index(sign)] = OPEN
        answers.touches[SIGNS.index(sign)] = 0
    for one in scene.found:
        if one.mask.sum() < scenes.SMALLEST_PX:
            continue
        place = SIGNS.index(one.sign)
        answers.signs[place] = PRESENT
        answers.sides[place] |= BITS[one.side] if one.side is not None else 3
        answers.sizes[place] = max(float(answers.sizes[place]), one.size_mm)
        box = _outline(one.mask)
        old = answers.reach[place]
        low, high = np.fmin(old[:2], box[:2]), np.fmax(old[2:], box[2:])
        answers.reach[place] = np.concatenate([low, high])
        if one.sign not in FIXED:
            answers.touches[place] |= touched(one.sign, one.side, one.mask, boxes)
    for sign in FIXED:
        if answers.signs[SIGNS.index(sign)] == PRESENT:
            _own_regions(answers, sign, boxes)
    return answers


def touched(
    sign: Sign, side: Side | None, mask: "NDArray[np.bool_]", boxes: "NDArray[np.float32]"
) -> "NDArray[np.uint8]":
    """Say which regions a mask touches ``(36,)``: much of the mask, or some of the region."""
    total = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1))
    total[1:, 1:] = mask.cumsum(0).cumsum(1)
    result = np.zeros(len(REGIONS), np.uint8)
    for place, name in enumerate(REGIONS):
        if np.isnan(boxes[place]).any() or not _fits(sign, side, name):
            continue
        x0, y0, x1, y1 = (int(np.clip(round(float(v)), 0, len(mask))) for v in boxes[place])
        shared = total[y1, x1] - total[y0, x1] - total[y1, x0] + total[y0, x0]
        area = max(x1 - x0, SOLID_PX) * max(y1 - y0, SOLID_PX)
        enough = shared >= TOUCH_SHARE * total[-1, -1] or shared >= TOUCH_AREA * area
        result[place] = enough and shared >= TOUCH_PX
    return result


def _fits(sign: Sign, side: Side | None, name: A) -> bool:
    """Say whether a sign can touch a region: signs of the lung its parts, on their own side."""
    other = {Side.RIGHT: "left", Side.LEFT: "right"}
    if sign in OF_THE_LUNG:
        if side is not None and name.value.startswith(other[side]):
            return False
        return any(word in name.value for word in LUNG_WORDS)
    return True


def _own_regions(answers: Answers, sign: Sign, boxes: "NDArray[np.float32]") -> None:
    """Mark the regions that belong to a sign by name."""
    place = SIGNS.index(sign)
    if answers.signs[place] != PRESENT:
        return
    names = list(OWN.get(sign, ()))
    for side, bit in BITS.items():
        if answers.sides[place] & bit:
            names += OWN_BY_SIDE.get((sign, side), ())
    for name in names:
        region = REGIONS.index(name)
        answers.touches[place, region] = not np.isnan(boxes[region]).any()


def _set(answers: Answers, sign: Sign, state: int, side: Side | None, size: float) -> None:
    place = SIGNS.index(sign)
    answers.signs[place] = state
    if state == PRESENT:
        answers.sides[place] = BITS[side] if side is not None else 3
        answers.sizes[place] = size


def _nothing() -> Answers:
    n = len(SIGNS)
    return Answers(
        np.zeros(n, np.int8), np.zeros(n, np.uint8), np.zeros(n, np.float16),
        np.full((n, 4), np.nan, np.float32), np.zeros((n, len(REGIONS)), np.uint8),
    )  # fmt: skip


def _outline(mask: "NDArray[np.bool_]") -> "NDArray[np.float32]":
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    edges = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    return np.asarray(edges, np.float32)
