r"""Text of HL7 v2 fields: character sets and escape sequences (HL7 v2.5, 2.7 and 2.14.9.18).

python-hl7 logs the text of a field whose escape it does not know, which would be a patient's name;
so the few sequences that matter in names and numbers are read here.
"""

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

CHARACTER_SETS: "Final[Mapping[str, str]]" = {
    "": "utf-8",  # what HL7 calls ASCII; more and more senders mean UTF-8 by saying nothing
    "ASCII": "ascii",
    "UNICODE UTF-8": "utf-8",
    "UNICODE": "utf-8",
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
    "ISO IR14": "shift_jis",
    "ISO IR87": "iso2022_jp",
    "ISO IR159": "iso2022_jp_1",
    "GB 18030-2000": "gb18030",
    "KS X 1001": "euc_kr",
    "BIG-5": "big5",
} | {f"8859/{part}": f"iso8859-{part}" for part in (*range(1, 10), 15)}
"""HL7 table 0211, as Python's codecs; 8859/15 stands in no table and is sent all the same."""

FALLBACK: Final = "latin-1"

_ESCAPE: Final = r"{0}([^{0}]*){0}"
_HEX: Final = re.compile(r"X((?:[0-9A-Fa-f]{2})+)")


def codec_of(named: str) -> str | None:
    """Return the codec of a character set as MSH-18 names it; None when it is not known."""
    first = named.split("~", maxsplit=1)[0]
    return CHARACTER_SETS.get(first.strip().upper())


def plain(text: str, separators: "Separators", codec: str) -> str:
    r"""Return a text without its escape sequences.

    ``\F\ \S\ \R\ \T\ \E\`` are the separators, ``\Xdd\`` bytes in the message's character set;
    highlighting, line breaks and what only the two sides understand carry nothing here.
    """
    if separators.escape not in text:
        return text
    known = {
        "F": separators.field,
        "S": separators.component,
        "R": separators.repetition,
        "T": separators.subcomponent,
        "E": separators.escape,
    }

    def meaning(found: "re.Match[str]") -> str:
        sequence = found.group(1)
        if bytes_ := _HEX.fullmatch(sequence):
            return bytes.fromhex(bytes_.group(1)).decode(codec, "replace")
        return known.get(sequence, " " if sequence.startswith(".") else "")

    return re.sub(_ESCAPE.format(re.escape(separators.escape)), meaning, text)


class Separators:
    """The characters that split a message (MSH-1 and MSH-2)."""

    __slots__ = ("component", "escape", "field", "repetition", "subcomponent")

    def __init__(self, field: str, encoding_characters: str) -> None:
        padded = encoding_characters + "^~\\&"[len(encoding_characters) :]
        self.field = field
        self.component, self.repetition = padded[0], padded[1]
        self.escape, self.subcomponent = padded[2], padded[3]
