"""Keeps patient data out of log lines: by the name of a field, by its type, by its look.

The rule is that nobody logs patient data. This is the net under the rule: what it catches is
replaced, and the line says what was withheld, so that the fault is seen and mended.
"""

import re
import traceback
from collections.abc import Mapping, MutableMapping
from typing import Any

from dicom.errors import DicomError
from models.errors import ModelError
from service.errors import ServiceError

WITHHELD = "[withheld]"
OWN_ERRORS = (ServiceError, DicomError, ModelError)
"""Their messages hold no values of a header, by agreement."""

# Keywords of the patient, study and visit modules that identify somebody (PS3.15 Table E.1-1),
# without underscores. Anything that begins with "patient" is caught besides.
KEYS = frozenset(
    {
        "accessionnumber",
        "admissionid",
        "birthdate",
        "dataelement",
        "dataset",
        "ds",
        "header",
        "identity",
        "institutionname",
        "issuerofpatientid",
        "namesofintendedrecipientsofresults",
        "operatorsname",
        "otherpatientids",
        "otherpatientnames",
        "performingphysicianname",
        "referringphysicianname",
        "requestingphysician",
        "studydescription",
        "studyid",
        "words",
    }
)
HARMLESS_KEYS = frozenset({"patientorientation"})
PERSON_NAME = re.compile(r"[^\W\d_]{2,}[\w' -]*\^+[\w' -]*[^\W\d_]", re.UNICODE)
"""How a name is written in DICOM (PS3.5 6.2, VR PN): components parted by carets."""
PATIENT_TAG = re.compile(r"\(?0010,\s?[0-9A-Fa-f]{4}\)?|Patient'?s? ?(Name|ID|Birth)")
WARNING_HEAD = re.compile(r"^(.*?:\d+: \w+):")


def withhold(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace what may be patient data; a structlog processor."""
    caught = [key for key in event if key != "event" and _is_private(key, event[key])]
    for key in caught:
        event[key] = WITHHELD
    if _is_private("", event.get("event")):
        event["event"] = WITHHELD
        caught.append("event")
    if caught:
        event["withheld"] = sorted(caught)
    return event


def shorten_warning(
    _: object, __: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Keep of a Python warning where it came from and its kind: the text may repeat a value."""
    if event.get("logger") == "py.warnings":
        found = WARNING_HEAD.match(str(event.get("event", "")))
        event["event"] = "python_warning"
        event["where"] = found.group(1) if found else WITHHELD
    return event


def format_exception(
    _: object, __: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Write an exception as its class and the way to it; a message only if it is one of ours.

    Local variables are never shown, and neither is the text of foreign exceptions: pydicom and
    databases put values into it.
    """
    given = event.pop("exc_info", None)
    error = given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event["exception"] = [_described(each) for each in _chain(error)]
    return event


def _described(error: BaseException) -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)
    described: dict[str, Any] = {
        "class": f"{type(error).__module__}.{type(error).__qualname__}",
        "way": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }
    if isinstance(error, OWN_ERRORS):
        described["message"] = str(error)
    return described


def _chain(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        following = current.__cause__
        if following is None and not current.__suppress_context__:
            following = current.__context__
        current = following
    return chain


def _is_private(key: str, value: object) -> bool:
    plain = key.replace("_", "").replace(" ", "").lower()
    if plain in HARMLESS_KEYS:
        return False
    return plain.startswith("patient") or plain in KEYS or _looks_private(value)


def _looks_private(value: object) -> bool:
    if isinstance(value, str):
        named = "^" in value and PERSON_NAME.search(value)
        return bool(named or PATIENT_TAG.search(value))
    if isinstance(value, Mapping):
        return any(_is_private(str(key), each) for key, each in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return any(map(_looks_private, value))
    # A data set, an element, a person's name: whatever it is, it holds what was received.
    return type(value).__module__.partition(".")[0] == "pydicom"
