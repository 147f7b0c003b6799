"""The document around an SR tree: observer, flags, evidence, predecessors (PS3.3 C.17.2)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from highdicom.sr import (
    CodeContentItem,
    Comprehensive3DSR,
    ComprehensiveSR,
    DeviceObserverIdentifyingAttributes,
    EnhancedSR,
    ObservationContext,
    ObserverContext,
    RelationshipTypeValues,
)
from pydicom import Dataset
from pydicom.sr.codedict import codes as standard

from dicom import codes, envelope, uids
from dicom.profile import BASIC_TEXT_SR, BOX_SR_SOP_CLASSES, ENHANCED_SR, SrFlavour
from dicom.words import shortened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from dicom.drafts import FilmDraft, ResultContext
    from dicom.values import InstanceRef, ResultInstance, ResultKind

NUMBER: Final = 1
_REFERRING: Final = frozenset({"IMAGE", "COMPOSITE"})  # value types
_CLASSES: "Mapping[str, type[EnhancedSR | ComprehensiveSR | Comprehensive3DSR]]" = {
    ENHANCED_SR: EnhancedSR,
    # highdicom has no Basic Text SR: the module is the same, only fewer value types are allowed
    # in the tree (PS3.3 A.35.1.3), which is the caller's business.
    BASIC_TEXT_SR: EnhancedSR,
    BOX_SR_SOP_CLASSES[SrFlavour.COMPREHENSIVE]: ComprehensiveSR,
    BOX_SR_SOP_CLASSES[SrFlavour.COMPREHENSIVE_3D]: Comprehensive3DSR,
}


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """One SR document to be: its kind, SOP class, tree, and what the tree refers to.

    ``evidence`` holds instances beside the films; ``predecessors`` are the documents it replaces.
    """

    kind: "ResultKind"
    sop_class_uid: str
    root: Dataset
    evidence: "tuple[InstanceRef, ...]" = ()
    predecessors: "tuple[InstanceRef, ...]" = ()


def observation_context(context: "ResultContext") -> ObservationContext:
    """Return who observed: a device, never a person (TID 1002, 1004)."""
    return ObservationContext(
        observer_device_context=ObserverContext(
            observer_type=standard.DCM.Device,
            observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
                uid=envelope.DEVICE_UID,
                name=envelope.MODEL,
                manufacturer_name=envelope.MANUFACTURER,
                model_name=shortened(f"{envelope.MODEL} {context.software_version}", 64),
            ),
        )
    )


def language() -> CodeContentItem:
    """Return the language of the document (TID 1204)."""
    return CodeContentItem(
        name=standard.DCM.LanguageOfContentItemAndDescendants,
        value=codes.ENGLISH,
        relationship_type=RelationshipTypeValues.HAS_CONCEPT_MOD,
    )


def build(
    document: Document, drafts: "Sequence[FilmDraft]", context: "ResultContext"
) -> "ResultInstance":
    """Return the document as an encoded result object: UNVERIFIED, PRELIMINARY.

    COMPLETE, or PARTIAL with its reason when a stage failed for any of the films.
    """
    partial = [one.analysis.partial_reason for one in drafts if one.analysis.partial_reason]
    films = [envelope.stand_in(one) for one in drafts]
    evidence = [*films, *map(_evidence, document.evidence)]
    _check_references(document.root, {str(one.SOPInstanceUID) for one in evidence})
    ds = _CLASSES[document.sop_class_uid](
        evidence=evidence,
        content=_without_children(document.root),
        series_instance_uid=uids.for_series(context.job_id, document.kind),
        series_number=envelope.series_number(document.kind, context.revision),
        sop_instance_uid=uids.for_result(context.job_id, document.kind, NUMBER),
        instance_number=NUMBER,
        manufacturer=envelope.MANUFACTURER,
        is_complete=not partial,
        is_final=False,
        is_verified=False,
        previous_versions=list(map(_evidence, document.predecessors)) or None,
    )
    ds.ContentSequence = document.root.ContentSequence
    ds.SOPClassUID = document.sop_class_uid
    reason = "; ".join(partial) if partial else "All stages succeeded; not verified by a person"
    ds.CompletionFlagDescription = shortened(reason, envelope.LO_MAX)
    envelope.close(ds, drafts, context, document.kind)
    return envelope.encode(ds, document.kind)


def _without_children(root: Dataset) -> Dataset:
    """Return the root alone, with the one child that highdicom insists on.

    highdicom copies the whole tree, makes it again item by item and walks it twice to find what
    it refers to: half the time of a document. The tree is of its own items already.
    """
    bare = Dataset()
    for element in root:
        if element.keyword != "ContentSequence":
            bare.add(element)
    bare.ContentSequence = [language()]
    return bare


def _check_references(item: Dataset, known: "AbstractSet[str]") -> None:
    """Refuse a tree that refers to an instance that is no evidence (PS3.3 C.17.2.3).

    Raises
    ------
    ValueError
        If it does.
    """
    if "ReferencedSOPSequence" in item and item.ValueType in _REFERRING:
        for reference in item.ReferencedSOPSequence:
            if str(reference.ReferencedSOPInstanceUID) not in known:
                raise ValueError("the document refers to an instance that is no evidence")
    for child in item.get("ContentSequence") or ():
        _check_references(child, known)


def _evidence(ref: "InstanceRef") -> Dataset:
    ds = Dataset()
    ds.StudyInstanceUID = ref.study_instance_uid
    ds.SeriesInstanceUID = ref.series_instance_uid
    ds.SOPClassUID = ref.sop_class_uid
    ds.SOPInstanceUID = ref.sop_instance_uid
    return ds
