"""The rejection note: tells an archive that objects of ours are not to be used any more.

A Key Object Selection document (PS3.3 A.35.4, TID 2010) whose title, of CID 7010, says why. An
archive that plays Image Manager in IHE's Imaging Object Change Management (RAD-66) hides what the
note names; any other archive keeps the note as a document.

The title decides what an archive does. *Rejected for Patient Safety Reasons* (113037) is hidden
from every ordinary use: it is the one for a draft that was withdrawn, which must not be used.
*Rejected for Quality Reasons* (113001) may be left for regular use where a site configured that:
it is the one for a draft that a newer revision replaced, which was not wrong to use in its time.
*Incorrect Modality Worklist Entry* (113038) and *Data Retention Policy Expired* (113039) would
both say something that is not so.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from highdicom.sr import DeviceObserverIdentifyingAttributes, ObserverContext
from pydicom.sr.codedict import codes as standard

from dicom import codes, envelope, inherited, uids
from dicom.sr import replaced
from dicom.sr.withdrawn import revisions
from dicom.values import ResultKind
from dicom.words import ascii_only, shortened

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from pydicom import Dataset

    from dicom.values import ReplacedResult, ResultInstance

KEY_OBJECT_SELECTION: Final = "1.2.840.10008.5.1.4.1.1.88.59"
SERIES_RANK: Final = 9  # the last of the ten series numbers of a revision
NUMBER: Final = 1


@dataclass(frozen=True, slots=True)
class Rejection:
    """What one archive is asked to hide, and why.

    ``job_id`` made the objects, ``revision`` is that of the job. ``source`` is the header that
    patient and study are taken from. The same values give the same bytes.
    """

    job_id: "UUID"
    destination: str
    revision: int
    objects: "tuple[ReplacedResult, ...]"
    is_withdrawn: bool
    words: str
    source: "Dataset" = field(repr=False)
    produced_at: "datetime"
    software_version: str


def build(what: Rejection) -> "ResultInstance":
    """Return the note, encoded.

    Its kind is that of a text SR, beside which it is never sent: a result set holds none.
    """
    named = [_named(one) for one in what.objects]
    content = KeyObjectSelection(
        document_title=(
            codes.REJECTED_FOR_SAFETY if what.is_withdrawn else codes.REJECTED_FOR_QUALITY
        ),
        referenced_objects=named,
        observer_device_context=_observer(what),
        description=ascii_only(what.words),
    )
    number = envelope.series_number(ResultKind.TEXT_SR, what.revision) - 1 + SERIES_RANK
    ds = KeyObjectSelectionDocument(
        evidence=named,
        content=content,
        series_instance_uid=uids.for_rejection(what.job_id, what.destination, "series"),
        series_number=number,
        sop_instance_uid=uids.for_rejection(what.job_id, what.destination, "instance"),
        instance_number=NUMBER,
        manufacturer=envelope.MANUFACTURER,
    )
    label = envelope.Label(
        description=f"AI DRAFT {revisions(what.objects)} rejected",
        number=number,
        software_version=what.software_version,
        produced_at=what.produced_at,
    )
    ds.pop("ContributingEquipmentSequence", None)  # highdicom's, with the time of this minute
    envelope.dress(ds, what.source, label)
    return envelope.encode(ds, ResultKind.TEXT_SR)


def _named(one: "ReplacedResult") -> "Dataset":
    """Return what highdicom takes: with Rows and Columns it makes an IMAGE item (TID 2010)."""
    ds = replaced.as_data_set(one.ref)
    for keyword in inherited.TYPE_2:
        setattr(ds, keyword, "")
    if one.ref.sop_class_uid not in replaced.SR_CLASSES:
        ds.Rows = ds.Columns = 1
    return ds


def _observer(what: Rejection) -> ObserverContext:
    return ObserverContext(
        observer_type=standard.DCM.Device,
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=envelope.DEVICE_UID,
            name=envelope.MODEL,
            manufacturer_name=envelope.MANUFACTURER,
            model_name=shortened(f"{envelope.MODEL} {what.software_version}", 64),
        ),
    )
