"""Heart size: the cardiothoracic ratio, measured on the masks, with the eye's own error.

Widest transverse extent of the heart over the widest inner width of the chest (from the outer
edge of one lung to that of the other on one row), as drawn on a PA film. The band is 90 %: the
ratio corrected by the measured bias, and 1.645 standard deviations each way.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.grounding import why_not_searched
from models.masks import blobs
from models.report import technique as techniques
from models.values import Finding, Measurement
from models.vocabulary import AnatomicStructure as Region
from models.vocabulary import MaskName, Observation, Presence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from models.report.looked import Looked
    from models.values import PixelBox

    Line = tuple[tuple[float, float], tuple[float, float]]

LIMIT = 0.50  # the usual upper limit on a PA film of an adult
BAND = 1.645  # standard deviations: 5 % on each side
_LEAST_HEIGHT = 0.02  # of the heart's height: thinner columns are fringe of the mask, not heart


@dataclass(frozen=True, slots=True)
class Extents:
    """Heart and chest as two lines across the patient, source pixels."""

    heart: "Line"
    chest: "Line"

    @property
    def ratio(self) -> float:
        """Length of the heart's line over the chest's."""
        return _length(self.heart) / _length(self.chest)


def extents(organs: "Mapping[MaskName, NDArray[np.bool_]]", axis: int = 0) -> Extents | None:
    """Measure both widths on organ masks; None when an organ was not drawn.

    ``axis`` 0: the patient's sides lie along x; 1: along y (a film stored on its side).
    """
    if not {MaskName.HEART, MaskName.RIGHT_LUNG, MaskName.LEFT_LUNG} <= organs.keys():
        return None
    heart = organs[MaskName.HEART]
    lungs = organs[MaskName.RIGHT_LUNG] | organs[MaskName.LEFT_LUNG]
    if axis == 1:
        heart, lungs = heart.T, lungs.T
    lines = _heart_line(heart), _chest_line(lungs)
    if axis == 1:
        lines = _swapped(lines[0]), _swapped(lines[1])
    return Extents(*lines)


def _heart_line(heart: "NDArray[np.bool_]") -> "Line":
    rows = np.flatnonzero(heart.any(axis=1))
    columns = np.flatnonzero(heart.sum(axis=0) >= max(1.0, _LEAST_HEIGHT * rows.size))
    # Drawn at the row where the heart is widest, though left and right peak on different rows.
    row = float(heart.sum(axis=1).argmax()) + 0.5
    return (float(columns[0]), row), (float(columns[-1] + 1), row)


def _chest_line(lungs: "NDArray[np.bool_]") -> "Line":
    rows = np.flatnonzero(lungs.any(axis=1))
    first = lungs[rows].argmax(axis=1)
    last = lungs.shape[1] - lungs[rows, ::-1].argmax(axis=1)
    widest = int((last - first).argmax())
    row = float(rows[widest]) + 0.5
    return (float(first[widest]), row), (float(last[widest]), row)


def _swapped(line: "Line") -> "Line":
    (x0, y0), (x1, y1) = line
    return (y0, x0), (y1, x1)


def _length(line: "Line") -> float:
    return float(np.hypot(line[1][0] - line[0][0], line[1][1] - line[0][1]))


def measured(seen: Extents, error: tuple[float, float]) -> Measurement:
    """Put the band of the measured error, ``(bias, standard deviation)``, around a ratio."""
    bias, deviation = error
    value = seen.ratio - bias
    low, high = max(value - BAND * deviation, 0.0), value + BAND * deviation
    return Measurement("cardiothoracic ratio", value, low, high, "1", (seen.heart, seen.chest))


def extents_of_boxes(looked: "Looked") -> Extents | None:
    """Measure both widths on the boxes instead, for a film whose masks could not be drawn."""
    heart = looked.regions.box(Region.CARDIAC_SILHOUETTE)
    right = looked.regions.box(Region.RIGHT_LUNG)
    left = looked.regions.box(Region.LEFT_LUNG)
    chest = looked.regions.union((Region.RIGHT_LUNG, Region.LEFT_LUNG))
    if heart is None or right is None or left is None or chest is None:
        return None
    axis = techniques.across(looked.image)
    return Extents(_middle_line(heart, axis), _middle_line(chest, axis))


def _middle_line(box: "PixelBox", axis: int) -> "Line":
    x, y = box.centre
    if axis == 1:
        return (x, box.y_min), (x, box.y_max)
    return (box.x_min, y), (box.x_max, y)


def finding(looked: "Looked") -> Finding:
    """Judge the heart's size; the id is given later.

    PRESENT or ABSENT only when the whole band is on one side of the limit, the technique allows
    a measurement, and the eye's own impression does not contradict it.
    """
    probability = looked.sight.probabilities.get(Observation.ENLARGED_CARDIAC_SILHOUETTE)
    needed = (Region.CARDIAC_SILHOUETTE, Region.RIGHT_LUNG, Region.LEFT_LUNG)
    extent = extents(looked.drawn.organs, techniques.across(looked.image))
    extent = extent or extents_of_boxes(looked)
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
    faults = looked.technique.faults_for_size()
    presence, reason = judged(size, faults)
    if presence is not Presence.UNCERTAIN and _contradicted(looked, presence, probability):
        presence, reason = Presence.UNCERTAIN, "the measured ratio and the appearance disagree"
    boxes = _box(looked) if presence is Presence.PRESENT else ()
    return Finding(
        "",
        Observation.ENLARGED_CARDIAC_SILHOUETTE,
        presence,
        probability,
        None,
        (Region.CARDIAC_SILHOUETTE,),
        boxes=boxes,
        measurement=size,
        reason=reason,
    )


def _box(looked: "Looked") -> "tuple[PixelBox, ...]":
    heart = looked.drawn.organs.get(MaskName.HEART)
    box = blobs.tight_box(heart) if heart is not None else None
    box = box or looked.regions.box(Region.CARDIAC_SILHOUETTE)
    return (box,) if box is not None else ()


def judged(size: Measurement, faults: tuple[str, ...]) -> tuple[Presence, str | None]:
    """State of a measured ratio, and why when it is UNCERTAIN."""
    if faults:
        return Presence.UNCERTAIN, ", and ".join(faults)
    if size.low > LIMIT:
        return Presence.PRESENT, None
    if size.high < LIMIT:
        return Presence.ABSENT, None
    return Presence.UNCERTAIN, f"the band of the measurement holds the limit of {LIMIT:.2f}"


def _contradicted(looked: "Looked", presence: Presence, probability: float | None) -> bool:
    if probability is None:
        return False
    absent_below, present_from = looked.thresholds[Observation.ENLARGED_CARDIAC_SILHOUETTE]
    if presence is Presence.PRESENT:
        return probability < absent_below
    return probability >= present_from
