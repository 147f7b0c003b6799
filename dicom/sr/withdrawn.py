"""The notice of withdrawal: a text SR that says, before anything else, not to use the draft."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from highdicom.sr import (
    ContainerContentItem,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    EnhancedSR,
    ObservationContext,
    ObserverContext,
)
from pydicom.sr.codedict import codes as standard

from dicom import codes, envelope, inherited, uids
from dicom.profile import ENHANCED_SR
from dicom.sr import document, items, replaced
from dicom.values import ResultKind
from dicom.words import shortened

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from highdicom.sr import ContentItem
    from pydicom import Dataset

    from dicom.values import InstanceRef, ReplacedResult, ResultInstance

LINE: Final = "WITHDRAWN: this AI draft must not be used"
"""The first and the last line of the notice."""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What is withdrawn, by whom, and why.

    ``job_id`` and ``revision`` are the notice's own. ``source`` is the header that patient and
    study are taken from; ``films`` are the films the draft was about. ``reason`` is what the
    person wrote. ``produced_at`` is aware UTC.
    """

    job_id: "UUID"
    revision: int
    produced_at: "datetime"
    source: "Dataset" = field(repr=False)
    films: "tuple[InstanceRef, ...]"
    replaced: "tuple[ReplacedResult, ...]"
    reason: str
    by: str
    software_version: str
    sop_class_uid: str = ENHANCED_SR


def build(what: Withdrawal) -> "ResultInstance":
    """Return the notice as an encoded result object: COMPLETE, PRELIMINARY, UNVERIFIED.

    It names every object withdrawn, SR documents as its predecessors too (PS3.3 C.17.2).
    """
    root = ContainerContentItem(name=codes.WITHDRAWN_TITLE)
    root.ContentSequence = ContentSequence()
    root.ContentSequence.append(document.language())
    root.ContentSequence.extend(_observer(what))
    for item in _content(what):
        root.ContentSequence.append(item)
    # Patient and study are put in below, from the header itself: nothing odd in it reaches this.
    evidence = [replaced.as_data_set(one) for one in what.films or (what.replaced[0].ref,)]
    for one in evidence:
        for keyword in inherited.TYPE_2:
            setattr(one, keyword, "")
    ds = EnhancedSR(
        evidence=evidence,
        content=root,
        series_instance_uid=uids.for_series(what.job_id, ResultKind.TEXT_SR),
        series_number=envelope.series_number(ResultKind.TEXT_SR, what.revision),
        sop_instance_uid=uids.for_result(what.job_id, ResultKind.TEXT_SR, document.NUMBER),
        instance_number=document.NUMBER,
        manufacturer=envelope.MANUFACTURER,
        is_complete=True,
        is_final=False,
        is_verified=False,
        previous_versions=[replaced.as_data_set(one) for one in replaced.documents(what.replaced)]
        or None,
    )
    ds.SOPClassUID = what.sop_class_uid
    ds.CompletionFlagDescription = "Notice of withdrawal of an AI draft"
    ds.pop("ContributingEquipmentSequence", None)  # highdicom's, with the time of this minute
    envelope.dress(ds, what.source, _label(what))
    return envelope.encode(ds, ResultKind.TEXT_SR)


def revisions(gone: "tuple[ReplacedResult, ...]") -> str:
    """Return "r1" or "r1, r2": the revisions that objects are of."""
    return ", ".join(f"r{number}" for number in sorted({one.revision for one in gone}))


def _label(what: Withdrawal) -> envelope.Label:
    """Viewers cut a description after some twenty letters: the word and the revision come first."""
    return envelope.Label(
        description=f"WITHDRAWN AI DRAFT {revisions(what.replaced)}, notice r{what.revision}",
        number=envelope.series_number(ResultKind.TEXT_SR, what.revision),
        software_version=what.software_version,
        produced_at=what.produced_at,
    )


def _content(what: Withdrawal) -> "list[ContentItem]":
    software = (
        f"Software Carina {what.software_version}, job {what.job_id}, "
        f"made {what.produced_at:%Y-%m-%d %H:%M:%S} UTC."
    )
    said = [
        f"{LINE}.",  # again: viewers run the first line together with who observed
        f"Reason: {what.reason}",
        f"Withdrawn by {what.by} at {what.produced_at:%Y-%m-%d %H:%M:%S} UTC.",
        f"Withdrawn: {revisions(what.replaced)}. This notice is r{what.revision}.",
        "No newer draft takes its place.",
    ]
    return [
        items.text(codes.NOTICE, LINE),
        *items.lines(codes.WITHDRAWAL, codes.NOTICE, said),
        *replaced.section(what.replaced, codes.WITHDRAWS),
        *items.lines(codes.HOW_MADE, codes.ALGORITHM, [software]),
        items.text(codes.NOTICE, LINE),
    ]


def _observer(what: Withdrawal) -> ObservationContext:
    """Return who made the notice: a device (TID 1004); the person who asked is in the words."""
    return ObservationContext(
        observer_device_context=ObserverContext(
            observer_type=standard.DCM.Device,
            observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
                uid=envelope.DEVICE_UID,
                name=envelope.MODEL,
                manufacturer_name=envelope.MANUFACTURER,
                model_name=shortened(f"{envelope.MODEL} {what.software_version}", 64),
            ),
        )
    )
