"""Words and values of a patient's correction: who was meant before, who is meant now.

Nothing here knows HL7 or the database. ``None`` means that nobody said anything about a field; an
empty text means that it is known to be empty.
"""

import json
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class CorrectionKind(StrEnum):
    """What a correction is."""

    MERGE = "MERGE"  # one number gave way to another
    UPDATE = "UPDATE"  # the demographics of a number were corrected
    ARCHIVE = "ARCHIVE"  # the archive knows one study under another identity


class CorrectionState(StrEnum):
    """Whether a correction holds."""

    ACTIVE = "ACTIVE"
    UNDONE = "UNDONE"


@dataclass(frozen=True, slots=True)
class PatientNumber:
    """A Patient ID and who gave it; the issuer is "" where nobody says."""

    patient_id: str = field(repr=False)
    issuer: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a patient is now. ``name`` is a DICOM person name, ``birth_date`` a DICOM date."""

    number: PatientNumber
    name: str | None = field(default=None, repr=False)
    birth_date: str | None = field(default=None, repr=False)
    sex: str | None = field(default=None, repr=False)
    accession_number: str | None = field(default=None, repr=False)

    def over(self, earlier: "Identity") -> "Identity":
        """Return this identity, with what it does not say filled in from an earlier one."""
        told = {
            one.name: getattr(earlier, one.name)
            for one in fields(self)
            if getattr(self, one.name) is None
        }
        return replace(self, **told)


@dataclass(frozen=True, slots=True)
class Change:
    """One correction: whoever bore ``prior`` is ``survivor`` from now on."""

    kind: CorrectionKind
    prior: PatientNumber
    survivor: Identity


def to_json(change: Change) -> str:
    """Return a change as the text of its file."""
    return json.dumps(asdict(change), ensure_ascii=False, indent=1)


def from_file(path: "Path") -> Change:
    """Read a change back.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not such a file.
    """
    known = json.loads(path.read_text(encoding="utf-8"))
    survivor = known["survivor"]
    number = PatientNumber(**survivor.pop("number"))
    return Change(
        CorrectionKind(known["kind"]),
        PatientNumber(**known["prior"]),
        Identity(number, **survivor),
    )
