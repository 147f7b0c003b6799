"""The signs of one film as a reader is told them: which, how likely, and where. No draft does.

The limits of signs were set on simulated films, so nothing here is worded as a finding: no
"likely", no negative. Where the sides are in doubt nothing with a side is named.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from models.grounding import Regions
from models.ontology.relations import unusual, usual_regions
from models.report import technique
from models.vocabulary import AnatomicStructure, Presence, Quality, Side

if TYPE_CHECKING:
    from models.opinions import QualityOpinion, RegionSign, SidesOpinion, SignOpinion
    from models.values import AnatomyRegion, ChestImage, Sight
    from models.vocabulary import Sign

HEADING: Final = "Signs (in no draft; limits set on simulated films, not borne out on real ones)"
QUALITY_WORDS: Final = {
    Quality.ROTATED: "rotated",
    Quality.LOW_INSPIRATION: "poorly inspired",
    Quality.CUT_OFF: "cut off",
}


@dataclass(frozen=True, slots=True)
class ToldSign:
    """A sign with what may be said of its place.

    ``region`` and ``side`` are None where they may not or cannot be named. ``unusual_place`` is
    None without a place, and for a sign that AOR's Table A4 lists for none of the 36 regions.
    """

    sign: "Sign"
    presence: Presence
    probability: float
    region: AnatomicStructure | None
    side: Side | None
    unusual_place: bool | None

    @property
    def words(self) -> str:
        """``mass 0.91 (right upper lung zone)``."""
        parts = [self.region.value] if self.region else []
        parts += ["unusual place"] if self.unusual_place else []
        where = f" ({', '.join(parts)})" if parts else ""
        return f"{self.sign.value} {self.probability:.2f}{where}"


def told(sight: "Sight", *, sides_known: bool) -> tuple[ToldSign, ...]:
    """Return every sign of a sight, the believed ones with their places."""
    return tuple(_told(opinion, sides_known=sides_known) for opinion in sight.signs)


def with_presence(signs: tuple[ToldSign, ...], presence: Presence) -> list[ToldSign]:
    """Return the signs of one state, the likeliest first."""
    found = [one for one in signs if one.presence is presence]
    return sorted(found, key=lambda one: -one.probability)


def signs_of(region: "AnatomyRegion", *, sides_known: bool) -> "tuple[RegionSign, ...] | None":
    """Return the signs believed in a region; None where that is not known or may not be told."""
    return region.signs if sides_known or _side(region.structure) is None else None


def sides_known(image: "ChestImage", sight: "Sight") -> bool:
    """Whether a side may be named, by the rule of the draft: not where the film looks mirrored."""
    return technique.assess(image, sight, Regions(image, sight.regions)).sides_known


def words(image: "ChestImage", sight: "Sight") -> list[str]:
    """Return the lines on signs, film and sides that stand beside a draft; none without heads."""
    lines = _sign_lines(told(sight, sides_known=sides_known(image, sight)))
    if sight.qualities:
        lines.append(_quality_line(sight.qualities))
    if sight.sides is not None:
        declared = "as the header says" if image.patient_orientation else "as usual"
        lines.append(f"Sides, as the network judges them: {_sides_words(sight.sides, declared)}.")
    if sight.unavailable:
        lines.append(f"This network cannot tell: {', '.join(sight.unavailable)}.")
    return lines


def _told(opinion: "SignOpinion", *, sides_known: bool) -> ToldSign:
    place = opinion.structure
    side = _side(place) if place else None
    odd = None
    # A rib fracture is listed for the chest wall alone: a flag that is always up tells nothing.
    if place is not None and not usual_regions(opinion.sign).isdisjoint(AnatomicStructure):
        odd = unusual(opinion.sign, place)
    return ToldSign(
        opinion.sign,
        opinion.presence,
        opinion.probability,
        place if sides_known or side is None else None,
        side if sides_known else None,
        odd,
    )


def _side(region: AnatomicStructure) -> Side | None:
    """Return the side in a region's name, be it of the chest or, as in "right atrium", not."""
    first = region.value.split()[0]
    return Side(first) if first in {*Side} else None


def _sign_lines(signs: tuple[ToldSign, ...]) -> list[str]:
    if not signs:
        return []
    called = with_presence(signs, Presence.PRESENT)
    unsure = with_presence(signs, Presence.UNCERTAIN)
    lines = [f"{HEADING}:", *(f"  called present: {one.words}" for one in called)]
    if unsure:
        lines.append(f"  uncertain: {'; '.join(one.words for one in unsure)}")
    others = len(signs) - len(called) - len(unsure)
    lines.append(f"  below their limits, which excludes nothing: {others} of {len(signs)}")
    return lines


def _quality_line(qualities: "tuple[QualityOpinion, ...]") -> str:
    said = {Presence.PRESENT: "looks ", Presence.UNCERTAIN: "perhaps "}
    parts = [
        f"{said[one.presence]}{QUALITY_WORDS[one.quality]} {one.probability:.2f}"
        if one.presence in said
        else f"not {QUALITY_WORDS[one.quality]}"
        for one in sorted(qualities, key=lambda one: -one.probability)
    ]
    return f"The film, as the network judges it: {', '.join(parts)}."


def _sides_words(sides: "SidesOpinion", declared: str) -> str:
    if not sides.sure:
        return "in doubt"
    return "mirrored, or the organs lie mirrored" if sides.mirrored else declared
