"""When and of whom: the age of the patient, and which exposure an image belongs to.

Processed copies of one exposure (enhanced, bone suppressed, dual energy) are told by the
Irradiation Event UID, else by the moment of acquisition; a copy may also name its source.
"""

import re
from datetime import date
from typing import TYPE_CHECKING

from dicom import uids
from dicom.errors import InvalidUid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom.dataset import Dataset

KEYWORDS = (
    "IrradiationEventUID",
    "AcquisitionUID",
    "AcquisitionDateTime",
    "AcquisitionDate",
    "AcquisitionTime",
    "AcquisitionNumber",
    "SourceImageSequence",
)
"""What this module reads, beside Patient's Age, Patient's Birth Date and Study Date."""

_AGE = re.compile(r"(\d{1,3})([DWMY])")  # PS3.5 6.2, AS; two digits are found in the field
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}
_OLDEST_YEARS = 130.0
_DATE = re.compile(r"(\d{4})[.-]?(\d{2})[.-]?(\d{2})")
_DATE_DIGITS = 8


def age_years(ds: "Dataset") -> float | None:
    """Return the patient's age when examined, or None when the header does not say.

    Where Patient's Age and the dates disagree the younger is returned: a child must not be read
    as an adult.
    """
    ages = [age for age in (_stated_age(ds), _age_by_dates(ds)) if age is not None]
    return min(ages, default=None)


def key(ds: "Dataset") -> str:
    """Return a text that is equal for images of one exposure, "" when nothing tells.

    A time without a date, or midnight (what some senders write for "unknown"), tells nothing.
    """
    for keyword in ("IrradiationEventUID", "AcquisitionUID"):
        value = ds.get(keyword)
        if value is not None and isinstance(value, str) and value:
            return f"event {value}"
    when, time = _moment(ds)
    if not when or not time.strip("0."):
        return ""
    return f"time {when}T{time} number {str(ds.get('AcquisitionNumber') or '').strip()}"


def sources(ds: "Dataset") -> tuple[str, ...]:
    """Return the SOP Instance UIDs this image says it was made from (PS3.3 C.7.6.1)."""
    return tuple(_source_uids(ds))


def _source_uids(ds: "Dataset") -> "Iterator[str]":
    for item in ds.get("SourceImageSequence") or ():
        try:
            yield uids.checked(item.get("ReferencedSOPInstanceUID", ""))
        except InvalidUid:
            continue


def _moment(ds: "Dataset") -> tuple[str, str]:
    stamp = str(ds.get("AcquisitionDateTime") or "").strip()
    if len(stamp) > _DATE_DIGITS:
        return stamp[:_DATE_DIGITS], stamp[_DATE_DIGITS:]
    date_, time = (ds.get(keyword) for keyword in ("AcquisitionDate", "AcquisitionTime"))
    return str(date_ or "").strip(), str(time or "").strip()


def _stated_age(ds: "Dataset") -> float | None:
    found = _AGE.fullmatch(str(ds.get("PatientAge") or "").strip().upper())
    if found is None:
        return None
    age = int(found[1]) * _YEARS[found[2]]
    return age if age <= _OLDEST_YEARS else None


def _age_by_dates(ds: "Dataset") -> float | None:
    born = day(ds.get("PatientBirthDate"))
    examined = day(ds.get("AcquisitionDate")) or day(ds.get("StudyDate"))
    if born is None or examined is None:
        return None
    # Whole years are counted as a calendar does, so that the eighteenth birthday is exact.
    had_birthday = (examined.month, examined.day) >= (born.month, born.day)
    age = examined.year - born.year - (not had_birthday)
    return float(age) if 0 <= age <= _OLDEST_YEARS else None


def day(value: object) -> date | None:
    """Return the date that a value of VR DA says, also in its older forms; None if it says none."""
    found = _DATE.fullmatch(str(value or "").strip())
    if found is None:
        return None
    try:
        return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        return None
