"""Names of persons: from HL7's XPN to DICOM's PN (HL7 v2.5 2.A.88, DICOM PS3.5 6.2.1.1)."""

from typing import Final

LONGEST_GROUP: Final = 64
NOTHING_SAID: Final = '""'
GROUPS: Final = {"A": 0, "": 0, "I": 1, "P": 2}
"""Name representation code (XPN-8): alphabetic, ideographic, phonetic."""

OF_DICOM: Final = "^=\\"
FAMILY, GIVEN, MIDDLE, SUFFIX, PREFIX, DEGREE, TYPE, REPRESENTATION = range(8)


def dicom_name(repetitions: list[list[list[str]]]) -> str | None:
    r"""Return the name that a field of names says; None when it is silent, "" when empty.

    The first name of each script counts, of its family name the part before ``&``. HL7 puts the
    suffix before the prefix, DICOM behind it.
    """
    groups = ["", "", ""]
    for cells in repetitions:
        if cells[FAMILY][0] == NOTHING_SAID:
            return ""
        index = GROUPS.get(_cell(cells, REPRESENTATION).upper())
        if index is not None and not groups[index]:
            groups[index] = _group(cells)
    while groups and not groups[-1]:
        groups.pop()
    return "=".join(groups) or None


def _group(cells: list[list[str]]) -> str:
    suffix = " ".join(filter(None, (_cell(cells, SUFFIX), _cell(cells, DEGREE))))
    parts = [_cell(cells, FAMILY), _cell(cells, GIVEN), _cell(cells, MIDDLE)]
    parts += [_cell(cells, PREFIX), suffix]
    return "^".join(parts).rstrip("^")[:LONGEST_GROUP]


def _cell(cells: list[list[str]], index: int) -> str:
    text = cells[index][0] if len(cells) > index else ""
    plain = "".join(" " if one in OF_DICOM or not one.isprintable() else one for one in text)
    return " ".join(plain.split())
