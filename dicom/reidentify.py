"""Write a corrected identity into a header: what a result then inherits (:mod:`dicom.inherited`).

The file in the spool stays as it was received; this changes a copy of its header.
"""

import copy
from dataclasses import dataclass, field
from typing import Final

from pydicom import Dataset, config

from dicom import quiet
from dicom.errors import EncodingFailed

UTF_8: Final = "ISO_IR 192"
OF_THE_OLD_NUMBER: Final = ("TypeOfPatientID", "IssuerOfPatientIDQualifiersSequence")


@dataclass(frozen=True, slots=True)
class NewIdentity:
    """Who the patient of a header is now; None leaves a field as it stands."""

    patient_id: str = field(repr=False)
    issuer_of_patient_id: str = field(default="", repr=False)
    patient_name: str | None = field(default=None, repr=False)
    patient_birth_date: str | None = field(default=None, repr=False)
    patient_sex: str | None = field(default=None, repr=False)
    accession_number: str | None = field(default=None, repr=False)


def reidentified(source: Dataset, to: NewIdentity) -> Dataset:
    """Return a copy of a header that bears another identity.

    An issuer is written only where the film names one: an archive that never saw an issuer would
    take it for another patient. Characters beyond ASCII make it a header in UTF-8.

    Raises
    ------
    EncodingFailed
        If the text of the header cannot be read.
    """
    told = {
        "PatientID": to.patient_id,
        "PatientName": to.patient_name,
        "PatientBirthDate": to.patient_birth_date,
        "PatientSex": to.patient_sex,
        "AccessionNumber": to.accession_number,
    }
    with quiet.reading(), config.disable_value_validation():
        ds = copy.deepcopy(source)
        had_issuer = bool(str(ds.get("IssuerOfPatientID", "") or "").strip())
        if had_issuer and to.issuer_of_patient_id:
            told["IssuerOfPatientID"] = to.issuer_of_patient_id
        if str(ds.get("PatientID", "") or "").strip() != to.patient_id:
            for keyword in OF_THE_OLD_NUMBER:
                ds.pop(keyword, None)
        if not "".join(filter(None, told.values())).isascii():
            _to_utf_8(ds)
        for keyword, value in told.items():
            if value is not None:
                setattr(ds, keyword, value)
    return ds


def _to_utf_8(ds: Dataset) -> None:
    try:
        ds.decode()
    except (ValueError, LookupError, TypeError, AttributeError):
        raise EncodingFailed("the text of the film's header cannot be read") from None
    ds.SpecificCharacterSet = UTF_8
