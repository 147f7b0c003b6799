"""The box SR: one closed rectangle per localised finding, its sentence beside it (TID 1500).

Written the way viewers were seen to read it: planar groups with coordinates only (a group
without coordinates makes OHIF drop the whole document), no number in a group, lateralised sites,
the sentence as Comment. Coordinates are those of the stored film, (0, 0) at the top-left corner of
the top-left pixel (PS3.3 C.18.6.1.1).
"""

from typing import TYPE_CHECKING

import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    FindingSite,
    GraphicTypeValues,
    ImageRegion,
    MeasurementReport,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    SourceImageForRegion,
    TrackingIdentifier,
)

from dicom import codes, uids
from dicom.profile import BOX_SR_SOP_CLASSES
from dicom.sr import document, items
from dicom.values import ResultKind
from dicom.words import shortened
from models.vocabulary import Presence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dicom.drafts import FilmDraft, ResultContext
    from dicom.values import ResultInstance
    from models.values import Analysis, Finding, ModelIdentity, PixelBox

SHOWN = (Presence.PRESENT, Presence.UNCERTAIN)
NAME_MAX = 64


def localised(analysis: "Analysis") -> "tuple[Finding, ...]":
    """Return the findings that have a box and are not negative: what the box SR shows."""
    return tuple(one for one in analysis.findings if one.boxes and one.presence in SHOWN)


def build(drafts: "Sequence[FilmDraft]", context: "ResultContext") -> "ResultInstance | None":
    """Return the box SR of all films of a study, or None when nothing is localised."""
    flavour = context.profile.boxes
    groups = [
        _group(draft, finding, number, context)
        for draft in drafts
        for finding in localised(draft.analysis)
        for number in range(len(finding.boxes))
    ]
    if not groups or flavour is None:
        return None
    report = MeasurementReport(
        observation_context=document.observation_context(context),
        procedure_reported=codes.PLAIN_RADIOGRAPHY,
        imaging_measurements=groups,
        title=codes.IMAGING_MEASUREMENT_REPORT,
    )
    described = document.Document(ResultKind.BOX_SR, BOX_SR_SOP_CLASSES[flavour], report[0])
    return document.build(described, drafts, context)


def sentence_of(analysis: "Analysis", finding: "Finding") -> str:
    """Return what the report says of a finding, or its name when no sentence speaks of it."""
    said = [one.text for one in analysis.report.findings if finding.finding_id in one.finding_ids]
    return " ".join(said) or f"{finding.observation.value}, {finding.presence.value.lower()}"


def rectangle(box: "PixelBox") -> "NDArray[np.float32]":
    """Return the closed outline of a box, ``(5, 2)`` of (column, row), clockwise from top left."""
    corners = [
        (box.x_min, box.y_min),
        (box.x_max, box.y_min),
        (box.x_max, box.y_max),
        (box.x_min, box.y_max),
        (box.x_min, box.y_min),
    ]
    return np.asarray(corners, dtype=np.float32)


def tracking_uid(
    draft: "FilmDraft", finding: "Finding", number: int, context: "ResultContext"
) -> str:
    """Return the Tracking UID of one box: the first shares its finding's with the segment.

    A viewer keeps one measurement per Tracking UID, so further boxes have their own.
    """
    suffix = "" if number == 0 else f"/{number + 1}"
    name = f"{finding.finding_id}{suffix}"
    return uids.for_tracking(context.job_id, draft.sop_instance_uid, name)


def _group(
    draft: "FilmDraft", finding: "Finding", number: int, context: "ResultContext"
) -> PlanarROIMeasurementsAndQualitativeEvaluations:
    source = draft.source
    film = SourceImageForRegion(
        referenced_sop_class_uid=uids.checked(source.get("SOPClassUID")),
        referenced_sop_instance_uid=uids.checked(source.get("SOPInstanceUID")),
    )
    part = f" ({number + 1} of {len(finding.boxes)})" if len(finding.boxes) > 1 else ""
    group = PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=tracking_uid(draft, finding, number, context),
            identifier=shortened(f"{finding.finding_id} {finding.observation.value}{part}", 64),
        ),
        referenced_region=ImageRegion(
            graphic_type=GraphicTypeValues.POLYLINE,
            graphic_data=rectangle(finding.boxes[number]),
            source_image=film,
        ),
        finding_type=items.concept_of(codes.OBSERVATIONS[finding.observation]),
        finding_category=items.concept_of(codes.MORPHOLOGICALLY_ABNORMAL_STRUCTURE),
        algorithm_id=_algorithm(draft.analysis.models),
        finding_sites=[
            FindingSite(anatomic_location=items.concept_of(codes.STRUCTURES[structure]))
            for structure in finding.structures
        ],
    )
    words = f"AI DRAFT: {sentence_of(draft.analysis, finding)}{part}"
    group[0].ContentSequence.append(items.text(codes.COMMENT, words))
    return group


def _algorithm(models: "tuple[ModelIdentity, ...]") -> AlgorithmIdentification | None:
    if not models:
        return None
    first = models[0]
    return AlgorithmIdentification(
        name=shortened(first.name, NAME_MAX),
        version=shortened(first.version, NAME_MAX),
        parameters=[f"weights_sha256={first.weights_sha256}", f"use={first.use.value}"],
    )
