"""Heart size: the cardiothoracic ratio, measured on the boxes, with the eye's own error.

Width of the cardiac silhouette over the width from the outer edge of one lung to that of the
other, as drawn on a PA film. The eye's error was measured in the same way (bias and standard
deviation of this ratio of boxes); the band is 90 %: the ratio corrected by the bias, and 1.645
standard deviations each way. The masks, drawn by another head of the network, must agree.
"""

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.grounding import listed, why_not_searched
from models.report import technique as techniques
from models.values import Finding, Measurement
from models.vocabulary import AnatomicStructure as Region
from models.vocabulary import MaskName, Observation, Presence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from models.report.looked import Looked
    from models.report.technique import Technique
    from models.values import PixelBox

    Line = tuple[tuple[float, float], tuple[float, float]]

LIMIT = 0.50  # the usual upper limit on a PA film of an adult
_LUNGS = (MaskName.RIGHT_LUNG, MaskName.LEFT_LUNG)
BAND = 1.645  # standard deviations: 5 % on each side
OUTLINE_AGREES_WITHIN = 0.08  # of the ratio; boxes and masks further apart measure nothing


@dataclass(frozen=True, slots=True)
class Extents:
    """Heart and chest as two lines across the patient, source pixels."""

    heart: "Line"
    chest: "Line"

    @property
    def ratio(self) -> float:
        """Length of the heart's line over the chest's."""
        return _length(self.heart) / _length(self.chest)


def extents(looked: "Looked") -> Extents | None:
    """Measure both widths on the boxes; None when one of the three is not visible."""
    heart = looked.regions.box(Region.CARDIAC_SILHOUETTE)
    right = looked.regions.box(Region.RIGHT_LUNG)
    left = looked.regions.box(Region.LEFT_LUNG)
    chest = looked.regions.union((Region.RIGHT_LUNG, Region.LEFT_LUNG))
    if heart is None or right is None or left is None or chest is None:
        return None
    axis = techniques.across(looked.image)
    organs = looked.drawn.organs
    lungs = [organs[name] for name in _LUNGS if name in organs]
    outlines = [organs[MaskName.HEART]] if MaskName.HEART in organs else []
    return Extents(_line(heart, axis, outlines), _line(chest, axis, lungs))


def outlined_ratio(organs: "Mapping[MaskName, NDArray[np.bool_]]", axis: int) -> float | None:
    """Return the same ratio of the masks; None when an organ was not drawn.

    ``axis`` 0: the patient's sides lie along x; 1: along y (a film stored on its side).
    """
    if not {MaskName.HEART, MaskName.RIGHT_LUNG, MaskName.LEFT_LUNG} <= organs.keys():
        return None
    heart = _width(organs[MaskName.HEART], axis)
    return heart / _width(organs[MaskName.RIGHT_LUNG] | organs[MaskName.LEFT_LUNG], axis)


def _width(mask: "NDArray[np.bool_]", axis: int) -> float:
    set_ = np.flatnonzero(mask.any(axis=axis))
    return float(set_[-1] + 1 - set_[0])


def _line(box: "PixelBox", axis: int, outlines: "Sequence[NDArray[np.bool_]]") -> "Line":
    """Lay the width of a box where its organ is widest, or through its middle without outlines."""
    x, y = box.centre
    if outlines:
        level = _widest(functools.reduce(np.logical_or, outlines), axis)
        x, y = (x, level) if axis == 0 else (level, y)
    if axis == 1:
        return (x, box.y_min), (x, box.y_max)
    return (box.x_min, y), (box.x_max, y)


def _widest(mask: "NDArray[np.bool_]", axis: int) -> float:
    """Row (``axis`` 0) or column (1) on which a mask reaches furthest from end to end."""
    upright = mask if axis == 0 else mask.T
    levels = np.flatnonzero(upright.any(axis=1))
    rows = upright[levels]
    span = rows.shape[1] - rows[:, ::-1].argmax(axis=1) - rows.argmax(axis=1)
    return float(levels[int(span.argmax())]) + 0.5


def _length(line: "Line") -> float:
    return float(np.hypot(line[1][0] - line[0][0], line[1][1] - line[0][1]))


def measured(seen: Extents, error: tuple[float, float]) -> Measurement:
    """Put the band of the measured error, ``(bias, standard deviation)``, around a ratio."""
    bias, deviation = error
    value = seen.ratio - bias
    low, high = max(value - BAND * deviation, 0.0), value + BAND * deviation
    return Measurement("cardiothoracic ratio", value, low, high, "1", (seen.heart, seen.chest))


def finding(looked: "Looked") -> Finding:
    """Judge the heart's size; the id is given later.

    PRESENT or ABSENT only when the whole band is on one side of the limit, the technique allows
    a measurement, and the eye's own impression does not contradict it. What makes a heart look
    larger (AP projection, poor inspiration) does not stand against ABSENT.
    """
    probability = looked.sight.probabilities.get(Observation.ENLARGED_CARDIAC_SILHOUETTE)
    needed = (Region.CARDIAC_SILHOUETTE, Region.RIGHT_LUNG, Region.LEFT_LUNG)
    extent = extents(looked)
    missing, cut = looked.regions.missing(needed), looked.regions.cut_off(needed)
    if missing or cut or extent is None:
        why = why_not_searched(missing, cut) or "the heart could not be outlined"
        return Finding(
            "",
            Observation.ENLARGED_CARDIAC_SILHOUETTE,
            Presence.NOT_ASSESSED,
            probability,
            None,
            (),
            reason=why,
        )
    size = measured(extent, looked.cardiothoracic_error)
    presence, reason = judged(size, looked.technique)
    if presence is not Presence.UNCERTAIN and _contradicted(looked, presence, probability):
        presence, reason = Presence.UNCERTAIN, "the measured ratio and the appearance disagree"
    if presence is not Presence.UNCERTAIN and not _outline_agrees(looked, extent):
        presence, reason = Presence.UNCERTAIN, "box and outline of the heart disagree"
    box = looked.regions.box(Region.CARDIAC_SILHOUETTE)
    return Finding(
        "",
        Observation.ENLARGED_CARDIAC_SILHOUETTE,
        presence,
        probability,
        None,
        (Region.CARDIAC_SILHOUETTE,),
        boxes=(box,) if box is not None and presence is Presence.PRESENT else (),
        measurement=size,
        reason=reason,
    )


def judged(size: Measurement, technique: "Technique") -> tuple[Presence, str | None]:
    """State of a measured ratio, and why when it is UNCERTAIN."""
    enlarging, distorting = technique.enlarging(), technique.distorting()
    if size.high < LIMIT and not distorting:
        return Presence.ABSENT, None
    if enlarging or distorting:
        return Presence.UNCERTAIN, listed((*enlarging, *distorting))
    if size.low > LIMIT:
        return Presence.PRESENT, None
    return Presence.UNCERTAIN, f"too close to {LIMIT:.2f} to be judged"


def _outline_agrees(looked: "Looked", extent: Extents) -> bool:
    ratio = outlined_ratio(looked.drawn.organs, techniques.across(looked.image))
    return ratio is None or abs(ratio - extent.ratio) <= OUTLINE_AGREES_WITHIN


def _contradicted(looked: "Looked", presence: Presence, probability: float | None) -> bool:
    if probability is None:
        return False
    absent_below, present_from = looked.thresholds[Observation.ENLARGED_CARDIAC_SILHOUETTE]
    if presence is Presence.PRESENT:
        return probability < absent_below
    return probability >= present_from
