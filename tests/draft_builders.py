"""Hand-made drafts of drawn films, for tests of what goes back to the archive.

The films are ellipses and the findings are invented: nothing here looks at a picture.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from dicom import film
from dicom.drafts import FilmDraft, ResultContext
from dicom.profile import DestinationProfile
from dicom.values import ResultKind
from models.opinions import ScopeOpinion
from models.values import (
    Analysis,
    ChestImage,
    Finding,
    FindingMask,
    GroundedReport,
    Measurement,
    ModelIdentity,
    PixelBox,
    Rationale,
    ReportSentence,
    Sight,
    TextStep,
    VisualStep,
    Withheld,
)
from models.vocabulary import (
    AnatomicStructure,
    BundleUse,
    MaskName,
    Observation,
    Presence,
    Side,
    SpacingSource,
    ViewPosition,
)

JOB = UUID("00000000-0000-4000-8000-000000000007")
NOW = datetime(2026, 11, 21, 23, 5, 9, tzinfo=UTC)
MODEL = ModelIdentity("anatomy-hand-made", "0.0.1", "ab" * 32, BundleUse.DEMO)
MASS_SENTENCE = "A mass or nodule is likely in the right mid lung zone."
EFFUSION_SENTENCE = "No pleural effusion is seen on the left."
HEART_SENTENCE = "The cardiac silhouette may be enlarged."
OPACITY_SENTENCE = "A lung opacity is possible; it could not be localised."
NOT_ASSESSED = "Not assessed: pneumothorax, fractures, devices, bones."


@dataclass(frozen=True, slots=True)
class Sheet:
    """The size and orientation of a drawn film."""

    rows: int = 96
    columns: int = 80
    spacing_mm: tuple[float, float] | None = (0.2, 0.2)
    orientation: tuple[str, str] | None = ("L", "F")

    @property
    def mirrored(self) -> bool:
        """Return whether the patient's right is on the right of the picture."""
        return self.orientation == ("R", "F")


