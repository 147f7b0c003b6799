"""The eye's answers on a list of films, as arrays: what it serves, and the numbers behind it."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from models.anatomy.eye import OnnxEye
from models.anatomy.heads import (
    MASK_SIDE,
    MASKS,
    OBSERVATIONS,
    PLACE_SIDE,
    QUALITIES,
    REGIONS,
    SIGNS,
)
from models.anatomy.reading import sigmoid
from models.masks.regions import RegionMasks
from models.masks.soft import SoftMasks
from models.regions import RegionVariant, convert
from models.values import ChestImage
from models.vocabulary import AnatomicStructure, MaskName

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from models.anatomy.sides import Outputs
    from models.bundles import Bundle
    from models.opinions import SidesOpinion
    from models.training.measures import Numbers
    from models.values import Sight
    from models.vocabulary import Sign

BATCH = 16
HALF = 0.5


class ListeningEye(OnnxEye):
    """The eye as it serves, which also keeps the raw numbers of its last batch.

    One thread by default: on a busy machine a second one waits more than it works. Masks of regions
    are measured on every film, and computed with all else.
    """

    heard: "list[Outputs]"

    def __init__(self, bundle: "Bundle", *, threads: int = 1) -> None:
        super().__init__(bundle, intra_op_num_threads=threads, later=())

    def outputs(
        self, images: "Sequence[ChestImage]", without: "Collection[str]" = ()
    ) -> "list[tuple[Outputs, SidesOpinion | None]]":
        """Return and keep the numbers by head in the reading frame."""
        found = super().outputs(images, without)
        self.heard = [outputs for outputs, _ in found]
        return found

    @property
    def heads(self) -> frozenset[str]:
        """What the bundle declares."""
        return self._bundle.heads

    @property
    def sign_thresholds(self) -> "Mapping[Sign, tuple[float, float]]":
        """Per sign ``(absent_below, present_from)``."""
        return self._bundle.sign_thresholds


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """Answers for ``n`` films; NaN where the bundle has no head for it.

    ``boxes`` (n, 36, 4) corners in the film's px; ``v7_lungs`` (n, 2, 4) right and left lung in
    V7's convention; ``findings`` (n, 4) chances; ``signs`` (n, 20)
    log odds; ``attributes`` (n, 36, 20) log odds; ``embedding`` (n, 36, E); ``masks``
    (n, 8, 160, 160) uint8, chance x 255 on the square; ``region_masks`` (n, 36, 80, 80) bool, not
    cut to their boxes; ``in_scope`` (n,) chance, ``reasons``;
    ``mirrored`` (n,) and ``sure`` (n,) bool; ``evidence`` (n,) log odds for mirrored; ``broken``
    (n,) pairs of regions out of order, ``exchanged`` (n,) whose names were exchanged before.
    """

    boxes: "Numbers"
    findings: "Numbers"
    signs: "Numbers"
    attributes: "Numbers"
    embedding: "Numbers"
    masks: "Numbers"
    in_scope: "Numbers"
    reasons: "Numbers"
    mirrored: "Numbers"
    sure: "Numbers"
    evidence: "Numbers"
    broken: "Numbers"
    exchanged: "Numbers"
    v7_lungs: "Numbers"
    quality: "Numbers"
    region_masks: "Numbers"

    def take(self, rows: "Numbers | list[int]") -> "Looked":
        """Return some of the films, by number or by mask."""
        return Looked(*(getattr(self, field.name)[rows] for field in fields(self)))


def look(eye: ListeningEye, films: "Sequence[Numbers]") -> Looked:
    """Look at films ``(rows, columns)`` of any number type, without a declared orientation."""
    rows: list[tuple[object, ...]] = []
    for start in range(0, len(films), BATCH):
        some = films[start : start + BATCH]
        images = [
            ChestImage(str(i), np.ascontiguousarray(f, np.float32)) for i, f in enumerate(some)
        ]
        sights = eye.look(images)
        rows += [_row(s, raw) for s, raw in zip(sights, eye.heard, strict=True)]
    return Looked(*(np.asarray(column) for column in zip(*rows, strict=True)))


def _row(sight: "Sight", raw: "Outputs") -> tuple[object, ...]:
    """Return one film's answers in the order of Looked's fields."""
    boxes = np.full((len(REGIONS), 4), np.nan, np.float32)
    for region in sight.regions:
        b = region.box
        boxes[REGIONS.index(region.structure)] = (b.x_min, b.y_min, b.x_max, b.y_max)
    sides = sight.sides
    blank = np.full
    return (
        boxes,
        [sight.probabilities.get(o, np.nan) for o in OBSERVATIONS],
        raw.get("signs", blank(len(SIGNS), np.nan, np.float32)),
        raw.get("attributes", blank((len(REGIONS), len(SIGNS)), np.nan, np.float32)),
        raw.get("embedding", blank((len(REGIONS), 1), np.nan, np.float32)),
        _masks(sight),
        sight.scope.in_scope,
        "" if sight.scope.reason is None else sight.scope.reason.value,
        sides.mirrored if sides else sight.scope.mirrored > HALF,
        sides.sure if sides else False,
        sides.evidence if sides else np.nan,
        len(sight.out_of_order),
        len(sight.exchanged),
        _v7(sight),
        sigmoid(raw.get("quality", blank(len(QUALITIES), np.nan, np.float32))),
        _region_masks(sight),
    )


def _v7(sight: "Sight") -> "Numbers":
    found = {r.structure: r.box for r in convert(sight.regions, RegionVariant.V7)}
    lungs = [found[name] for name in (AnatomicStructure.RIGHT_LUNG, AnatomicStructure.LEFT_LUNG)]
    return np.asarray([(b.x_min, b.y_min, b.x_max, b.y_max) for b in lungs], np.float32)


def _region_masks(sight: "Sight") -> "Numbers":
    planes = np.zeros((len(REGIONS), PLACE_SIDE, PLACE_SIDE), bool)
    if isinstance(sight.region_masks, RegionMasks):
        for name in sight.region_masks:
            soft = sight.region_masks.coarse(name)  # parts of organs come finer
            cells = soft.reshape(PLACE_SIDE, len(soft) // PLACE_SIDE, PLACE_SIDE, -1)
            planes[REGIONS.index(name)] = cells.mean(axis=(1, 3)) >= HALF
    return planes


def _masks(sight: "Sight") -> "Numbers":
    planes = np.zeros((len(MASKS), MASK_SIDE, MASK_SIDE), np.uint8)
    if isinstance(sight.masks, SoftMasks):
        for name in sight.masks:
            planes[MASKS.index(MaskName(name))] = np.round(sight.masks.coarse(name) * 255)
    return planes
