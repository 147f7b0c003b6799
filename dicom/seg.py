"""The masks of one film as a BINARY Segmentation, in a form that viewers show (PS3.3 A.51).

A radiograph has no frame of reference, often no calibrated spacing, and viewers written for CT
then show nothing at all. Four repairs make the masks visible; each is declared, in the segment
descriptions and in the text SR, and none is passed off as known:

* Plane Orientation 1/0/0/0/1/0 is a placeholder for "as stored".
* Pixel Measures carries the film's spacing; where it is unknown, 1/1 as a placeholder.
* Patient Orientation is the film's own.
* Every segment has a display colour and a label that names its side.
"""

from typing import TYPE_CHECKING, Final

import numpy as np
from highdicom.color import CIELabColor
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentDescription
from pydicom import Dataset

from dicom import codes, envelope, uids
from dicom.errors import EncodingFailed
from dicom.sr.boxes import tracking_uid
from dicom.values import ResultKind
from dicom.words import ascii_only, shortened
from models.vocabulary import MaskName, Observation, SpacingSource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dicom.drafts import FilmDraft, ResultContext
    from dicom.values import ResultInstance
    from models.values import Finding, FindingMask

LABEL_MAX: Final = 64
CONTENT_LABEL: Final = "AI_DRAFT"
PLACEHOLDER_SPACING_MM: Final = (1.0, 1.0)

ORGAN_COLOURS: "Mapping[MaskName, tuple[int, int, int]]" = {
    MaskName.RIGHT_LUNG: (86, 180, 233),
    MaskName.LEFT_LUNG: (0, 158, 115),
    MaskName.HEART: (204, 121, 167),
}
FINDING_COLOURS: "Mapping[Observation, tuple[int, int, int]]" = {
    Observation.ENLARGED_CARDIAC_SILHOUETTE: (213, 94, 0),
    Observation.PLEURAL_EFFUSION: (240, 228, 66),
    Observation.LUNG_OPACITY: (230, 159, 0),
    Observation.MASS: (230, 50, 50),
}
"""RGB; after Okabe and Ito, told apart by people who are colour-blind."""


def build(
    drafts: "Sequence[FilmDraft]", index: int, kind: ResultKind, context: "ResultContext"
) -> "ResultInstance | None":
    """Return the anatomy or the finding masks of one film, or None when it has none.

    Raises
    ------
    EncodingFailed
        If a mask has not the size of the film, or names a finding that does not exist.
    """
    draft = drafts[index]
    masks = wanted(draft, kind)
    if not masks:
        return None
    described = [
        _describe(draft, mask, number, context) for number, mask in enumerate(masks, start=1)
    ]
    film = envelope.stand_in(draft)
    ds = Segmentation(
        source_images=[film],
        pixel_array=_stacked(masks),
        segmentation_type="BINARY",
        segment_descriptions=described,
        series_instance_uid=uids.for_series(context.job_id, kind),
        series_number=envelope.series_number(kind, context.revision),
        sop_instance_uid=uids.for_result(context.job_id, kind, index + 1),
        instance_number=index + 1,
        manufacturer=envelope.MANUFACTURER,
        manufacturer_model_name=envelope.MODEL,
        software_versions=shortened(context.software_version, envelope.LO_MAX),
        device_serial_number=envelope.SERIAL_NUMBER,
        content_label=CONTENT_LABEL,
        content_description=f"AI DRAFT, not verified: {kind.value}",
    )
    _repair(ds, draft, kind, context)
    envelope.close(ds, [draft], context, kind)
    return envelope.encode(ds, kind)


def _stacked(masks: "Sequence[FindingMask]") -> "NDArray[np.uint8]":
    """Return masks as ``(1, rows, columns, segments)``, each whole in memory.

    highdicom adds them up and takes them out one by one: over masks that lie pixel by pixel
    beside each other that takes ten times as long.
    """
    stack = np.stack([one.mask for one in masks]).view(np.uint8)
    return stack.transpose(1, 2, 0)[None]


