"""UIDs: checked before they are used, and derived for everything that Carina makes.

A result UID depends on the job, the kind and the number only, so a step that runs twice makes the
same object, never a second one; a replay is a new job and so has new UIDs (design rule 3).
"""

import re
import uuid
from typing import TYPE_CHECKING

from dicom.errors import InvalidUid
from dicom.values import ResultKind, Uid

if TYPE_CHECKING:
    from uuid import UUID

UID_MAX = 64  # PS3.5 section 9.1
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_NAMESPACE = uuid.UUID("6f1f6a3e-5d7b-5c1e-9b0e-5b8f0f7a2c11")

IMPLEMENTATION_CLASS_UID = Uid("2.25.183920171830226171918446155201925367057")
IMPLEMENTATION_VERSION_NAME = "CARINA_0_1"


def checked(text: object) -> Uid:
    """Return ``text`` as a UID.

    Leading zeros in a component are illegal (PS3.5 9.1) but found in the field and harmless, so
    they pass.

    Raises
    ------
    InvalidUid
        If it is not digits and dots, or longer than 64 characters.
    """
    value = str(text)
    if len(value) > UID_MAX or not _UID.fullmatch(value):
        raise InvalidUid("not a UID")
    return Uid(value)


def _derived(*parts: object) -> Uid:
    """Return a UID under 2.25 (PS3.5 B.2) from a name-based UUID of the parts."""
    return Uid(f"2.25.{uuid.uuid5(_NAMESPACE, '/'.join(map(str, parts))).int}")


def for_result(job_id: "UUID", kind: ResultKind, number: int) -> Uid:
    """Return the SOP Instance UID of one result object."""
    return _derived(job_id, "instance", kind.value, number)


def for_series(job_id: "UUID", kind: ResultKind) -> Uid:
    """Return the Series Instance UID of all objects of one kind."""
    return _derived(job_id, "series", kind.value)


def for_tracking(job_id: "UUID", sop_instance_uid: str, finding_id: str) -> Uid:
    """Return the Tracking UID that ties a finding's box in the SR to its segment in the SEG."""
    return _derived(job_id, "tracking", sop_instance_uid, finding_id)


def for_dimensions(job_id: "UUID", kind: ResultKind) -> Uid:
    """Return the Dimension Organization UID of the masks of one kind."""
    return _derived(job_id, "dimensions", kind.value)


def for_rejection(job_id: "UUID", destination: str, level: str) -> Uid:
    """Return a UID of the note that rejects the objects of a job at one archive, by level."""
    return _derived(job_id, "rejection", destination, level)


def for_film(seed: str, level: str) -> Uid:
    """Return a UID for a film that Carina makes itself (demo, tests, load), by seed and level."""
    return _derived("film", seed, level)
