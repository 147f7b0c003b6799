"""What the eye thinks of a film as a whole; the judgements inside a Sight."""

from dataclasses import dataclass

from models.vocabulary import (
    AnatomicStructure,
    Presence,
    Quality,
    ScopeReason,
    Sign,
    ViewPosition,
)


@dataclass(frozen=True, slots=True)
class ScopeOpinion:
    """What the image itself says about being an adult frontal chest radiograph.

    ``in_scope`` 0..1; ``reason`` is the best guess when it is low; ``mirrored`` 0..1 is the belief
    that the film is shown left-right reversed against its declared (or usual) orientation.
    """

    in_scope: float
    reason: ScopeReason | None
    view_position: ViewPosition | None
    mirrored: float


@dataclass(frozen=True, slots=True)
class SidesOpinion:
    """Which way round the film shows the patient, against its declared or the usual orientation.

    ``evidence`` are log odds, positive for mirrored; that of a film and of its mirror image differ
    only in sign. ``sure`` is whether a side may be stated at all.
    """

    mirrored: bool
    sure: bool
    evidence: float


@dataclass(frozen=True, slots=True)
class SignOpinion:
    """One sign on one film: ``probability`` 0..1, and the region where it is most believed.

    ``presence`` follows the bundle's measured limits. ``structure`` is None when the network has
    no head for places, or the sign is not believed.
    """

    sign: Sign
    probability: float
    presence: Presence
    structure: AnatomicStructure | None = None


@dataclass(frozen=True, slots=True)
class RegionSign:
    """A sign believed on the film, in one region of it.

    ``presence`` is the sign's on the whole film; ``probability`` 0..1 that it touches this region,
    for which no limits were measured.
    """

    sign: Sign
    presence: Presence
    probability: float


@dataclass(frozen=True, slots=True)
class QualityOpinion:
    """How the film was taken, in one respect; ``presence`` follows the bundle's limits."""

    quality: Quality
    probability: float
    presence: Presence
