"""Effusion, opacity and mass: image-level probability and mask must agree before it is called.

=================  ======================  ========================================
probability        blob of the mask        state
=================  ======================  ========================================
>= present_from    yes                     PRESENT, with its regions and boxes
>= absent_below    yes                     UNCERTAIN, with its regions and boxes
>= absent_below    none anywhere           UNCERTAIN, not localised, no box
< absent_below     yes or no               negative (the mask alone calls nothing)
=================  ======================  ========================================

A bundle may set ``absent_below`` to 0: then it makes no negatives, and what it does not call from
``present_from`` on is NOT ASSESSED.

A negative is made for one side at a time, in regions that are visible and not cut off; otherwise
the side is NOT ASSESSED, with its reason.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from models.grounding import why_not_searched
from models.masks import blobs
from models.ontology import places
from models.values import Finding
from models.vocabulary import AnatomicStructure, MaskName, Observation, Presence, Side

if TYPE_CHECKING:
    from collections.abc import Iterable

    from models.masks.blobs import Blob
    from models.report.looked import Looked

_LUNGS = (MaskName.RIGHT_LUNG, MaskName.LEFT_LUNG)
_IN_LUNG_FROM = 0.5  # share of an opacity or a mass under the masks of the lungs
_IN_MIDDLE_FROM = 0.5  # share of a mass in the box of the mediastinum, where lung is not needed
MOST_MASSES = 6  # more are counted as opacities would be: one finding per side
BELOW_CALL = "suspected, but below the level at which it is called"
NOT_LOCALISED = "suspected on the film as a whole, but not localised"
NOT_EXCLUDED = "this network can call it but not exclude it"
NO_HEAD = "the network in use does not look for it"
FAINT = "a trace too faint or too small to be called"


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A finding that has no id yet, and the blobs it was localised by."""

    finding: Finding
    parts: "tuple[Blob, ...]" = field(default=(), repr=False)


def find(looked: "Looked", observation: Observation) -> tuple[Found, ...]:
    """Judge one observation on both sides; ids are given later."""
    probability = looked.sight.probabilities.get(observation)
    if probability is None:
        state = Presence.NOT_ASSESSED
        return (Found(Finding("", observation, state, None, None, (), reason=NO_HEAD)),)
    absent_below, present_from = looked.thresholds[observation]
    if absent_below <= 0:  # a bundle whose negatives were not shown to hold makes none
        if probability < present_from:
            return (_not_excluded(observation, probability),)
        absent_below = present_from
    parts = [
        part
        for part in looked.drawn.parts.get(observation, ())
        if _placed(looked, observation, part)
    ]
    if probability >= absent_below and not parts:
        return (_not_localised(observation, probability),)
    groups = _grouped(looked, observation, parts) if probability >= absent_below else []
    positives = [_positive(looked, observation, side, group) for side, group in groups]
    taken = {side for side, _ in groups}
    negatives = [_negative(looked, observation, side) for side in Side if side not in taken]
    return (*positives, *negatives)


def _placed(looked: "Looked", observation: Observation, part: "Blob") -> bool:
    """Whether a blob lies where it can be a finding; a shadow in an arm or a shoulder does not.

    An opacity or a mass lies for the most part in the drawn lungs (which go on behind heart and
    diaphragm), a mass also in the mediastinum; fluid hides the lung, so it need only be in the
    trunk.
    """
    organs = looked.drawn.organs
    lungs = [organs[name] for name in _LUNGS if name in organs]
    if observation is Observation.PLEURAL_EFFUSION or not lungs:
        beside = looked.regions.tied(part, places.TRUNK)
        return looked.regions.side_of(part) is not None or bool(beside)
    if sum(part.share_under(lung) for lung in lungs) >= _IN_LUNG_FROM:
        return True
    middle = looked.regions.box(AnatomicStructure.MEDIASTINUM)
    is_mass = observation is Observation.MASS
    return is_mass and middle is not None and part.share_in(middle) >= _IN_MIDDLE_FROM


def _grouped(
    looked: "Looked", observation: Observation, parts: "Iterable[Blob]"
) -> "list[tuple[Side | None, tuple[Blob, ...]]]":
    """Blobs that make one finding together: per side; a mass stands alone."""
    by_side: dict[Side | None, list[Blob]] = {}
    for part in parts:
        by_side.setdefault(looked.regions.side_of(part), []).append(part)
    if observation is not Observation.MASS and len(by_side) > 1:
        by_side.pop(None, None)  # scraps of the same shadow beside the chest
    order = [side for side in (*Side, None) if side in by_side]
    alone = observation is Observation.MASS and sum(map(len, by_side.values())) <= MOST_MASSES
    if alone:
        return [(side, (part,)) for side in order for part in by_side[side]]
    return [(side, tuple(by_side[side])) for side in order]


def _positive(
    looked: "Looked", observation: Observation, side: Side | None, parts: "tuple[Blob, ...]"
) -> Found:
    probability = looked.sight.probabilities[observation]
    _, present_from = looked.thresholds[observation]
    called = probability >= present_from
    candidates = places.TIED_TO[observation][side]
    tied = {name for part in parts for name in looked.regions.tied(part, candidates)}
    finding = Finding(
        "",
        observation,
        Presence.PRESENT if called else Presence.UNCERTAIN,
        probability,
        side,
        tuple(name for name in candidates if name in tied),
        boxes=tuple(part.box for part in parts),
        reason=None if called else BELOW_CALL,
    )
    return Found(finding, parts)


def _not_excluded(observation: Observation, probability: float) -> Found:
    state = Presence.NOT_ASSESSED
    return Found(Finding("", observation, state, probability, None, (), reason=NOT_EXCLUDED))


def _not_localised(observation: Observation, probability: float) -> Found:
    structures = tuple(places.LUNG.values())
    presence = Presence.UNCERTAIN
    return Found(
        Finding("", observation, presence, probability, None, structures, reason=NOT_LOCALISED)
    )


def _negative(looked: "Looked", observation: Observation, side: Side) -> Found:
    """ABSENT where the side was really searched; its probability is the evidence on that side."""
    searched = places.SEARCHED[observation][side]
    regions = looked.regions
    absent_below, _ = looked.thresholds[observation]
    reason = why_not_searched(regions.missing(searched), regions.cut_off(searched))
    if reason is None and absent_below <= 0:
        reason = NOT_EXCLUDED
    if reason is not None:
        presence, structures = Presence.NOT_ASSESSED, ()
        return Found(Finding("", observation, presence, None, side, structures, reason=reason))
    area = regions.union(searched)
    trace = looked.drawn.peak(observation, area) if area is not None else 0.0
    probability = looked.sight.probabilities[observation]
    # A raised probability of the film counts for this side only with a trace of its mask here.
    absent = probability < absent_below or trace < blobs.HALF
    if looked.drawn.soft:
        probability = min(probability, trace)
    presence = Presence.ABSENT if absent else Presence.UNCERTAIN
    reason = None if absent else FAINT
    return Found(Finding("", observation, presence, probability, side, searched, reason=reason))
