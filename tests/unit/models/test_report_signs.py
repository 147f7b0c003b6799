"""The signs in words: what is told beside a draft, and what may not be told."""

import pytest
from films import EyeWithSigns, a_film

from models.opinions import QualityOpinion, SidesOpinion, SignOpinion
from models.report import signs
from models.vocabulary import AnatomicStructure, Capability, Presence, Quality, Sign

APEX = AnatomicStructure.LEFT_APICAL_ZONE
SIGNS = (
    SignOpinion(Sign.PNEUMOTHORAX, 0.91, Presence.PRESENT, APEX),
    SignOpinion(Sign.NODULE, 0.12, Presence.UNCERTAIN, AnatomicStructure.RIGHT_LUNG),
    SignOpinion(Sign.MASS, 0.31, Presence.UNCERTAIN, AnatomicStructure.RIGHT_LUNG),
    SignOpinion(Sign.PACEMAKER, 0.01, Presence.ABSENT),
)


def told(**given: object) -> list[str]:
    film = a_film()
    (sight,) = EyeWithSigns(**given).look((film,))  # type: ignore[arg-type]
    return signs.words(film, sight)


def test_signs_are_told_by_state_with_their_places_and_never_as_a_draft() -> None:
    assert told(signs=SIGNS) == [
        "Signs (in no draft; limits set on simulated films, not borne out on real ones):",
        "  called present: pneumothorax 0.91 (left apical zone)",
        "  uncertain: mass 0.31 (right lung); nodule 0.12 (right lung)",
        "  below their limits, which excludes nothing: 1 of 4",
    ]


def test_no_side_is_named_where_the_film_may_be_mirrored() -> None:
    shift = SignOpinion(Sign.MEDIASTINAL_SHIFT, 0.95, Presence.PRESENT, AnatomicStructure.TRACHEA)
    lines = told(signs=(*SIGNS, shift), mirrored=0.9)
    assert "  called present: pneumothorax 0.91" in lines
    assert "  called present: mediastinal shift 0.95 (trachea)" in lines
    assert not any("left" in line or "right" in line for line in lines)


def test_a_place_outside_the_table_is_flagged_and_changes_nothing() -> None:
    tube = SignOpinion(
        Sign.ENTERIC_TUBE, 0.8, Presence.PRESENT, AnatomicStructure.RIGHT_LOWER_LUNG_ZONE
    )
    (sight,) = EyeWithSigns(signs=(tube,)).look((a_film(),))
    (one,) = signs.told(sight, sides_known=True)
    assert (one.unusual_place, one.presence, one.probability) == (True, Presence.PRESENT, 0.8)
    assert one.words == "enteric tube 0.80 (right lower lung zone, unusual place)"
    (hidden,) = signs.told(sight, sides_known=False)
    assert (hidden.unusual_place, hidden.words) == (True, "enteric tube 0.80 (unusual place)")


@pytest.mark.parametrize(
    ("opinion", "flag"),
    [
        (SIGNS[0], False),
        (SIGNS[3], None),
        (SignOpinion(Sign.RIB_FRACTURE, 0.5, Presence.PRESENT, APEX), None),
    ],
)
def test_a_place_is_not_judged_without_one_or_where_the_table_knows_none(
    opinion: SignOpinion, flag: bool | None
) -> None:
    (sight,) = EyeWithSigns(signs=(opinion,)).look((a_film(),))
    assert signs.told(sight, sides_known=True)[0].unusual_place is flag


def test_the_film_is_told_by_its_quality_and_its_sides() -> None:
    qualities = (
        QualityOpinion(Quality.CUT_OFF, 0.02, Presence.ABSENT),
        QualityOpinion(Quality.LOW_INSPIRATION, 0.2, Presence.UNCERTAIN),
        QualityOpinion(Quality.ROTATED, 0.7, Presence.PRESENT),
    )
    sides = SidesOpinion(mirrored=False, sure=True, evidence=-5.0)
    quality, orientation = told(qualities=qualities, sides=sides)
    assert quality.endswith(": looks rotated 0.70, perhaps poorly inspired 0.20, not cut off.")
    assert orientation == "Sides, as the network judges them: as the header says."


@pytest.mark.parametrize(
    ("opinion", "words"),
    [
        (SidesOpinion(mirrored=True, sure=True, evidence=5.0), "mirrored, or the organs lie"),
        (SidesOpinion(mirrored=True, sure=False, evidence=0.1), "in doubt"),
    ],
)
def test_sides_that_are_not_as_they_should_be_are_told(opinion: SidesOpinion, words: str) -> None:
    (line,) = told(sides=opinion)
    assert words in line


def test_what_the_network_has_no_head_for_is_said() -> None:
    assert told(unavailable=(Capability.SIGNS, Capability.QUALITY)) == [
        "This network cannot tell: signs, how the film was taken."
    ]
