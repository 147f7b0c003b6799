"""Pictures of what was looked at: RGB Secondary Capture, one series, for viewers of any kind.

First an overview of each film with its boxes and masks drawn, then the crop of every visual step
of the rationale, at most 512 pixels, each with "AI DRAFT, not verified" burned in.

Burned In Annotation (0028,0301) asks whether a picture identifies the patient, not whether it has
writing on it. Our writing does not; the film's own pixels may, so the film's answer is kept.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from highdicom.sc import SCImage
from PIL import Image, ImageDraw
from pydicom import Dataset
from pydicom.uid import JPEG2000Lossless

from dicom import codes, envelope, uids
from dicom.sr.film import StepKey
from dicom.sr.items import DRAFT_LINE
from dicom.values import ResultKind
from dicom.words import shortened
from models.canvas import letters
from models.pictures import overlay
from models.rationale.crops import crop
from models.values import VisualStep

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from dicom.drafts import FilmDraft, ResultContext
    from dicom.values import InstanceRef, ResultInstance
    from models.values import PixelBox

CROP_SIZES_PX: Final = (512, 384, 256)
"""Longest side of a crop; the smaller ones are tried when the set would outgrow the film."""
OVERVIEW_FACTOR: Final = 2
OVERVIEW_PX: Final = CROP_SIZES_PX[0] * OVERVIEW_FACTOR
"""Longest side of an overview, unless the set would outgrow the film."""
NOTE_LEFT_OUT: Final = (
    "Pictures were left out: the result set would have been larger than the film."
)
ST_MAX: Final = 1024
SMALLEST_SIDE_PX: Final = 40
MARGIN_PX: Final = 5
TEXT_PX: Final = (11, 20)
AMBER: Final = (255, 210, 80)


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture to be made: of which film, which step (None for the overview), and of what."""

    film: int
    step: StepKey | None
    caption: str
    box: "PixelBox | None" = None


@dataclass(frozen=True, slots=True)
class Booklet:
    """The pictures of a study, and which of them shows which step."""

    instances: "tuple[ResultInstance, ...]" = ()
    by_step: "Mapping[StepKey, InstanceRef]" = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def build(drafts: "Sequence[FilmDraft]", context: "ResultContext", room_bytes: int) -> Booklet:
    """Return the pictures of all films, in at most ``room_bytes``; none where not asked for."""
    if not context.makes(ResultKind.PICTURES):
        return Booklet()
    planned = tuple(plan(drafts))
    for size in CROP_SIZES_PX:
        made = _instances(planned, size, room_bytes, (drafts, context))
        if made is not None:
            pairs = zip(planned, made, strict=True)
            by_step = {picture.step: one.ref for picture, one in pairs if picture.step}
            return Booklet(made, by_step)
    return Booklet(notes=(NOTE_LEFT_OUT,))


def _instances(
    planned: "Sequence[Picture]",
    size_px: int,
    room_bytes: int,
    study: "tuple[Sequence[FilmDraft], ResultContext]",
) -> "tuple[ResultInstance, ...] | None":
    """Return all pictures at a size; None, and no more work, as soon as they need more room."""
    made: list[ResultInstance] = []
    for number, picture in enumerate(planned, start=1):
        made.append(_instance(picture, number, size_px, study))
        room_bytes -= len(made[-1].content)
        if room_bytes < 0:
            return None
    return tuple(made)


def plan(drafts: "Sequence[FilmDraft]") -> "Iterator[Picture]":
    """Yield which pictures a study gets, in the order of their Instance Numbers."""
    for film, draft in enumerate(drafts):
        yield Picture(film, None, "Overview of what was found")
        for number, rationale in enumerate(draft.analysis.rationales):
            for position, step in enumerate(rationale.steps):
                if isinstance(step, VisualStep):
                    key = StepKey(film, number, position)
                    yield Picture(film, key, f"{rationale.group}: {step.caption}", step.box)


