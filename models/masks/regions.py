"""The masks of the 36 regions on the film's stored grid, each inside its own box."""

import functools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from models.masks.soft import LEVELS, SoftMasks
from models.vocabulary import AnatomicStructure as A
from models.vocabulary import MaskName

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from numpy.typing import NDArray

    from models.values import AnatomyRegion, Sight

HALF = LEVELS // 2 + 1
ORGAN_OF: "Mapping[A, MaskName]" = {
    **dict.fromkeys(
        (A.RIGHT_LUNG, A.RIGHT_APICAL_ZONE, A.RIGHT_UPPER_LUNG_ZONE, A.RIGHT_MID_LUNG_ZONE,
         A.RIGHT_LOWER_LUNG_ZONE), MaskName.RIGHT_LUNG),
    **dict.fromkeys(
        (A.LEFT_LUNG, A.LEFT_APICAL_ZONE, A.LEFT_UPPER_LUNG_ZONE, A.LEFT_MID_LUNG_ZONE,
         A.LEFT_LOWER_LUNG_ZONE), MaskName.LEFT_LUNG),
    **dict.fromkeys(
        (A.CARDIAC_SILHOUETTE, A.RIGHT_CARDIAC_BORDER, A.LEFT_CARDIAC_BORDER), MaskName.HEART),
}  # fmt: skip
"""Regions whose mask is, by rule, what of an organ lies in their box. The organs' masks are finer,
and learnt from real films too."""


class RegionMasks(Mapping[A, "NDArray[np.bool_]"]):
    """Masks by region, ``(rows, columns)`` bool; drawn when somebody asks, for few ever do.

    Pixels whose centre is outside a region's box are left out: the box has been measured on real
    films, the mask has not. A mask may be empty. ``draw`` gives the soft masks of all ``regions``;
    those in :data:`ORGAN_OF` are taken from ``organs`` where these have them. Of the others, those
    in ``outlined`` learnt from real films too, the rest from simulated films alone.
    """

    def __init__(
        self,
        draw: "Callable[[], SoftMasks[A]]",
        regions: "tuple[AnatomyRegion, ...]",
        organs: "Mapping[MaskName, NDArray[np.float32]] | None" = None,
        outlined: "Collection[A]" = (),
    ) -> None:
        self._draw, self._organs = draw, organs
        self.outlined = frozenset(outlined)
        self._boxes = {region.structure: region.box for region in regions}

    @functools.cached_property
    def _soft(self) -> SoftMasks[A]:
        return self._draw()

    def _organ(self, name: A) -> "tuple[SoftMasks[MaskName], MaskName] | None":
        """Return where a region's organ is drawn."""
        organ = ORGAN_OF.get(name)
        if organ is None or not isinstance(self._organs, SoftMasks) or organ not in self._organs:
            return None
        return self._organs, organ

    def __getitem__(self, name: A) -> "NDArray[np.bool_]":
        box, organ = self._boxes[name], self._organ(name)
        soft = self._soft.drawn(name) if organ is None else organ[0].drawn(organ[1])
        rows = slice(round(box.y_min), min(round(box.y_max), soft.shape[0]))
        columns = slice(round(box.x_min), min(round(box.x_max), soft.shape[1]))
        mask = np.zeros(soft.shape, np.bool_)
        mask[rows, columns] = soft[rows, columns] >= HALF
        return mask

    def __contains__(self, name: object) -> bool:
        return name in self._boxes  # without drawing it

    def __iter__(self) -> Iterator[A]:
        return iter(self._boxes)

    def __len__(self) -> int:
        return len(self._boxes)

    def coarse(self, name: A) -> "NDArray[np.float32]":
        """Return the mask as the network gave it, soft: canonical, letterboxed square, 0..1."""
        organ = self._organ(name)
        return self._soft.coarse(name) if organ is None else organ[0].coarse(organ[1])


def adapted(sight: "Sight") -> frozenset[A]:
    """Return the regions whose masks learnt from real films too."""
    organs = frozenset(name for name, organ in ORGAN_OF.items() if organ in sight.masks)
    masks = sight.region_masks
    return organs | masks.outlined if isinstance(masks, RegionMasks) else organs


def to_draw(sight: "Sight") -> "dict[A, NDArray[np.bool_]]":
    """Draw the masks that learnt from real films too; the others would mislead on many."""
    return {n: sight.region_masks[n] for n in adapted(sight) if n in sight.region_masks}


def run_lengths(mask: "NDArray[np.bool_]") -> dict[str, list[int]]:
    """Return COCO's uncompressed run lengths: ``size`` rows and columns, ``counts`` by column.

    Counts begin with what is not in the mask and take turns.
    """
    columns = np.flatnonzero(mask.any(axis=0))
    if not columns.size:
        return {"size": list(mask.shape), "counts": [mask.size]}
    first = int(columns[0])  # a film is large, a region's part of it is not
    flat = mask[:, first : columns[-1] + 1].ravel(order="F")
    padded = np.concatenate([[False], flat, [False]])
    turns = np.flatnonzero(padded[1:] != padded[:-1]) + first * mask.shape[0]
    counts = np.diff(turns, prepend=0, append=mask.size).tolist()
    return {"size": list(mask.shape), "counts": counts if counts[-1] else counts[:-1]}
