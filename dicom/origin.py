"""Where a film comes from and how urgent it was asked for: what rules of lanes look at."""

from typing import TYPE_CHECKING

from dicom import acquisition
from dicom.values import Origin

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

KEYWORDS = (
    "StationName",
    "InstitutionalDepartmentName",
    "CurrentPatientLocation",
    "RequestedProcedureLocation",
    "RequestedProcedurePriority",
)
"""What this module reads, beside Modality and Study Date."""

_LONGEST = 64  # PS3.5 6.2, LO; a rule has no use for more


def read(ds: "Dataset") -> Origin:
    """Return what a header says; "" where it is silent."""
    station, department, location, requested, priority = (_text(ds, each) for each in KEYWORDS)
    return Origin(
        modality=_text(ds, "Modality").upper(),
        station_name=station,
        institutional_department_name=department,
        current_patient_location=location,
        requested_procedure_location=requested,
        requested_procedure_priority=priority.upper(),
        study_date=acquisition.day(ds.get("StudyDate")),
    )


def _text(ds: "Dataset", keyword: str) -> str:
    value = ds.get(keyword)
    return "" if value is None else str(value).replace("\0", "").strip()[:_LONGEST]
