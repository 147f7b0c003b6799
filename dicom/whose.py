"""Ask an archive whose study it is, as it knows it now (PS3.4 C.6.2.1.2, STUDY level)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind as StudyRootFind,
)

from dicom import quiet
from dicom.associate import associated
from dicom.errors import AssociationFailed, QueryNotOffered
from dicom.send import IMPLICIT_VR_LITTLE_ENDIAN
from dicom.status import PENDING, StoreStatus
from dicom.values import PatientIdentity

if TYPE_CHECKING:
    from pathlib import Path

    from dicom.associate import Requestor
    from dicom.values import PacsNode

_PATIENT = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex")


@dataclass(frozen=True, slots=True)
class StudyIdentity:
    """Whose study it is; a field that is not told is ""."""

    patient: PatientIdentity
    accession_number: str


def of_study(
    study_instance_uid: str, node: "PacsNode", requestor: "Requestor"
) -> StudyIdentity | None:
    """Return whose study the archive says it is; None when it does not have the study.

    Raises
    ------
    AssociationFailed
        If there is no association, or it breaks.
    QueryNotOffered
        If the archive accepts no query, or answers it with a failure.
    """
    found: Dataset | None = None
    with associated(node, [(StudyRootFind, IMPLICIT_VR_LITTLE_ENDIAN)], requestor) as association:
        if not association.is_established:
            raise QueryNotOffered(f"{node} accepts no study root query")
        for status, answer in association.send_c_find(_question(study_instance_uid), StudyRootFind):
            if "Status" not in status:
                raise AssociationFailed("no answer to C-FIND")
            if status.Status in PENDING:
                found = answer if found is None else found
            elif status.Status != StoreStatus.SUCCESS:
                raise QueryNotOffered(f"query failed with status 0x{status.Status:04X}")
    return None if found is None else identity(found)


def of_file(path: "Path") -> StudyIdentity:
    """Return whose study a file says it is of."""
    with quiet.reading():
        return identity(dcmread(path, stop_before_pixels=True))


def identity(ds: Dataset) -> StudyIdentity:
    """Return whose study a data set says it is of."""
    with quiet.reading():
        patient = PatientIdentity(*(_text(ds, keyword) for keyword in _PATIENT))
        return StudyIdentity(patient, _text(ds, "AccessionNumber"))


def _question(study_instance_uid: str) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    identifier.StudyInstanceUID = study_instance_uid
    for keyword in (*_PATIENT, "AccessionNumber"):
        setattr(identifier, keyword, "")
    return identifier


def _text(ds: Dataset, keyword: str) -> str:
    value = ds.get(keyword)
    return "" if value is None else str(value).strip("\0 ")
