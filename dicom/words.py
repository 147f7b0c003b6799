"""Our own words inside a data set: plain ASCII, never longer than the attribute allows.

A result keeps the character set of the film it belongs to, whichever that is. ASCII is part of
all of them, so words in ASCII can never damage the patient's name beside them.
"""

import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from models.values import PixelBox

_SPELLED: Final = str.maketrans(
    {
        "\N{EN DASH}": "-",
        "\N{EM DASH}": "-",
        "\N{MINUS SIGN}": "-",
        "\N{MULTIPLICATION SIGN}": "x",
        "\N{PLUS-MINUS SIGN}": "+/-",
        "\N{GREATER-THAN OR EQUAL TO}": ">=",
        "\N{LESS-THAN OR EQUAL TO}": "<=",
        "\N{RIGHTWARDS ARROW}": "->",
        "\N{LEFT SINGLE QUOTATION MARK}": "'",
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "\N{LEFT DOUBLE QUOTATION MARK}": '"',
        "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
        "\N{MICRO SIGN}": "u",
        "\N{DEGREE SIGN}": " degrees",
        "\\": "/",  # separates values in DICOM (PS3.5 6.1.3)
    }
)


def ascii_only(text: str) -> str:
    """Return the text in printable ASCII, on one line."""
    plain = unicodedata.normalize("NFKD", text.translate(_SPELLED))
    kept = "".join(
        character if " " <= character <= "~" else " " if character.isspace() else "?"
        for character in plain
        if not unicodedata.combining(character)
    )
    return " ".join(kept.split())


def shortened(text: str, limit: int) -> str:
    """Return the text in ASCII, cut to ``limit`` characters with three dots at the end."""
    plain = ascii_only(text)
    return plain if len(plain) <= limit else plain[: limit - 3].rstrip() + "..."


def place(box: "PixelBox") -> str:
    """Return where a box lies, in whole pixels of the stored film, counted from the top left."""
    return (
        f"columns {box.x_min:.0f} to {box.x_max:.0f}, "
        f"rows {box.y_min:.0f} to {box.y_max:.0f} of the stored film"
    )