def wanted(draft: "FilmDraft", kind: ResultKind) -> "list[FindingMask]":
    """Return the masks of a kind that hold anything, checked against the film."""
    masks = [
        one
        for one in draft.analysis.masks
        if (one.organ is not None) == (kind is ResultKind.ANATOMY_SEG)
        and (one.organ is None or one.organ in codes.ORGANS)
    ]
    image = draft.analysis.image
    if any(one.mask.shape != (image.rows, image.columns) for one in masks):
        raise EncodingFailed("a mask has not the size of the film")
    return [one for one in masks if one.mask.any()]


def _describe(
    draft: "FilmDraft", mask: "FindingMask", number: int, context: "ResultContext"
) -> SegmentDescription:
    models = draft.analysis.models
    algorithm = envelope.algorithm(models[0]) if models else None
    if mask.organ is not None:
        code, side = codes.ORGANS[mask.organ]
        segment = SegmentDescription(
            segment_number=number,
            segment_label=_label(mask),
            segmented_property_category=codes.ANATOMICAL_STRUCTURE,
            segmented_property_type=code,
            algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
            display_color=CIELabColor.from_rgb(*ORGAN_COLOURS[mask.organ]),
        )
        if side is not None:
            modifier = [envelope.code_item(codes.SIDES[side])]
            kind_of = segment.SegmentedPropertyTypeCodeSequence[0]
            kind_of.SegmentedPropertyTypeModifierCodeSequence = modifier
    else:
        finding = _finding_of(draft, mask)
        segment = SegmentDescription(
            segment_number=number,
            segment_label=_label(mask),
            segmented_property_category=codes.MORPHOLOGICALLY_ABNORMAL_STRUCTURE,
            segmented_property_type=codes.OBSERVATIONS[finding.observation],
            algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
            tracking_uid=tracking_uid(draft, finding, 0, context),
            tracking_id=shortened(f"{finding.finding_id} {finding.observation.value}", LABEL_MAX),
            anatomic_regions=[codes.STRUCTURES[one] for one in finding.structures[:1]] or None,
            display_color=CIELabColor.from_rgb(*FINDING_COLOURS[finding.observation]),
        )
    segment.SegmentDescription = declared_repairs(draft)
    return segment


def _label(mask: "FindingMask") -> str:
    """Return what a viewer's panel shows: the finding's id first, so that it meets its box."""
    name = mask.finding_id
    if name is None or mask.label.startswith(name):
        words = f"{mask.label[:1].upper()}{mask.label[1:]}"
    else:
        words = f"{name} {mask.label}"
    return shortened(words, LABEL_MAX)


def _finding_of(draft: "FilmDraft", mask: "FindingMask") -> "Finding":
    for finding in draft.analysis.findings:
        if finding.finding_id == mask.finding_id:
            return finding
    raise EncodingFailed("a mask belongs to a finding that does not exist")


def declared_repairs(draft: "FilmDraft") -> str:
    """Return what the object carries that the film does not say, in one line."""
    image = draft.analysis.image
    said = "AI DRAFT, not verified. Plane orientation is a placeholder: as stored."
    if image.pixel_spacing_mm is None:
        return f"{said} Pixel spacing of the film is unknown: 1 by 1 is a placeholder."
    if image.spacing_source is SpacingSource.IMAGER_PIXEL_SPACING:
        return f"{said} Pixel spacing is that of the detector plane."
    return ascii_only(said)


def _repair(ds: Dataset, draft: "FilmDraft", kind: ResultKind, context: "ResultContext") -> None:
    image = draft.analysis.image
    shared = ds.SharedFunctionalGroupsSequence[0]
    orientation = Dataset()
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PlaneOrientationSequence = [orientation]
    measures = Dataset()
    measures.PixelSpacing = [
        float(f"{one:.6g}") for one in image.pixel_spacing_mm or PLACEHOLDER_SPACING_MM
    ]
    shared.PixelMeasuresSequence = [measures]
    source = draft.source.get("PatientOrientation")
    ds.PatientOrientation = list(source) if source else list(image.patient_orientation or ())
    # highdicom draws this UID at random; the same input must give the same bytes.
    organisation = uids.for_dimensions(context.job_id, kind)
    for item in (*ds.DimensionOrganizationSequence, *ds.DimensionIndexSequence):
        item.DimensionOrganizationUID = organisation
