"""Patient and study attributes that a result inherits from its film, unchanged.

An archive files a result by these: one that differs in the issuer of the patient's number, or
whose name lost its characters, ends in the wrong place or is refused.
"""

import copy
from typing import TYPE_CHECKING, Final

from pydicom import Dataset, config, dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.errors import BytesLengthException, InvalidDicomError

from dicom import quiet
from dicom.errors import EncodingFailed, UndecodableInstance

if TYPE_CHECKING:
    from pathlib import Path

IDENTITY: Final = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex")

TYPE_2: Final = (
    *IDENTITY,
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
)
"""Present in every result, empty when the film lacks them (PS3.3 C.7.1.1, C.7.2.1)."""

COPIED: Final = (
    # Patient (PS3.3 C.7.1.1)
    *IDENTITY,
    "IssuerOfPatientID",
    "TypeOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "ReferencedPatientSequence",
    "PatientBirthTime",
    "PatientBirthDateInAlternativeCalendar",
    "PatientDeathDateInAlternativeCalendar",
    "PatientAlternativeCalendar",
    "OtherPatientIDs",
    "OtherPatientIDsSequence",
    "OtherPatientNames",
    "EthnicGroup",
    "PatientComments",
    "QualityControlSubject",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    # Clinical trial subject and study (C.7.1.3, C.7.2.3)
    "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID",
    "ClinicalTrialSiteName",
    "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID",
    "ClinicalTrialTimePointID",
    "ClinicalTrialTimePointDescription",
    # General study (C.7.2.1)
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "ReferringPhysicianIdentificationSequence",
    "ConsultingPhysicianName",
    "StudyID",
    "AccessionNumber",
    "IssuerOfAccessionNumberSequence",
    "StudyDescription",
    "PhysiciansOfRecord",
    "NameOfPhysiciansReadingStudy",
    "RequestingService",
    "ReferencedStudySequence",
    "ProcedureCodeSequence",
    "ReasonForPerformedProcedureCodeSequence",
    # Patient study (C.7.2.2)
    "AdmittingDiagnosesDescription",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "PatientSizeCodeSequence",
    "PregnancyStatus",
    "MedicalAlerts",
    "Allergies",
    "SmokingStatus",
    "Occupation",
    "AdditionalPatientHistory",
    "AdmissionID",
    "IssuerOfAdmissionIDSequence",
    "ServiceEpisodeID",
    "IssuerOfServiceEpisodeIDSequence",
    # The dates above are local to this offset (C.12.1.1.8)
    "TimezoneOffsetFromUTC",
)
"""Patient and study, copied unchanged: an object of the same study must agree with it."""


def header_of(path: "Path") -> Dataset:
    """Return the header of a Part 10 file, without its pixels.

    Raises
    ------
    UndecodableInstance
        If the file is gone or is no Part 10 file.
    """
    try:
        with quiet.reading():
            return dcmread(path, stop_before_pixels=True)
    except (OSError, InvalidDicomError, ValueError, TypeError, KeyError) as error:
        raise UndecodableInstance(type(error).__name__) from error


def copy_to(ds: Dataset, source: Dataset) -> None:
    """Copy patient and study attributes unchanged, with the character set they are written in."""
    with quiet.reading(), config.disable_value_validation():
        if "SpecificCharacterSet" in source:
            ds.SpecificCharacterSet = source.SpecificCharacterSet
        else:
            ds.pop("SpecificCharacterSet", None)
        for keyword in COPIED:
            ds.pop(keyword, None)
            _copy(ds, source, keyword)
        for keyword in TYPE_2:
            if keyword not in ds:
                setattr(ds, keyword, None)


def _copy(ds: Dataset, source: Dataset, keyword: str) -> None:
    tag = tag_for_keyword(keyword)
    if tag is None or tag not in source:
        return
    try:
        element = copy.deepcopy(source[tag])
    except (ValueError, TypeError, OverflowError, NotImplementedError, BytesLengthException):
        # Three bytes where a number has two: the attribute is useless, the draft is not.
        if keyword in IDENTITY:
            raise EncodingFailed(f"{keyword} of the film cannot be read") from None
        return
    ds.add(element)
