"""Give drafts the identity that holds now: films bear the one they were received with."""

import dataclasses
from typing import TYPE_CHECKING

from dicom.reidentify import NewIdentity, reidentified
from service import corrections
from service.corrected import PatientNumber

if TYPE_CHECKING:
    from pydicom import Dataset
    from sqlalchemy.orm import Session

    from dicom.drafts import FilmDraft
    from service.corrected import Identity
    from service.settings import Settings


def as_known(
    session: "Session", drafts: "tuple[FilmDraft, ...]", settings: "Settings"
) -> "tuple[FilmDraft, ...]":
    """Return the drafts; where a correction holds, with headers that say who the patient is now.

    Raises
    ------
    OSError
        If the file of a correction cannot be read: that may pass.
    EncodingFailed
        If the text of a header cannot be read.
    """
    return tuple(_one(session, draft, settings) for draft in drafts)


def _one(session: "Session", draft: "FilmDraft", settings: "Settings") -> "FilmDraft":
    study = str(draft.source.get("StudyInstanceUID", ""))
    known = corrections.of_study(session, study, _number(draft.source), settings.corrections)
    if known is None:
        return draft
    return dataclasses.replace(draft, source=reidentified(draft.source, _new(known)))


def _number(source: "Dataset") -> PatientNumber:
    told = (str(source.get(one, "") or "") for one in ("PatientID", "IssuerOfPatientID"))
    return PatientNumber(*(text.strip() for text in told))


def _new(known: "Identity") -> NewIdentity:
    return NewIdentity(
        patient_id=known.number.patient_id,
        issuer_of_patient_id=known.number.issuer,
        patient_name=known.name,
        patient_birth_date=known.birth_date,
        patient_sex=known.sex,
        accession_number=known.accession_number,
    )
