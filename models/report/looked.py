"""Everything known about one film before it is judged: what the findings and gates look at."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from models.grounding import Regions
from models.report import technique

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models.masks.film import Drawn
    from models.protocols import Eye
    from models.report.technique import Technique
    from models.values import ChestImage, Sight
    from models.vocabulary import Observation


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """One film, what was seen on it, and the measured properties of the eye that saw it."""

    image: "ChestImage"
    sight: "Sight"
    regions: Regions
    technique: "Technique"
    drawn: "Drawn"
    thresholds: "Mapping[Observation, tuple[float, float]]"
    cardiothoracic_error: tuple[float, float]
    limits: tuple[str, ...] = field(default=())


def of(image: "ChestImage", sight: "Sight", eye: "Eye", drawn: "Drawn") -> Looked:
    """Gather it; with nothing drawn (the masks failed) nothing can be localised on this film."""
    regions = Regions(image, sight.regions)
    return Looked(
        image,
        sight,
        regions,
        technique.assess(image, sight, regions),
        drawn,
        eye.thresholds,
        eye.cardiothoracic_error,
        eye.limits,
    )
