from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from draft_builders import (
    CONTEXT,
    JOB,
    OPACITY_FINDING,
    Sheet,
    draft_of,
    organs,
    source_of,
    with_analysis,
    with_image,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pydicom import Dataset, dcmread
from validators import dciodvfy

from dicom import film, seg, uids
from dicom.errors import EncodingFailed
from dicom.values import ResultInstance, ResultKind
from models.values import FindingMask
from models.vocabulary import MaskName, SpacingSource

SHEETS = {
    "usual": Sheet(),
    "mirrored": Sheet(orientation=("R", "F")),
    "no orientation": Sheet(orientation=None),
    "no spacing": Sheet(spacing_mm=None),
    "odd size": Sheet(rows=67, columns=53),
}


def built(sheet: Sheet, kind: ResultKind) -> ResultInstance:
    made = seg.build([draft_of(sheet)], 0, kind, CONTEXT)
    assert made is not None
    return made


def masks_in(made: ResultInstance) -> dict[str, "np.ndarray[tuple[int, int], np.dtype[np.bool_]]"]:
    """Return the masks by segment label, as a reader of the file finds them."""
    ds = dcmread(BytesIO(made.content))
    frames = ds.pixel_array.reshape(-1, ds.Rows, ds.Columns)
    labels = {one.SegmentNumber: one.SegmentLabel for one in ds.SegmentSequence}
    # What all frames share (with one frame: all of it) is said once.
    said = [
        one if "SegmentIdentificationSequence" in one else ds.SharedFunctionalGroupsSequence[0]
        for one in ds.PerFrameFunctionalGroupsSequence
    ]
    numbers = [one.SegmentIdentificationSequence[0].ReferencedSegmentNumber for one in said]
    return {labels[number]: frame > 0 for number, frame in zip(numbers, frames, strict=True)}


@pytest.mark.parametrize("sheet", SHEETS.values(), ids=SHEETS)
def test_masks_come_back_bit_for_bit(sheet: Sheet) -> None:
    draft = draft_of(sheet)
    read = masks_in(built(sheet, ResultKind.ANATOMY_SEG)) | masks_in(
        built(sheet, ResultKind.FINDING_SEG)
    )
    assert len(read) == 4
    for one in draft.analysis.masks:
        label = f"{one.finding_id} {one.label}" if one.finding_id else one.label
        assert np.array_equal(read[label], one.mask)


@settings(max_examples=15, deadline=None)
@given(
    arrays.arrays(
        np.bool_,
        st.tuples(st.integers(2, 4), st.integers(8, 33), st.integers(8, 33)),
        elements=st.booleans(),
    ).filter(lambda stack: bool(stack.any(axis=(1, 2)).all()))
)
def test_any_masks_come_back_bit_for_bit_even_when_they_overlap(
    stack: "np.ndarray[tuple[int, int, int], np.dtype[np.bool_]]",
) -> None:
    names = list(organs(Sheet()))
    sheet = Sheet(rows=stack.shape[1], columns=stack.shape[2])
    masks = tuple(
        FindingMask(mask, str(number), organ=names[number % 3])
        for number, mask in enumerate(stack, start=1)
    )
    draft = with_analysis(draft_of(sheet, findings=()), masks=masks)
    made = seg.build([draft], 0, ResultKind.ANATOMY_SEG, CONTEXT)
    assert made is not None
    read = masks_in(made)
    assert all(np.array_equal(read[str(number)], mask) for number, mask in enumerate(stack, 1))


@pytest.mark.parametrize("sheet", SHEETS.values(), ids=SHEETS)
@pytest.mark.parametrize("kind", [ResultKind.ANATOMY_SEG, ResultKind.FINDING_SEG])
def test_dciodvfy_finds_nothing(sheet: Sheet, kind: ResultKind, tmp_path: Path) -> None:
    found = dciodvfy(built(sheet, kind).content, tmp_path)
    # An orientation that the film does not tell cannot be told by its mask either.
    allowed = [] if sheet.orientation else [one for one in found if "Patient Orientation" in one]
    about_study_id = [one for one in found if "Study ID" in one]
    assert [one for one in found if one not in (*allowed, *about_study_id)] == []


def shared(ds: Dataset) -> Dataset:
    groups: Dataset = ds.SharedFunctionalGroupsSequence[0]
    return groups


@pytest.mark.parametrize("sheet", SHEETS.values(), ids=SHEETS)
def test_every_repair_a_viewer_needs_is_there(sheet: Sheet) -> None:
    ds = dcmread(BytesIO(built(sheet, ResultKind.ANATOMY_SEG).content))
    assert (ds.Rows, ds.Columns) == (sheet.rows, sheet.columns)
    plane = shared(ds).PlaneOrientationSequence[0]
    assert list(plane.ImageOrientationPatient) == [1, 0, 0, 0, 1, 0]
    measures = shared(ds).PixelMeasuresSequence[0]
    assert list(measures.PixelSpacing) == list(sheet.spacing_mm or (1, 1))
    assert "FrameOfReferenceUID" not in ds
    assert all(len(one.RecommendedDisplayCIELabValue) == 3 for one in ds.SegmentSequence)
    source = shared(ds).get("DerivationImageSequence") or (
        ds.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence
    )
    assert source[0].SourceImageSequence[0].ReferencedSOPInstanceUID == str(
        source_of(sheet).SOPInstanceUID
    )


def test_the_orientation_is_the_films_own() -> None:
    ds = dcmread(BytesIO(built(SHEETS["mirrored"], ResultKind.FINDING_SEG).content))
    assert list(ds.PatientOrientation) == ["R", "F"]


def test_a_placeholder_is_never_passed_off_as_known() -> None:
    known = seg.declared_repairs(draft_of(Sheet()))
    unknown = seg.declared_repairs(draft_of(Sheet(spacing_mm=None)))
    assert "placeholder" in known
    assert "spacing" not in known
    assert "Pixel spacing of the film is unknown: 1 by 1 is a placeholder." in unknown
    ds = dcmread(BytesIO(built(SHEETS["no spacing"], ResultKind.ANATOMY_SEG).content))
    assert {one.SegmentDescription for one in ds.SegmentSequence} == {unknown}


def test_the_spacing_of_the_detector_plane_is_said_to_be_that() -> None:
    draft = with_image(draft_of(), spacing_source=SpacingSource.IMAGER_PIXEL_SPACING)
    assert "detector plane" in seg.declared_repairs(draft)


def test_a_film_with_a_frame_of_reference_gets_the_same_masks() -> None:
    source = source_of(Sheet())
    source.FrameOfReferenceUID = uids.for_film("frame", "frame")
    with_frame = seg.build([draft_of(source=source)], 0, ResultKind.ANATOMY_SEG, CONTEXT)
    assert with_frame == built(Sheet(), ResultKind.ANATOMY_SEG)


def test_a_segment_says_what_where_and_by_what() -> None:
    ds = dcmread(BytesIO(built(Sheet(), ResultKind.FINDING_SEG).content))
    (segment,) = ds.SegmentSequence
    assert segment.SegmentLabel == "F1 Mass or nodule, right mid lung zone"
    assert segment.SegmentAlgorithmType == "AUTOMATIC"
    algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
    assert algorithm.AlgorithmName == "anatomy-hand-made"
    assert "ab" * 32 in algorithm.AlgorithmParameters
    assert segment.AnatomicRegionSequence[0].CodeMeaning == "Right mid lung zone"
    film_uid = str(draft_of().source.SOPInstanceUID)
    assert segment.TrackingUID == uids.for_tracking(JOB, film_uid, "F1")


def test_sides_are_coded_as_modifiers_inside_the_type() -> None:
    ds = dcmread(BytesIO(built(Sheet(), ResultKind.ANATOMY_SEG).content))
    types = [one.SegmentedPropertyTypeCodeSequence[0] for one in ds.SegmentSequence]
    sides = [
        [side.CodeMeaning for side in one.get("SegmentedPropertyTypeModifierCodeSequence", [])]
        for one in types
    ]
    assert [one.CodeMeaning for one in types] == ["Lung", "Lung", "Heart"]
    assert sides == [["Right"], ["Left"], []]


def test_there_is_no_object_without_a_mask() -> None:
    draft = draft_of(findings=(OPACITY_FINDING,))
    assert seg.build([draft], 0, ResultKind.FINDING_SEG, CONTEXT) is None
    empty = FindingMask(np.zeros((96, 80), bool), "Heart", organ=MaskName.HEART)
    without = with_analysis(draft, masks=(empty,))
    assert seg.build([without], 0, ResultKind.ANATOMY_SEG, CONTEXT) is None


def test_a_mask_of_another_size_is_refused() -> None:
    other = FindingMask(np.ones((10, 10), bool), "Heart", organ=MaskName.HEART)
    with pytest.raises(EncodingFailed, match="size"):
        seg.build([with_analysis(draft_of(), masks=(other,))], 0, ResultKind.ANATOMY_SEG, CONTEXT)


def test_a_mask_of_nothing_known_is_refused() -> None:
    stray = FindingMask(np.ones((96, 80), bool), "Mass", finding_id="F9")
    with pytest.raises(EncodingFailed, match="does not exist"):
        seg.build([with_analysis(draft_of(), masks=(stray,))], 0, ResultKind.FINDING_SEG, CONTEXT)


def test_an_analysis_of_another_film_is_refused() -> None:
    draft = draft_of(Sheet(), source=source_of(Sheet(rows=50)))
    with pytest.raises(EncodingFailed, match="size"):
        seg.build([draft], 0, ResultKind.ANATOMY_SEG, CONTEXT)


def test_each_film_has_its_own_object_in_one_series() -> None:
    second = draft_of(source=source_of(Sheet(), seed="film-2", study="film-1"))
    drafts = [draft_of(), second]
    made = [seg.build(drafts, index, ResultKind.ANATOMY_SEG, CONTEXT) for index in (0, 1)]
    assert [one.number for one in made if one] == [1, 2]
    assert len({one.ref.series_instance_uid for one in made if one}) == 1
    assert len({one.ref.sop_instance_uid for one in made if one}) == 2


def test_a_lossy_film_has_masks_that_say_so() -> None:
    source = source_of(Sheet())
    source.LossyImageCompression, source.LossyImageCompressionRatio = "01", "10"
    source.LossyImageCompressionMethod = "ISO_10918_1"
    made = seg.build([draft_of(source=source)], 0, ResultKind.ANATOMY_SEG, CONTEXT)
    assert made is not None
    assert dcmread(BytesIO(made.content)).LossyImageCompression == "01"
    assert film.encode(source)
