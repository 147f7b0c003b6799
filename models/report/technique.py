"""How the film was taken, as far as it can be told: what forbids a measurement or a side.

The numbers are geometry of the predicted boxes, not a radiologist's judgement; each fault is
worded as something that *looks* so.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.vocabulary import AnatomicStructure as Region
from models.vocabulary import Side, ViewPosition

if TYPE_CHECKING:
    from models.grounding import Regions
    from models.values import ChestImage, PixelBox, Sight

MIRRORED_FROM = 0.5  # belief from which a film counts as mirrored
ROTATED_FROM = 0.06  # spine off the middle between the clavicles' inner ends, over chest width
SHALLOW_BELOW = 0.65  # height of the lungs over the width of the chest


@dataclass(frozen=True, slots=True)
class Technique:
    """What the pixels and the header say about how the film was taken.

    ``view_position`` is the header's, else the eye's; ``view_stated`` tells which. ``rotation``
    and ``inspiration`` are None when the regions they need are not visible.
    """

    view_position: ViewPosition | None
    view_stated: bool
    rotation: float | None
    inspiration: float | None
    mirrored: bool
    sides_in_order: bool

    @property
    def sides_known(self) -> bool:
        """Whether a side may be stated at all."""
        return self.sides_in_order and not self.mirrored

    def enlarging(self) -> tuple[str, ...]:
        """Reasons, in words, why a heart may look larger than it is; never smaller."""
        shallow = self.inspiration is not None and self.inspiration < SHALLOW_BELOW
        faults = (
            (self.view_position is ViewPosition.AP, "AP projection enlarges the heart"),
            (self.view_position is None, "it is not known whether the film is PA or AP"),
            (shallow, "inspiration looks poor"),
        )
        return tuple(words for holds, words in faults if holds)

    def distorting(self) -> tuple[str, ...]:
        """Reasons, in words, why a heart's size must not be judged either way on this film."""
        rotated = self.rotation is not None and self.rotation >= ROTATED_FROM
        faults = (
            (rotated, "the patient looks rotated"),
            (not self.sides_known, "the film may be mirrored"),
        )
        return tuple(words for holds, words in faults if holds)

    def remarks(self) -> tuple[str, ...]:
        """Whole sentences for the reader about the film itself."""
        notes = []
        if self.mirrored:
            notes.append("The film may be shown mirrored, or the organs may lie mirrored.")
        if not self.sides_in_order:
            notes.append("The order of the lungs disagrees with the stated orientation.")
        if not self.sides_known:
            notes.append("No side is stated in this draft.")
        if not self.view_stated and self.view_position is not None:
            view = self.view_position.value
            notes.append(f"The view is not stated in the header; it looks like {view}.")
        return tuple(notes)


def assess(image: "ChestImage", sight: "Sight", regions: "Regions") -> Technique:
    """Judge one film from its header values and the boxes found on it."""
    return Technique(
        image.view_position or sight.scope.view_position,
        image.view_position is not None,
        _rotation(regions, across(image)),
        _inspiration(regions, across(image)),
        sight.scope.mirrored >= MIRRORED_FROM,
        _sides_in_order(image, regions),
    )


def across(image: "ChestImage") -> int:
    """Axis of the stored grid that runs from side to side of the patient: 0 is x, 1 is y."""
    row, _ = image.patient_orientation or ("L", "F")
    return 0 if row[:1] in {"L", "R"} else 1


def _rotation(regions: "Regions", axis: int) -> float | None:
    """How far the spine is off the middle between the clavicles' inner ends, over chest width.

    The sign a reader looks for: the spinous process midway between the two ends.
    """
    right, left = regions.box(Region.RIGHT_CLAVICLE), regions.box(Region.LEFT_CLAVICLE)
    spine = regions.box(Region.SPINE)
    chest = regions.union((Region.RIGHT_LUNG, Region.LEFT_LUNG))
    if right is None or left is None or spine is None or chest is None:
        return None
    first, second = sorted((_span(right, axis), _span(left, axis)))
    middle = (first[1] + second[0]) / 2
    low, high = _span(chest, axis)
    return abs(middle - spine.centre[axis]) / (high - low)


def _span(box: "PixelBox", axis: int) -> tuple[float, float]:
    """Extent of a box along x (``axis`` 0) or y (1)."""
    return (box.x_min, box.x_max) if axis == 0 else (box.y_min, box.y_max)


def _inspiration(regions: "Regions", axis: int) -> float | None:
    """Mean height of the two lungs over the width from lung to lung."""
    boxes = [regions.box(Region.RIGHT_LUNG), regions.box(Region.LEFT_LUNG)]
    chest = regions.union((Region.RIGHT_LUNG, Region.LEFT_LUNG))
    if chest is None or any(box is None for box in boxes):
        return None
    heights = [box.height if axis == 0 else box.width for box in boxes if box is not None]
    low, high = _span(chest, axis)
    return sum(heights) / len(heights) / (high - low)


def _sides_in_order(image: "ChestImage", regions: "Regions") -> bool:
    """Whether the right lung lies where Patient Orientation (0020,0020) puts the right side.

    A film without orientation is taken as shown as usual: rows run to the patient's left.
    """
    right = regions.box(Region.RIGHT_LUNG)
    left = regions.box(Region.LEFT_LUNG)
    if right is None or left is None:
        return True  # nothing to contradict; a single lung carries no order
    axis = across(image)
    towards = (image.patient_orientation or ("L", "F"))[axis][:1]
    return (right.centre[axis] < left.centre[axis]) is (towards == Side.LEFT.value[:1].upper())