def ellipse(sheet: Sheet, centre: tuple[float, float], radii: tuple[float, float]) -> Any:
    """Return a mask; ``centre`` and ``radii`` are (x, y) as fractions of the sheet, standard
    display; turned over for a mirrored sheet."""
    rows, columns = np.mgrid[0 : sheet.rows, 0 : sheet.columns]
    x, y = (columns + 0.5) / sheet.columns, (rows + 0.5) / sheet.rows
    if sheet.mirrored:
        x = 1 - x
    return ((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2 <= 1


def organs(sheet: Sheet) -> dict[MaskName, NDArray[np.bool_]]:
    """Return drawn lungs and heart."""
    return {
        MaskName.RIGHT_LUNG: ellipse(sheet, (0.3, 0.45), (0.16, 0.33)),
        MaskName.LEFT_LUNG: ellipse(sheet, (0.7, 0.45), (0.15, 0.32)),
        MaskName.HEART: ellipse(sheet, (0.55, 0.6), (0.16, 0.14)),
    }


def mass(sheet: Sheet) -> NDArray[np.bool_]:
    """Return the drawn mass, in the right mid zone."""
    found: NDArray[np.bool_] = ellipse(sheet, (0.28, 0.47), (0.07, 0.06))
    return found


def picture(sheet: Sheet) -> NDArray[np.float32]:
    """Return a film drawn of the same ellipses, (rows, columns), 0..1, bright = dense."""
    body = np.full((sheet.rows, sheet.columns), 0.62, np.float32)
    masks = organs(sheet)
    body[masks[MaskName.RIGHT_LUNG] | masks[MaskName.LEFT_LUNG]] = 0.25
    body[masks[MaskName.HEART]] = 0.75
    body[mass(sheet)] = 0.6
    return body


def box_of(mask: NDArray[np.bool_]) -> PixelBox:
    """Return the tight box of a mask, pixel edges."""
    rows, columns = np.nonzero(mask)
    return PixelBox(
        float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1)
    )


def mass_finding(sheet: Sheet) -> Finding:
    """Return a PRESENT, localised finding."""
    return Finding(
        finding_id="F1",
        observation=Observation.MASS,
        presence=Presence.PRESENT,
        probability=0.9,
        side=Side.RIGHT,
        structures=(AnatomicStructure.RIGHT_MID_LUNG_ZONE, AnatomicStructure.RIGHT_LUNG),
        boxes=(box_of(mass(sheet)),),
    )


OPACITY_FINDING = Finding(
    finding_id="F2",
    observation=Observation.LUNG_OPACITY,
    presence=Presence.UNCERTAIN,
    probability=0.5,
    side=None,
    structures=(AnatomicStructure.LEFT_LUNG,),
    reason="seen on the whole image only",
)
HEART_FINDING = Finding(
    finding_id="M1",
    observation=Observation.ENLARGED_CARDIAC_SILHOUETTE,
    presence=Presence.UNCERTAIN,
    probability=None,
    side=None,
    structures=(AnatomicStructure.CARDIAC_SILHOUETTE,),
    measurement=Measurement("cardiothoracic ratio", 0.5137, 0.47, 0.56, "ratio"),
    reason="the ratio is inside its band of error",
)
EFFUSION_FINDING = Finding(
    finding_id="N1",
    observation=Observation.PLEURAL_EFFUSION,
    presence=Presence.ABSENT,
    probability=0.02,
    side=Side.LEFT,
    structures=(AnatomicStructure.LEFT_COSTOPHRENIC_ANGLE, AnatomicStructure.LEFT_HEMIDIAPHRAGM),
)
SENTENCES: Mapping[str, str] = {
    "F1": MASS_SENTENCE,
    "F2": OPACITY_SENTENCE,
    "M1": HEART_SENTENCE,
    "N1": EFFUSION_SENTENCE,
}


def analysis_of(sheet: Sheet, findings: tuple[Finding, ...], image_id: str = "film") -> Analysis:
    """Return a whole analysis that holds these findings, their masks, words and rationale."""
    image = ChestImage(
        image_id=image_id,
        pixels=picture(sheet),
        view_position=ViewPosition.PA,
        patient_orientation=sheet.orientation,
        pixel_spacing_mm=sheet.spacing_mm,
        spacing_source=SpacingSource.PIXEL_SPACING if sheet.spacing_mm else None,
    )
    masks = [
        FindingMask(mask, name.value.capitalize(), organ=name)
        for name, mask in organs(sheet).items()
    ]
    masks += [
        FindingMask(mass(sheet), "Mass or nodule, right mid lung zone", finding_id=one.finding_id)
        for one in findings
        if one.boxes
    ]
    sentences = tuple(
        ReportSentence(SENTENCES[one.finding_id], (one.finding_id,)) for one in findings
    )
    positive = tuple(one for one in sentences if one.text in (MASS_SENTENCE, OPACITY_SENTENCE))
    return Analysis(
        image=image,
        sight=Sight(ScopeOpinion(0.99, None, ViewPosition.PA, 0.01), (), {}, {}),
        findings=findings,
        report=GroundedReport(
            findings=sentences,
            impression=positive or (ReportSentence("None of the findings looked for.", ()),),
            not_assessed=NOT_ASSESSED,
            limits=("Hand-made for a test.",),
        ),
        rationales=_rationales(sheet, findings),
        masks=tuple(masks),
        withheld=(Withheld("laterality", "A finding was withheld: side conflict."),),
        models=(MODEL,),
        stage_seconds={},
    )


def _rationales(sheet: Sheet, findings: tuple[Finding, ...]) -> tuple[Rationale, ...]:
    lung = box_of(organs(sheet)[MaskName.RIGHT_LUNG])
    boxes = [box for one in findings for box in one.boxes]
    return (
        Rationale(
            "lungs",
            (
                TextStep("The lungs are looked at from top to bottom."),
                VisualStep(lung, "the right lung", (AnatomicStructure.RIGHT_LUNG,)),
                *(VisualStep(box, "a rounded density") for box in boxes),
            ),
        ),
        Rationale("conclusion", (TextStep("The words above follow from these regions."),)),
    )


ALL_FINDINGS = (OPACITY_FINDING, HEART_FINDING, EFFUSION_FINDING)


def source_of(sheet: Sheet, seed: str = "film-1", **changed: Any) -> Dataset:
    """Return a CR film of the sheet with its pixels; ``changed`` go to the description."""
    pixels = (picture(sheet) * 65535).astype(np.uint16)
    description = film.FilmDescription(
        seed=seed,
        pixel_spacing_mm=sheet.spacing_mm,
        imager_pixel_spacing_mm=None,
        patient_orientation=sheet.orientation,
        accession_number="A-17",
        study_description="Chest PA",
    )
    return film.from_pixels(pixels, replace(description, **changed))


def draft_of(
    sheet: Sheet | None = None,
    findings: tuple[Finding, ...] | None = None,
    source: Dataset | None = None,
) -> FilmDraft:
    """Return a draft; by default of a film with a mass, an opacity, a ratio and a negative."""
    sheet = sheet or Sheet()
    source = source if source is not None else source_of(sheet)
    findings = (mass_finding(sheet), *ALL_FINDINGS) if findings is None else findings
    return FilmDraft(
        source=source,
        transfer_syntax_uid=str(source.file_meta.TransferSyntaxUID),
        analysis=analysis_of(sheet, findings, str(source.SOPInstanceUID)),
        remarks=("view as the header states",),
    )


CONTEXT = ResultContext(
    job_id=JOB,
    revision=1,
    produced_at=NOW,
    kinds=tuple(ResultKind),
    profile=DestinationProfile(),
    rejected=(),
    banner=("Demonstration network: not for clinical use.",),
    predecessors=(),
    software_version="0.1.0",
)


def with_analysis(draft: FilmDraft, **changed: Any) -> FilmDraft:
    """Return the draft with other parts of its analysis."""
    return replace(draft, analysis=replace(draft.analysis, **changed))


def with_image(draft: FilmDraft, **changed: Any) -> FilmDraft:
    """Return the draft with other properties of its picture."""
    return with_analysis(draft, image=replace(draft.analysis.image, **changed))
