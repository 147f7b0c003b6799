"""The answer to a message: ACK in original mode (HL7 v2.5, 2.9.2 and 2.15.8)."""

import secrets
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from service.adt.message import Heading

ACCEPTED: Final = "AA"
APPLICATION: Final = "CARINA"


def acknowledgement(heading: "Heading | None", answer: str, reason: str, now: "datetime") -> bytes:
    """Return an ACK; ``heading`` is None for what could not be read at all.

    ``reason`` is in our own words, without separators and without patient data.
    """
    to = (heading.application, heading.facility) if heading else ("", "")
    event = (heading.event.partition("^")[2] if heading else "") or ""
    cells = (
        "MSH",
        "^~\\&",
        APPLICATION,
        "",
        *to,
        f"{now:%Y%m%d%H%M%S}+0000",
        "",
        f"ACK^{event}^ACK" if event else "ACK",
        secrets.token_hex(10),
        heading.processing_id if heading else "P",
        heading.version if heading else "2.5",
    )
    answered = ("MSA", answer, heading.control_id if heading else "", reason)
    lines = ("|".join(cells), "|".join(answered).rstrip("|"))
    # The heading was read as Latin-1, so what is repeated goes back byte for byte.
    return ("\r".join(lines) + "\r").encode("latin-1", "replace")
