"""From the network's numbers for one film to a sight in the film's own pixels."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
from PIL import Image

from models.anatomy import sides
from models.anatomy.session import REASONS, VIEWS
from models.geometry import Letterbox, Turn, clip, from_cxcywh
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
    from numpy.typing import NDArray

    from models.anatomy.order import Order
    from models.anatomy.sides import Outputs
    from models.bundles import Bundle

Name = TypeVar("Name")

IN_SCOPE_FROM: Final = 0.5
NOT_JUDGED: Final = 0.5  # what is said where a head is missing: neither seen nor unseen
LEVELS: Final = 255  # of a soft mask that is drawn
LEAST_SIZE: Final = 1e-4  # of the square; a box is never without area
HERE_FROM: Final = 0.5  # chance from which a sign that is believed is said to touch a region


class SoftMasks(Mapping[MaskName, "NDArray[np.float32]"]):
    """Masks kept small and drawn on the film's stored grid when asked for; each only once."""

    def __init__(
        self,
        small: "NDArray[np.float32]",
        names: tuple[MaskName, ...],
        frame: Letterbox,
        turn: Turn,
    ) -> None:
        self._small: dict[MaskName, NDArray[np.float32]] = dict(zip(names, small, strict=True))
        self._frame, self._turn = frame, turn
        self._drawn: dict[MaskName, NDArray[np.uint8]] = {}

    def __getitem__(self, name: MaskName) -> "NDArray[np.float32]":
        return np.asarray(self.levels(name) * np.float32(1 / LEVELS))

    def __contains__(self, name: object) -> bool:
        return name in self._small  # without drawing it

    def __iter__(self) -> Iterator[MaskName]:
        return iter(self._small)

    def __len__(self) -> int:
        return len(self._small)

    def levels(self, name: MaskName) -> "NDArray[np.uint8]":
        """Return the mask on the film's stored grid, 0..255: a quarter of the memory of 0..1."""
        drawn = self._drawn.get(name)
        if drawn is None:
            drawn = self._drawn[name] = self._draw(self._small[name])
        return drawn

    def coarse(self, name: MaskName) -> "NDArray[np.float32]":
        """Return the mask as the network gave it: canonical, letterboxed square, 0..1."""
        return self._small[name]

    def _draw(self, mask: "NDArray[np.float32]") -> "NDArray[np.uint8]":
        """Cut the padding off, enlarge to the canonical film, turn back to the stored grid.

        In steps of 1/255: a large film's masks take a third of the time that way.
        """
        frame = self._frame
        scale = mask.shape[0] / frame.side
        (x, y), s = frame.offset, frame.scale
        box = (x * scale, y * scale, (x + frame.columns * s) * scale, (y + frame.rows * s) * scale)
        size = (frame.columns, frame.rows)
        levels = np.rint(mask * LEVELS).astype(np.uint8)
        image = Image.fromarray(levels).resize(size, Image.Resampling.BILINEAR, box=box)
        return np.asarray(self._turn.undo(np.asarray(image)))


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
        place: tuple[Letterbox, Turn],
        opinion: SidesOpinion | None,
        order: "Order",
    ) -> Sight:
        """Make the sight of one film from its outputs in the canonical frame.

        ``place`` says how the canonical film lies in the square and on its stored grid.
        """
        bundle, (frame, turn) = self._bundle, place
        masks: Mapping[MaskName, NDArray[np.float32]] = {}
        if "masks" in outputs:
            names = tuple(MaskName(name) for name in bundle.masks)
            masks = SoftMasks(sigmoid(outputs["masks"]), names, frame, turn)
        signs = self._signs(outputs)
        return Sight(
            scope=self._opinion(outputs, opinion),
            regions=self._regions(outputs, place, signs),
            probabilities=_chances(outputs, "findings", map(Observation, bundle.observations)),
            masks=masks,
            sides=opinion,
            signs=signs,
            qualities=self._qualities(outputs),
            exchanged=order.exchanged,
            out_of_order=order.broken,
            unavailable=self._unavailable,
        )

    def _regions(
        self, outputs: "Outputs", place: tuple[Letterbox, Turn], signs: tuple[SignOpinion, ...]
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