def _instance(
    picture: Picture,
    number: int,
    size_px: int,
    study: "tuple[Sequence[FilmDraft], ResultContext]",
) -> "ResultInstance":
    drafts, context = study
    draft = drafts[picture.film]
    kind = ResultKind.PICTURES
    film = envelope.stand_in(draft)
    ds = SCImage(
        pixel_array=_pixels(draft, picture, size_px),
        photometric_interpretation="YBR_RCT",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "F"),
        study_instance_uid=film.StudyInstanceUID,
        series_instance_uid=uids.for_series(context.job_id, kind),
        series_number=envelope.series_number(kind, context.revision),
        sop_instance_uid=uids.for_result(context.job_id, kind, number),
        instance_number=number,
        manufacturer=envelope.MANUFACTURER,
        transfer_syntax_uid=JPEG2000Lossless,
    )
    _describe(ds, draft, picture)
    envelope.close(ds, [draft], context, kind)
    ds.DateOfSecondaryCapture, ds.TimeOfSecondaryCapture = ds.ContentDate, ds.ContentTime
    return envelope.encode(ds, kind)


def _describe(ds: Dataset, draft: "FilmDraft", picture: Picture) -> None:
    source = draft.source
    # A crop lies as the film lies; unknown stays unknown (type 2C, PS3.3 C.7.6.1.1.1).
    ds.PatientOrientation = list(source.get("PatientOrientation") or ()) or None
    ds.BodyPartExamined = "CHEST"
    ds.DerivationDescription = shortened(f"{DRAFT_LINE}. {picture.caption}", ST_MAX)
    item = Dataset()
    item.ReferencedSOPClassUID = uids.checked(source.get("SOPClassUID"))
    item.ReferencedSOPInstanceUID = uids.checked(source.get("SOPInstanceUID"))
    item.PurposeOfReferenceCodeSequence = [envelope.code_item(codes.SOURCE_OF_PICTURE)]
    ds.SourceImageSequence = [item]
    for keyword in ("BurnedInAnnotation", "RecognizableVisualFeatures"):
        if source.get(keyword):
            setattr(ds, keyword, str(source[keyword].value))
    # Once lossy, always lossy (PS3.3 C.7.6.1.1.5), also for what is derived from it.
    if str(source.get("LossyImageCompression") or "") == "01":
        for keyword in (
            "LossyImageCompression",
            "LossyImageCompressionRatio",
            "LossyImageCompressionMethod",
        ):
            if keyword in source:
                setattr(ds, keyword, source[keyword].value)


def _pixels(draft: "FilmDraft", picture: Picture, size_px: int) -> "NDArray[np.uint8]":
    """Return one picture, ``(rows, columns, 3)`` uint8; both kinds say what they are."""
    image = draft.analysis.image
    if picture.box is None:
        overview_px = size_px * OVERVIEW_FACTOR
        if draft.overview is not None and overview_px == OVERVIEW_PX:
            return draft.overview
        return overlay(draft.analysis, overview_px)
    return stamped(_coloured(crop(image, picture.box, size_px)))


def _coloured(grey: "NDArray[np.uint8]") -> "NDArray[np.uint8]":
    return np.repeat(grey[..., None], 3, axis=2)


def stamped(pixels: "NDArray[np.uint8]") -> "NDArray[np.uint8]":
    """Return the picture over a dark band that says "AI DRAFT, not verified"."""
    height, width = pixels.shape[:2]
    text_px = max(TEXT_PX[0], min(TEXT_PX[1], width // 18))
    font = letters(text_px)
    # However narrow the crop, the words must fit; JPEG 2000 needs a few pixels of its own.
    sheet_width = max(width, int(font.getlength(DRAFT_LINE)) + 2 * MARGIN_PX)
    sheet_height = max(height + text_px + 2 * MARGIN_PX, SMALLEST_SIDE_PX)
    sheet = Image.new("RGB", (sheet_width, sheet_height))
    sheet.paste(Image.fromarray(pixels), (0, 0))
    place = (MARGIN_PX, sheet_height - text_px - MARGIN_PX)
    ImageDraw.Draw(sheet).text(place, DRAFT_LINE, fill=AMBER, font=font)
    return np.array(sheet)
