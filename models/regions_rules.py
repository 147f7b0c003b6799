"""The rules by which a region's box is redrawn for another convention.

Boxes are in the patient's frame: x grows to the patient's left, y to the feet, in pixels. A rule
draws nothing when its region, or one it needs, is not there.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from models.values import PixelBox
from models.vocabulary import AnatomicStructure

if TYPE_CHECKING:
    from collections.abc import Mapping

    Boxes: TypeAlias = Mapping[AnatomicStructure, PixelBox]


@dataclass(frozen=True, slots=True)
class Shift:
    """Move the edges of one box outwards (negative: inwards), an affine map along each axis.

    ``medial`` and ``lateral`` in fractions of the box's width, ``upper`` and ``lower`` of its
    height. For a region without a side, ``medial`` is the edge on the patient's right.
    """

    region: AnatomicStructure
    medial: float
    lateral: float
    upper: float
    lower: float

    def draw(self, boxes: "Boxes") -> PixelBox | None:
        """Return the moved box.

        Raises
        ------
        EmptyBox
            If the edges would cross.
        """
        box = boxes.get(self.region)
        if box is None:
            return None
        towards_right, towards_left = self.medial, self.lateral
        if on_the_right(self.region):
            towards_right, towards_left = towards_left, towards_right
        return PixelBox(
            box.x_min - towards_right * box.width,
            box.y_min - self.upper * box.height,
            box.x_max + towards_left * box.width,
            box.y_max + self.lower * box.height,
        )


@dataclass(frozen=True, slots=True)
class Union:
    """Draw the region as the smallest box around others, when all of them are there."""

    region: AnatomicStructure
    of: tuple[AnatomicStructure, ...]

    def draw(self, boxes: "Boxes") -> PixelBox | None:
        """Return the box around the others."""
        others = [boxes[name] for name in self.of if name in boxes]
        if self.region not in boxes or len(others) < len(self.of):
            return None
        return PixelBox(
            min(b.x_min for b in others), min(b.y_min for b in others),
            max(b.x_max for b in others), max(b.y_max for b in others),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class AsWideAs:
    """Give the region the right and the left edge of another one."""

    region: AnatomicStructure
    of: AnatomicStructure

    def draw(self, boxes: "Boxes") -> PixelBox | None:
        """Return the widened (or narrowed) box."""
        box, other = boxes.get(self.region), boxes.get(self.of)
        if box is None or other is None:
            return None
        return replace(box, x_min=other.x_min, x_max=other.x_max)


@dataclass(frozen=True, slots=True)
class ReachInto:
    """Move the region's medial edge inside another one, its lateral edge stays.

    ``share`` of the other one's width is covered, from its edge on the region's own side.
    """

    region: AnatomicStructure
    of: AnatomicStructure
    share: float

    def draw(self, boxes: "Boxes") -> PixelBox | None:
        """Return the box with its new medial edge.

        Raises
        ------
        EmptyBox
            If the region lies wholly on the other side of that edge.
        """
        box, other = boxes.get(self.region), boxes.get(self.of)
        if box is None or other is None:
            return None
        if on_the_right(self.region):
            return replace(box, x_max=other.x_min + self.share * other.width)
        return replace(box, x_min=other.x_max - self.share * other.width)


Rule: TypeAlias = Shift | Union | AsWideAs | ReachInto


def on_the_right(region: AnatomicStructure) -> bool:
    """Whether the region's medial edge is its left one."""
    return region.value.startswith("right ")


def parsed(row: "dict[str, Any]") -> Rule:
    """Read one rule of ``regions_variants.json``.

    Raises
    ------
    ValueError, KeyError
        If it names a rule, a region or an edge that does not exist.
    """
    region = AnatomicStructure(row["region"])
    match row["rule"]:
        case "shift":
            edges = (float(row[name]) for name in ("medial", "lateral", "upper", "lower"))
            return Shift(region, *edges)
        case "union":
            return Union(region, tuple(AnatomicStructure(name) for name in row["of"]))
        case "as wide as":
            return AsWideAs(region, AnatomicStructure(row["of"]))
        case "reach into":
            return ReachInto(region, AnatomicStructure(row["of"]), float(row["share"]))
        case other:
            raise ValueError(f"no such rule: {other!r}")
