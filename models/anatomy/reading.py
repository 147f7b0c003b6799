"""From the network's numbers for one film to a sight in the film's own pixels."""

from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from models.anatomy import sides
from models.anatomy.session import REASONS, VIEWS
from models.geometry import clip, from_cxcywh
from models.masks.regions import RegionMasks
from models.masks.soft import SoftMasks
from models.opinions import QualityOpinion, RegionSign, ScopeOpinion, SidesOpinion, SignOpinion
from models.values import AnatomyRegion, Sight
from models.vocabulary import (
    AnatomicStructure,
    Capability,
    MaskName,
    Observation,
    Presence,
    Quality,
    Sign,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from models.anatomy.order import Order
    from models.anatomy.sides import Outputs
    from models.bundles import Bundle
    from models.geometry import Letterbox, Turn

Name = TypeVar("Name")

IN_SCOPE_FROM: Final = 0.5
NOT_JUDGED: Final = 0.5  # what is said where a head is missing: neither seen nor unseen
LEAST_SIZE: Final = 1e-4  # of the square; a box is never without area
HERE_FROM: Final = 0.5  # chance from which a sign that is believed is said to touch a region


class Reader:
    """Knows what a bundle's outputs mean; a head that is not there leaves its place empty."""

    def __init__(self, bundle: "Bundle") -> None:
        self._bundle = bundle
        self._unavailable = tuple(
            capability for capability in Capability if capability.name.lower() not in bundle.heads
        )

    def sight(
        self,
        outputs: "Outputs",
        place: "tuple[Letterbox, Turn]",
        opinion: SidesOpinion | None,
        order: "Order",
        region_masks: "Callable[[], NDArray[np.float32]]",
    ) -> Sight:
        """Make the sight of one film from its outputs in the canonical frame.

        ``place`` says how the canonical film lies in the square and on its stored grid.
        ``region_masks`` gives the log odds of the masks of regions, and is called when somebody
        asks for one that is no part of an organ.
        """
        bundle, (frame, turn) = self._bundle, place
        masks: Mapping[MaskName, NDArray[np.float32]] = {}
        if "masks" in outputs:
            names = tuple(MaskName(name) for name in bundle.masks)
            masks = SoftMasks(sigmoid(outputs["masks"]), names, frame, turn)
        signs = self._signs(outputs)
        regions = self._regions(outputs, place, signs)
        outlines: Mapping[AnatomicStructure, NDArray[np.bool_]] = {}
        if "region_masks" in bundle.heads:
            outlines = RegionMasks(
                self._soft_regions(region_masks, place),
                regions,
                masks,
                [AnatomicStructure(name) for name in bundle.outlined],
            )
        return Sight(
            scope=self._opinion(outputs, opinion),
            regions=regions,
            probabilities=_chances(outputs, "findings", map(Observation, bundle.observations)),
            masks=masks,
            region_masks=outlines,
            sides=opinion,
            signs=signs,
            qualities=self._qualities(outputs),
            exchanged=order.exchanged,
            out_of_order=order.broken,
            unavailable=self._unavailable,
        )

    def _soft_regions(
        self, logits: "Callable[[], NDArray[np.float32]]", place: "tuple[Letterbox, Turn]"
    ) -> "Callable[[], SoftMasks[AnatomicStructure]]":
        """Return what makes the regions' soft masks of their log odds, when somebody asks."""
        names = tuple(AnatomicStructure(name) for name in self._bundle.regions)
        return lambda: SoftMasks(sigmoid(logits()), names, *place)

    def _regions(
        self, outputs: "Outputs", place: "tuple[Letterbox, Turn]", signs: tuple[SignOpinion, ...]
    ) -> tuple[AnatomyRegion, ...]:
        """Boxes from the network's square to stored pixels, cut to the film; always all."""
        frame, turn = place
        count = len(self._bundle.regions)
        scores = np.full(count, NOT_JUDGED)
        if "presence" in outputs:
            scores = sigmoid(outputs["presence"])
        spreads: list[float | None] = [None] * count
        if "spread" in outputs:
            spreads = [float(share) * frame.side / frame.scale for share in outputs["spread"]]
        found = self._signs_by_region(outputs, signs)
        regions = []
        for row, name in enumerate(self._bundle.regions):
            x, y, width, height = (float(v) for v in outputs["boxes"][row])
            sizes = max(width, LEAST_SIZE), max(height, LEAST_SIZE)
            box = frame.to_source(from_cxcywh((x, y, *sizes), frame.side))
            box = turn.undo_box(clip(box, frame.rows, frame.columns), frame.rows, frame.columns)
            structure = AnatomicStructure(name)
            here = None if found is None else found[structure]
            regions.append(AnatomyRegion(structure, box, float(scores[row]), spreads[row], here))
        return tuple(regions)

    def _signs_by_region(
        self, outputs: "Outputs", signs: tuple[SignOpinion, ...]
    ) -> "dict[AnatomicStructure, tuple[RegionSign, ...]] | None":
        """List the signs believed on the film by the regions they touch, the likeliest first.

        The region that a sign is named for counts always, so that both lists agree.
        """
        if "attributes" not in outputs:
            return None
        chances = sigmoid(outputs["attributes"])
        found = {}
        for row, name in zip(chances, self._bundle.regions, strict=True):
            here = [
                RegionSign(sign.sign, sign.presence, float(chance))
                for sign, chance in zip(signs, row, strict=True)
                if sign.presence is not Presence.ABSENT
                and (chance >= HERE_FROM or sign.structure == name)
            ]
            here.sort(key=lambda one: -one.probability)
            found[AnatomicStructure(name)] = tuple(here)
        return found

    def _opinion(self, outputs: "Outputs", opinion: SidesOpinion | None) -> ScopeOpinion:
        """Return the scope head, moved so that the bundle's operating point lies at 0.5.

        Without that head nothing affirms that the film may be read, and it is not.
        """
        mirrored = NOT_JUDGED if opinion is None else sides.belief(opinion)
        view = VIEWS[int(np.argmax(outputs["view"]))] if "view" in outputs else None
        if "scope" not in outputs:
            return ScopeOpinion(0.0, None, view, mirrored)
        logits, operating = outputs["scope"], self._bundle.operating
        others = logits[1:]
        margin = float(logits[0] - np.logaddexp.reduce(others))  # log odds of being in scope
        if "spread" in outputs:
            strange = float(outputs["spread"].mean()) - operating["spread_limit"]
            if strange > 0:  # heat maps that find no edge anywhere speak against a chest
                margin -= strange * operating["spread_slope"]
        in_scope = float(sigmoid(np.float32(margin - operating["scope_margin"])))
        reason = None if in_scope >= IN_SCOPE_FROM else REASONS[int(np.argmax(others))]
        return ScopeOpinion(in_scope, reason, view, mirrored)

    def _signs(self, outputs: "Outputs") -> tuple[SignOpinion, ...]:
        """Each sign with its state and, where it is believed, its most likely region."""
        if "signs" not in outputs:
            return ()
        places = outputs.get("attributes")
        found = []
        for column, (name, chance) in enumerate(
            zip(self._bundle.signs, sigmoid(outputs["signs"]), strict=True)
        ):
            sign = Sign(name)
            presence = _state(float(chance), self._bundle.sign_thresholds[sign])
            structure = None
            if places is not None and presence is not Presence.ABSENT:
                region = self._bundle.regions[int(np.argmax(places[:, column]))]
                structure = AnatomicStructure(region)
            found.append(SignOpinion(sign, float(chance), presence, structure))
        return tuple(found)

    def _qualities(self, outputs: "Outputs") -> tuple[QualityOpinion, ...]:
        limits = self._bundle.quality_thresholds
        chances = _chances(outputs, "quality", map(Quality, self._bundle.qualities))
        return tuple(QualityOpinion(q, p, _state(p, limits[q])) for q, p in chances.items())


def sigmoid(x: "NDArray[np.float32] | np.float32") -> "NDArray[np.float32]":
    """Log odds to a chance."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)), np.float32)  # the tanh form never overflows


def _state(chance: float, limits: tuple[float, float]) -> Presence:
    absent_below, present_from = limits
    if chance >= present_from:
        return Presence.PRESENT
    return Presence.ABSENT if chance < absent_below else Presence.UNCERTAIN


def _chances(outputs: "Outputs", head: str, names: "Iterator[Name]") -> "dict[Name, float]":
    """Chances by name; empty without the head."""
    if head not in outputs:
        return {}
    return {n: float(p) for n, p in zip(names, sigmoid(outputs[head]), strict=True)}
