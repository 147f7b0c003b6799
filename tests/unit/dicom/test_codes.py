from collections import Counter
from enum import Enum
from pathlib import Path

import pytest
from pydicom.sr.codedict import codes as standard
from pydicom.sr.coding import Code

from dicom import codes
from models.vocabulary import AnatomicStructure, BundleUse, Observation, Presence, Side

ALL = [
    one
    for value in vars(codes).values()
    for one in (value.values() if isinstance(value, dict) else [value])
    if isinstance(one, Code)
]
OWN = [one for one in ALL if one.scheme_designator == codes.PRIVATE_SCHEME]
DOCUMENT = Path(__file__).parents[3] / "docs" / "results.md"


@pytest.mark.parametrize(
    ("table", "vocabulary"),
    [
        (codes.STRUCTURES, AnatomicStructure),
        (codes.OBSERVATIONS, Observation),
        (codes.PRESENCES, Presence),
        (codes.STATEMENTS, Presence),
        (codes.SIDES, Side),
        (codes.USE_WORDS, BundleUse),
    ],
)
def test_every_word_of_a_vocabulary_has_a_code(
    table: dict[Enum, Code], vocabulary: type[Enum]
) -> None:
    assert set(table) == set(vocabulary)


def test_codes_fit_their_attributes() -> None:
    # SH: 16 characters, LO: 64 (PS3.5 section 6.2).
    assert [one for one in ALL if len(one.value) > 16 or len(one.meaning) > 64] == []


def test_two_meanings_never_share_a_code() -> None:
    meanings = {(one.scheme_designator, one.value): one.meaning for one in ALL}
    assert [one for one in ALL if meanings[one.scheme_designator, one.value] != one.meaning] == []


def test_no_two_regions_share_a_code() -> None:
    counted = Counter((one.scheme_designator, one.value) for one in codes.STRUCTURES.values())
    assert max(counted.values()) == 1


def test_sided_regions_say_their_side_in_the_meaning_which_is_all_a_viewer_shows() -> None:
    for structure, code in codes.STRUCTURES.items():
        for side in ("left", "right"):
            assert (side in structure.value) == (side in code.meaning.lower())


def test_standard_codes_are_those_of_the_standards_dictionary() -> None:
    known = {
        scheme: {
            getattr(getattr(standard, scheme), name).value
            for name in getattr(standard, scheme).dir()
        }
        for scheme in ("SCT", "DCM")
    }
    # Right and left lung are in PS3.16 only as lateralised structures of SNOMED CT.
    known["SCT"] |= {"3341006", "44029006"}
    missing = [
        one
        for one in ALL
        if one.scheme_designator in known and one.value not in known[one.scheme_designator]
    ]
    assert missing == []


def test_every_private_code_is_in_the_document() -> None:
    written = DOCUMENT.read_text(encoding="utf-8")
    assert [one for one in OWN if f"`{one.value}` | {one.meaning} |" not in written] == []


def test_an_unknown_measurement_is_still_a_measurement() -> None:
    assert codes.measurement("tracheal width") == codes.MEASUREMENT
    assert codes.unit("mm").value == "mm"
    assert codes.unit("") == codes.RATIO_UNIT
