"""Tell one patient from two inside one study, without keeping who they are."""

import hashlib
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Protocol

from dicom import header
from dicom.errors import DicomError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from dicom.values import PatientIdentity
    from service.corrected import Identity


@dataclass(frozen=True, slots=True)
class PatientKeys:
    """Hashes of Patient ID, its issuer and the name; "" where the header is silent.

    Salted by the study, so that neither a list of known numbers made once nor a look across
    studies says who it is.
    """

    patient_key: str
    issuer_key: str
    name_key: str


class Keyed(Protocol):
    """Whatever holds the keys of a patient."""

    @property
    def patient_key(self) -> str:
        """The key of the Patient ID."""

    @property
    def issuer_key(self) -> str:
        """The key of its issuer."""

    @property
    def name_key(self) -> str:
        """The key of the name."""


def keys(patient: "PatientIdentity", study_instance_uid: str) -> PatientKeys:
    """Return the keys of one header's patient.

    Spelling of the name that carries no meaning (case, trailing carets, further character
    sets after ``=``; PS3.5 6.2.1) does not make another patient.
    """
    name = patient.patient_name.partition("=")[0].rstrip("^ ").casefold()
    return PatientKeys(
        patient_key=_key(study_instance_uid, patient.patient_id.strip()),
        issuer_key=_key(study_instance_uid, patient.issuer_of_patient_id.strip()),
        name_key=_key(study_instance_uid, " ".join(name.split())),
    )


def renamed(patient: "PatientIdentity", known: "Identity") -> "PatientIdentity":
    """Return the patient of a header under the identity that holds now.

    Silence keeps what the header says; an issuer is named only where the header names one.
    """
    had_issuer = bool(patient.issuer_of_patient_id.strip())
    issuer = known.number.issuer if had_issuer and known.number.issuer else None
    told = {
        "patient_id": known.number.patient_id,
        "issuer_of_patient_id": issuer,
        "patient_name": known.name,
        "patient_birth_date": known.birth_date,
        "patient_sex": known.sex,
    }
    return replace(patient, **{name: text for name, text in told.items() if text is not None})


def is_renamed(
    keyed: "tuple[Keyed, Keyed]",
    earlier: "Path",
    told: "PatientIdentity",
    known_as: "Callable[[PatientIdentity], PatientIdentity]",
) -> bool:
    """Return whether a corrected header is of another patient than a draft was made for.

    ``keyed`` are the keys before and now, ``earlier`` the file before, ``told`` what the new
    header says, ``known_as`` who that is by the merges that hold: a header that says what a merge
    has said already changes nothing.
    """
    before, now = ((one.patient_key, one.name_key, one.issuer_key) for one in keyed)
    if before != now:
        return True
    try:
        patient = known_as(header.read(earlier).patient)
    except (DicomError, OSError):
        return False
    new = known_as(told)
    return (patient.patient_birth_date, patient.patient_sex) != (
        new.patient_birth_date,
        new.patient_sex,
    )


def are_one(found: "Iterable[PatientKeys]") -> bool:
    """Return whether nothing speaks for more than one patient."""
    return not any(_contradict(one, other) for one, other in combinations(set(found), 2))


def _contradict(one: PatientKeys, other: PatientKeys) -> bool:
    if one.patient_key and other.patient_key:
        return one.patient_key != other.patient_key or _differ(one.issuer_key, other.issuer_key)
    # Without a number on both sides, only the names can speak.
    return _differ(one.name_key, other.name_key)


def _differ(one: str, other: str) -> bool:
    """Silence contradicts nothing."""
    return bool(one and other) and one != other


def _key(study_instance_uid: str, text: str) -> str:
    return hashlib.sha256(f"{study_instance_uid}\n{text}".encode()).hexdigest() if text else ""
