"""The named conventions in which region boxes are drawn, and the way from ours to each of them.

Boxes that people or other data sets draw follow other rules than ours (docs/regions.md), so an
overlap with them is only fair after ``convert``. The rules are data: ``regions_variants.json``,
where every variant says whether it was fitted, on what, and with which gain.
"""

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from models.errors import EmptyBox
from models.regions_rules import Rule, parsed
from models.values import PixelBox
from models.vocabulary import AnatomicStructure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from models.values import AnatomyRegion

VARIANTS_FILE = "regions_variants.json"
_A = AnatomicStructure
_HEADWARD = (_A.RIGHT_APICAL_ZONE, _A.LEFT_APICAL_ZONE, _A.RIGHT_CLAVICLE, _A.LEFT_CLAVICLE)
_FOOTWARD = (_A.RIGHT_HEMIDIAPHRAGM, _A.LEFT_HEMIDIAPHRAGM, _A.RIGHT_LOWER_LUNG_ZONE,
             _A.LEFT_LOWER_LUNG_ZONE, _A.ABDOMEN)  # fmt: skip


class RegionVariant(StrEnum):
    """A convention of drawing the 36 boxes."""

    VISIBLE_FIELD = "visible_field"
    V7 = "v7"
    IMAGENOME = "imagenome"


@dataclass(frozen=True, slots=True)
class Frame:
    """How the patient lies on the stored grid: x to the patient's left, y to the feet, or not."""

    transposed: bool = False
    left_is_up: bool = True  # the patient's left lies at greater coordinates
    feet_are_up: bool = True  # the feet lie at greater coordinates

    def to_patient(self, box: PixelBox) -> PixelBox:
        """Source pixels to the patient's frame: x grows to the patient's left, y to the feet."""
        x_min, y_min, x_max, y_max = box.x_min, box.y_min, box.x_max, box.y_max
        if self.transposed:
            x_min, y_min, x_max, y_max = y_min, x_min, y_max, x_max
        return self._turned(x_min, y_min, x_max, y_max)

    def to_source(self, box: PixelBox) -> PixelBox:
        """Return the patient's frame to source pixels, the exact inverse."""
        turned = self._turned(box.x_min, box.y_min, box.x_max, box.y_max)
        if not self.transposed:
            return turned
        return PixelBox(turned.y_min, turned.x_min, turned.y_max, turned.x_max)

    def _turned(self, x_min: float, y_min: float, x_max: float, y_max: float) -> PixelBox:
        if not self.left_is_up:
            x_min, x_max = -x_max, -x_min
        if not self.feet_are_up:
            y_min, y_max = -y_max, -y_min
        return PixelBox(x_min, y_min, x_max, y_max)


def frame_of(boxes: "Mapping[AnatomicStructure, PixelBox]") -> Frame:
    """Tell from the anatomy how the patient lies; without both lungs, the usual display.

    Nothing is asked of the header, so that boxes and frame can never disagree: on a mirrored film
    the boxes keep their names and the frame turns with them.
    """
    right, left = boxes.get(_A.RIGHT_LUNG), boxes.get(_A.LEFT_LUNG)
    if right is None or left is None:
        return Frame()
    across = [a - b for a, b in zip(left.centre, right.centre, strict=True)]
    transposed = abs(across[1]) > abs(across[0])
    down = _mean_centre(boxes, _FOOTWARD), _mean_centre(boxes, _HEADWARD)
    feet = True
    if down[0] is not None and down[1] is not None:
        axis = 0 if transposed else 1
        feet = down[0][axis] >= down[1][axis]
    return Frame(transposed, across[1 if transposed else 0] >= 0, feet)


def _mean_centre(
    boxes: "Mapping[AnatomicStructure, PixelBox]", names: "Iterable[AnatomicStructure]"
) -> tuple[float, float] | None:
    centres = [boxes[name].centre for name in names if name in boxes]
    if not centres:
        return None
    xs, ys = zip(*centres, strict=True)
    return sum(xs) / len(xs), sum(ys) / len(ys)


def convert(
    regions: "Sequence[AnatomyRegion]", variant: RegionVariant
) -> "tuple[AnatomyRegion, ...]":
    """Redraw regions, given as ``visible_field``, by the rules of another variant.

    Source pixels in and out, in the same order and with the same scores; boxes that a variant has
    no rule for stay as they are, and so does a box whose rule needs a region that is not there or
    would leave it empty.
    The result is not cut to the film (``models.geometry.clip``).
    """
    return apply(regions, rules(variant))


def apply(
    regions: "Sequence[AnatomyRegion]", steps: "Iterable[Rule]"
) -> "tuple[AnatomyRegion, ...]":
    """Redraw regions by these rules, one after the other: a later one sees what an earlier drew."""
    found = {region.structure: region.box for region in regions}
    frame = frame_of(found)
    boxes = {name: frame.to_patient(box) for name, box in found.items()}
    changed = set()
    for rule in steps:
        with suppress(EmptyBox):  # anatomy out of order: the box stays as it was seen
            drawn = rule.draw(boxes)
            if drawn is not None:
                boxes[rule.region] = drawn
                changed.add(rule.region)
    # What no rule touched keeps its very numbers.
    return tuple(
        replace(region, box=frame.to_source(boxes[region.structure]))
        if region.structure in changed
        else region
        for region in regions
    )


@cache
def rules(variant: RegionVariant) -> tuple[Rule, ...]:
    """Return the rules of a variant, in the order in which they are applied.

    Raises
    ------
    ValueError, KeyError
        If the file names what no vocabulary has: a broken installation.
    """
    return tuple(parsed(row) for row in described()[variant]["rules"])


def described() -> dict[str, Any]:
    """Return the whole file: for every variant its basis in words, its figures and its rules."""
    text = (files("models") / VARIANTS_FILE).read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def fitted_for(variant: RegionVariant) -> str | None:
    """Return the hash of the weights whose boxes the rules were fitted to; None if not fitted."""
    found: str | None = described()[variant].get("weights_sha256")
    return found
