"""Where things are on one film: regions by name, what is cut off, what a box or blob overlaps."""

from typing import TYPE_CHECKING

from models import geometry
from models.ontology import places
from models.values import PixelBox
from models.vocabulary import AnatomicStructure, Side

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from models.masks.blobs import Blob
    from models.values import AnatomyRegion, ChestImage

VISIBLE_FROM = 0.5  # score of a region from which it counts as visible
_EDGE = 0.004  # of the film's side: a box nearer than this to the edge may go on beyond it
_ON_A_SIDE_FROM = 0.4  # share of a blob in a part of one side from which it belongs to that side
_TIED_FROM = 0.25  # share of a blob in a region from which the region is named for it


class Regions:
    """The regions of one film by name, with the questions that are asked about them."""

    def __init__(self, image: "ChestImage", regions: "Sequence[AnatomyRegion]") -> None:
        self._by_name = {region.structure: region for region in regions}
        self._columns, self._rows = image.columns, image.rows

    def box(self, structure: AnatomicStructure) -> PixelBox | None:
        """Box of a visible region, source pixels, inside the film; None when it is not seen."""
        region = self._by_name.get(structure)
        if region is None or region.score < VISIBLE_FROM:
            return None
        return geometry.clip(region.box, self._rows, self._columns)

    def missing(self, structures: "Iterable[AnatomicStructure]") -> list[AnatomicStructure]:
        """List the regions that are not visible."""
        return [structure for structure in structures if self.box(structure) is None]

    def cut_off(self, structures: "Iterable[AnatomicStructure]") -> list[AnatomicStructure]:
        """List the visible regions that reach the edge of the film, and may go on beyond it."""
        return [structure for structure in structures if self._touches_edge(structure)]

    def _touches_edge(self, structure: AnatomicStructure) -> bool:
        box = self.box(structure)
        if box is None:
            return False
        x_edge, y_edge = _EDGE * self._columns, _EDGE * self._rows
        return (
            box.x_min <= x_edge
            or box.y_min <= y_edge
            or box.x_max >= self._columns - x_edge
            or box.y_max >= self._rows - y_edge
        )

    def union(self, structures: "Iterable[AnatomicStructure]") -> PixelBox | None:
        """Smallest box around the visible ones of these regions; None when none is visible."""
        return union(box for name in structures if (box := self.box(name)) is not None)

    def thorax_span(self) -> float:
        """Longer side of the box around both lungs, px; of the film when no lung is seen.

        A scale that does not depend on pixel spacing, which many films lack.
        """
        box = self.union(places.LUNG.values())
        return max(box.width, box.height) if box else float(max(self._columns, self._rows))

    def side_of(self, blob: "Blob") -> Side | None:
        """Side of the chest that holds more of a blob; None when neither holds a fair share.

        The diaphragm and the angle count with the lung, since fluid hides the lung's own edge.
        """
        shares = {
            side: max(self._share(blob, region) for region in places.CHEST[side]) for side in Side
        }
        side = max(shares, key=lambda side: shares[side])
        return side if shares[side] >= _ON_A_SIDE_FROM else None

    def tied(
        self, blob: "Blob", candidates: "Sequence[AnatomicStructure]"
    ) -> tuple[AnatomicStructure, ...]:
        """Candidates that hold a fair share of a blob, in their order; at least the best one."""
        shares = {name: self._share(blob, name) for name in candidates}
        best = max(shares, key=lambda name: shares[name], default=None)
        if best is None or shares[best] <= 0:
            return ()
        return tuple(name for name in candidates if name is best or shares[name] >= _TIED_FROM)

    def _share(self, blob: "Blob", structure: AnatomicStructure) -> float:
        box = self.box(structure)
        return blob.share_in(box) if box else 0.0


def why_not_searched(
    missing: "Sequence[AnatomicStructure]", cut: "Sequence[AnatomicStructure]"
) -> str | None:
    """Say in words why a place cannot be judged; None when nothing stands against it."""
    parts = []
    if missing:
        parts.append(f"{listed(missing)} not seen")
    if cut:
        parts.append(f"{listed(cut)} cut off by the edge of the film")
    return "; ".join(parts) or None


def listed(names: "Sequence[str]") -> str:
    """Join names as prose does: ``a``, ``a and b``, ``a, b and c``."""
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else "".join(names)


def union(boxes: "Iterable[PixelBox]") -> PixelBox | None:
    """Smallest box around all; None for no box."""
    every = list(boxes)
    if not every:
        return None
    return PixelBox(
        min(box.x_min for box in every),
        min(box.y_min for box in every),
        max(box.x_max for box in every),
        max(box.y_max for box in every),
    )


def share(inner: PixelBox, outer: PixelBox) -> float:
    """Fraction of the inner box that lies inside the outer one, 0..1."""
    width = min(inner.x_max, outer.x_max) - max(inner.x_min, outer.x_min)
    height = min(inner.y_max, outer.y_max) - max(inner.y_min, outer.y_min)
    return max(width, 0.0) * max(height, 0.0) / inner.area
