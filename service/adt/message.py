"""Read an ADT message: who sent it, and which patients changed (HL7 v2.5, chapters 2 and 3).

Merges are A40 (and A18, A34 of older versions) and A47, a changed number: each MRG belongs to the
PID before it. A08 and A31 bring demographics. Everything else is understood as not for us.
"""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import hl7

from service.adt import names
from service.adt.escapes import FALLBACK, Separators, codec_of, plain
from service.corrected import Change, CorrectionKind, Identity, PatientNumber
from service.errors import MessageRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

MERGES: Final = frozenset({"A18", "A34", "A40", "A47"})
UPDATES: Final = frozenset({"A08", "A31"})
NOTHING_SAID: Final = '""'
DAY: Final = re.compile(r"(\d{8})(\d{2}.*)?")
SEXES: Final = {"M": "M", "F": "F", "O": "O", "A": "O", "N": "O"}
"""HL7 table 0001 in the words of DICOM (PS3.3 C.7.1.1); U, unknown, says nothing."""

APPLICATION_ERROR: Final = "AE"
APPLICATION_REJECT: Final = "AR"


@dataclass(frozen=True, slots=True)
class Heading:
    """What an answer needs of MSH, and what tells one message from another."""

    application: str
    facility: str
    control_id: str
    event: str
    processing_id: str = "P"
    version: str = "2.5"

    @property
    def sender(self) -> str:
        """Who sent it: application and facility."""
        return f"{self.application}|{self.facility}"


