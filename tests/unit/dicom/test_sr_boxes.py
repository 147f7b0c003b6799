from dataclasses import replace
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from draft_builders import (
    CONTEXT,
    EFFUSION_FINDING,
    HEART_FINDING,
    JOB,
    MASS_SENTENCE,
    OPACITY_FINDING,
    Sheet,
    draft_of,
    mass_finding,
    source_of,
)
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from validators import dciodvfy, dsrdump, has_dsrdump

from dicom import uids
from dicom.profile import BOX_SR_SOP_CLASSES, DestinationProfile, SrFlavour
from dicom.sr import boxes
from dicom.values import ResultInstance
from models.values import Finding, PixelBox
from models.vocabulary import Presence

MASS = mass_finding(Sheet())


def built(*findings: Finding, sheet: Sheet | None = None) -> ResultInstance:
    made = boxes.build([draft_of(sheet, findings=findings)], CONTEXT)
    assert made is not None
    return made


def groups_of(made: ResultInstance) -> list[Dataset]:
    root = dcmread(BytesIO(made.content))
    (measurements,) = (one for one in root.ContentSequence if named(one, "126010"))
    return [one for one in measurements.ContentSequence if named(one, "125007")]


def named(item: Dataset, value: str) -> bool:
    return bool(item.ConceptNameCodeSequence[0].CodeValue == value)


def child(group: Dataset, value: str) -> Dataset:
    found: Dataset = next(one for one in group.ContentSequence if named(one, value))
    return found


def box_in(group: Dataset) -> PixelBox:
    points = np.reshape(child(group, "111030").GraphicData, (-1, 2))
    (x_min, y_min), (x_max, y_max) = points.min(axis=0), points.max(axis=0)
    return PixelBox(float(x_min), float(y_min), float(x_max), float(y_max))


@given(
    st.tuples(
        st.floats(0, 4000, width=32),
        st.floats(0, 4000, width=32),
        st.floats(0.5, 4000, width=32),
        st.floats(0.5, 4000, width=32),
    )
)
def test_a_rectangle_is_closed_clockwise_and_holds_its_box(
    at: tuple[float, float, float, float],
) -> None:
    x, y, width, height = at
    box = PixelBox(x, y, x + width, y + height)
    points = boxes.rectangle(box)
    assert points.shape == (5, 2)
    assert np.array_equal(points[0], points[4])
    read = (*points.min(axis=0), *points.max(axis=0))
    assert np.allclose(read, (box.x_min, box.y_min, box.x_max, box.y_max), rtol=1e-6)
    sides = np.diff(points, axis=0)
    assert all(a[0] * b[1] - a[1] * b[0] > 0 for a, b in pairwise(sides))


@pytest.mark.parametrize("orientation", [("L", "F"), ("R", "F"), None])
def test_boxes_come_back_in_stored_pixels(orientation: tuple[str, str] | None) -> None:
    sheet = Sheet(orientation=orientation)
    (group,) = groups_of(built(mass_finding(sheet), sheet=sheet))
    assert box_in(group) == mass_finding(sheet).boxes[0]


def test_a_group_is_what_viewers_were_seen_to_draw() -> None:
    (group,) = groups_of(built(MASS))
    region = child(group, "111030")
    assert (region.ValueType, region.GraphicType) == ("SCOORD", "POLYLINE")
    assert len(region.GraphicData) == 10
    source = region.ContentSequence[0]
    assert source.RelationshipType == "SELECTED FROM"
    film = source.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    assert film == draft_of().source.SOPInstanceUID
    assert child(group, "121106").TextValue == f"AI DRAFT: {MASS_SENTENCE}"
    sites = [one for one in group.ContentSequence if named(one, "363698007")]
    assert sites[0].ConceptCodeSequence[0].CodeMeaning == "Right mid lung zone"
    assert uids.for_tracking(JOB, film, "F1") == child(group, "112040").UID


def test_there_is_no_number_in_any_group() -> None:
    for group in groups_of(built(MASS, HEART_FINDING)):
        assert "NUM" not in {one.ValueType for one in group.ContentSequence}


def test_only_what_is_localised_and_not_negative_is_drawn() -> None:
    negative = replace(MASS, finding_id="N1", presence=Presence.ABSENT)
    assert len(groups_of(built(MASS, OPACITY_FINDING, negative))) == 1
    assert boxes.build([draft_of(findings=(OPACITY_FINDING, EFFUSION_FINDING))], CONTEXT) is None


def test_an_uncertain_box_is_drawn_too() -> None:
    (group,) = groups_of(built(replace(MASS, presence=Presence.UNCERTAIN)))
    assert box_in(group) == MASS.boxes[0]


def test_a_finding_in_two_places_has_two_groups_that_viewers_keep_apart() -> None:
    second = PixelBox(50, 50, 60, 70)
    first, other = groups_of(built(replace(MASS, boxes=(*MASS.boxes, second))))
    assert [box_in(first), box_in(other)] == [MASS.boxes[0], second]
    assert child(first, "112040").UID != child(other, "112040").UID
    assert child(other, "112039").TextValue == "F1 mass or nodule (2 of 2)"


def test_a_finding_without_a_sentence_still_says_what_it_is() -> None:
    draft = draft_of(findings=(MASS,))
    assert boxes.sentence_of(draft.analysis, replace(MASS, finding_id="F7")) == (
        "mass or nodule, present"
    )


@pytest.mark.parametrize("flavour", SrFlavour)
def test_every_flavour_is_clean_in_dciodvfy_and_dsrdump(flavour: SrFlavour, tmp_path: Path) -> None:
    context = replace(CONTEXT, profile=DestinationProfile(boxes=flavour))
    made = boxes.build([draft_of()], context)
    assert made is not None
    assert made.ref.sop_class_uid == BOX_SR_SOP_CLASSES[flavour]
    assert [one for one in dciodvfy(made.content, tmp_path) if "Study ID" not in one] == []
    if has_dsrdump():
        assert f"AI DRAFT: {MASS_SENTENCE}" in dsrdump(made.content, tmp_path)


def test_no_flavour_no_object() -> None:
    context = replace(CONTEXT, profile=DestinationProfile(boxes=None))
    assert boxes.build([draft_of()], context) is None


def test_one_document_holds_the_boxes_of_all_films() -> None:
    second = draft_of(source=source_of(Sheet(), seed="film-2", study="film-1"))
    made = boxes.build([draft_of(), second], CONTEXT)
    assert made is not None
    films = [
        child(group, "111030").ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        for group in groups_of(made)
    ]
    assert films == [draft_of().source.SOPInstanceUID, second.source.SOPInstanceUID]
    evidence = dcmread(BytesIO(made.content)).CurrentRequestedProcedureEvidenceSequence
    series = [one for study in evidence for one in study.ReferencedSeriesSequence]
    listed = {one.ReferencedSOPInstanceUID for row in series for one in row.ReferencedSOPSequence}
    assert listed == set(films)


def test_it_is_a_draft_in_every_flag() -> None:
    ds = dcmread(BytesIO(built(MASS).content))
    flags = (ds.CompletionFlag, ds.VerificationFlag, ds.PreliminaryFlag)
    assert flags == ("COMPLETE", "UNVERIFIED", "PRELIMINARY")
    assert ds.SeriesDescription == "AI DRAFT boxes r1, not verified (DEMO)"