@dataclass(frozen=True, slots=True)
class Message:
    """One message; ``changes`` is empty when it is not about what concerns us."""

    heading: Heading
    changes: tuple[Change, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Numbered:
    """One entry of a list of identifiers (CX)."""

    number: PatientNumber
    type_code: str


def heading_of(content: bytes) -> Heading:
    """Return the heading of a message, as far as it can be read at all.

    Raises
    ------
    MessageRefused
        With AR, if it is no HL7 message or has no control id.
    """
    if not content.lstrip()[:3] == b"MSH" or len(content.lstrip()) < len(b"MSH|^~\\&"):
        raise MessageRefused(APPLICATION_REJECT, "this is not an HL7 v2 message")
    first = content.lstrip().replace(b"\n", b"\r").split(b"\r")[0].decode(FALLBACK)
    cells = first.split(first[3])
    cells += [""] * (19 - len(cells))
    kind = cells[8].split(cells[1][:1] or "^")
    heading = Heading(
        application=cells[2],
        facility=cells[3],
        control_id=cells[9].strip(),
        event="^".join((*kind, "")[:2]).rstrip("^"),
        processing_id=cells[10] or "P",
        version=cells[11] or "2.5",
    )
    if not heading.control_id:
        raise MessageRefused(APPLICATION_REJECT, "MSH-10, the control id, is empty")
    return heading


def read(content: bytes, *, with_updates: bool = False) -> Message:
    """Read a message; ``with_updates``: A08 and A31 count as well.

    Raises
    ------
    MessageRefused
        With the answer (AR: no such thing is read here; AE: this one is faulty) and a reason
        without patient data.
    """
    heading = heading_of(content)
    kind, _, event = heading.event.partition("^")
    if kind != "ADT":
        raise MessageRefused(APPLICATION_REJECT, "only ADT messages are taken")
    is_merge, is_update = event in MERGES, event in UPDATES and with_updates
    if not (is_merge or is_update):
        return Message(heading, ())
    reader = _Reader.of(content)
    changes = tuple(reader.merges() if is_merge else reader.updates())
    if not changes:
        missing = "MRG-1 with a PID before it" if is_merge else "PID-3"
        raise MessageRefused(APPLICATION_ERROR, f"no {missing}")
    return Message(heading, changes)


class _Reader:
    """The segments of one message, decoded."""

    def __init__(self, segments: Any, separators: Separators, codec: str) -> None:  # noqa: ANN401
        self._segments = segments
        self._separators = separators
        self._codec = codec

    @classmethod
    def of(cls, content: bytes) -> "_Reader":
        lines = content.strip().replace(b"\r\n", b"\r").replace(b"\n", b"\r")
        heading = lines.split(b"\r")[0].decode(FALLBACK)
        cells = heading.split(heading[3])
        named = cells[17] if len(cells) > 17 else ""  # noqa: PLR2004 - MSH-18
        codec = codec_of(named)
        if codec is None:
            raise MessageRefused(APPLICATION_REJECT, "MSH-18 names an unknown character set")
        try:
            text = lines.decode(codec)
        except UnicodeDecodeError:
            if named:
                reason = "the text is not in the character set that MSH-18 names"
                raise MessageRefused(APPLICATION_ERROR, reason) from None
            codec, text = FALLBACK, lines.decode(FALLBACK)
        try:
            parsed = hl7.parse(text)
        except (hl7.HL7Exception, ValueError, IndexError, KeyError):
            raise MessageRefused(APPLICATION_ERROR, "the message cannot be split") from None
        return cls(parsed, Separators(heading[3], cells[1]), codec)

    def merges(self) -> "Iterator[Change]":
        """Yield what each MRG says of the PID before it."""
        patient: Any = None
        for segment in self._segments:
            name = str(segment[0])
            if name == "PID":
                patient = segment
            elif name == "MRG" and patient is not None:
                yield from self._merge(patient, segment)

    def updates(self) -> "Iterator[Change]":
        """Yield the demographics of each PID for each of its numbers."""
        for segment in self._segments:
            if str(segment[0]) == "PID":
                for one in self._numbers(segment, 3):
                    survivor = self._identity(segment, one.number)
                    yield Change(CorrectionKind.UPDATE, one.number, survivor)

    def _merge(self, patient: Any, merged: Any) -> "Iterator[Change]":  # noqa: ANN401
        survivors = self._numbers(patient, 3)
        for prior in self._numbers(merged, 1):
            survivor = _counterpart(prior, survivors)
            if survivor is None:
                reason = "PID-3 has no number, or several, for the authority that MRG-1 names"
                raise MessageRefused(APPLICATION_ERROR, reason)
            identity = self._identity(patient, survivor.number)
            yield Change(CorrectionKind.MERGE, prior.number, identity)

    def _identity(self, patient: Any, number: PatientNumber) -> Identity:  # noqa: ANN401
        birth = self._said(patient, 7)
        day = DAY.fullmatch(birth) if birth else None
        sex = self._said(patient, 8)
        return Identity(
            number,
            name=names.dicom_name(self._repetitions(patient, 5)),
            birth_date="" if birth == "" else day.group(1) if day else None,
            sex="" if sex == "" else SEXES.get((sex or "").upper()),
        )

    def _said(self, segment: Any, position: int) -> str | None:  # noqa: ANN401
        """Return a field; None when it is silent, "" when it says that it is empty."""
        repetitions = self._repetitions(segment, position)
        text = repetitions[0][0][0].strip() if repetitions else ""
        return None if not text else "" if text == NOTHING_SAID else text

    def _numbers(self, segment: Any, position: int) -> list[Numbered]:  # noqa: ANN401
        found = []
        for cells in self._repetitions(segment, position):
            identifier = cells[0][0].strip()
            if identifier and identifier != NOTHING_SAID:
                authority = cells[3][0].strip() if len(cells) > 3 else ""  # noqa: PLR2004 - CX-4.1
                kind = cells[4][0].strip() if len(cells) > 4 else ""  # noqa: PLR2004 - CX-5
                found.append(Numbered(PatientNumber(identifier, authority), kind))
        return found

    def _repetitions(self, segment: Any, position: int) -> list[list[list[str]]]:  # noqa: ANN401
        """Return a field as repetitions of components of subcomponents, without escapes."""
        try:
            text = str(segment[position])
        except IndexError:
            return []
        by = self._separators
        return [
            [
                [plain(part, by, self._codec) for part in component.split(by.subcomponent)]
                for component in repetition.split(by.component)
            ]
            for repetition in text.split(by.repetition)
            if repetition
        ]


def _counterpart(prior: Numbered, survivors: list[Numbered]) -> Numbered | None:
    """Return the surviving number of the same authority and, if need be, of the same type."""
    same = [one for one in survivors if one.number.issuer == prior.number.issuer]
    if not same and len(survivors) == 1:
        same = survivors
    if len(same) > 1:
        same = [one for one in same if one.type_code == prior.type_code]
    return same[0] if len(same) == 1 else None
