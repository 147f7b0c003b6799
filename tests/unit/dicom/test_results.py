from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path
from uuid import UUID

import pytest
from draft_builders import (
    ALL_FINDINGS,
    CONTEXT,
    EFFUSION_FINDING,
    JOB,
    MODEL,
    NOW,
    OPACITY_FINDING,
    Sheet,
    draft_of,
    mass_finding,
    source_of,
    with_analysis,
)
from pydicom import dcmread
from validators import errors

from dicom import codes, quiet, results, uids
from dicom.drafts import FilmDraft, use_of
from dicom.errors import EncodingFailed
from dicom.profile import DestinationProfile, SrFlavour
from dicom.values import ResultInstance, ResultKind
from models import pipeline
from models.fakes import FakeEye, Planted
from models.values import Analysis
from models.vocabulary import AnatomicStructure, BundleUse, Observation

SHEET = Sheet(rows=440, columns=400)
MASS = mass_finding(SHEET)
A, F, P, B, T = ResultKind


def second_film() -> FilmDraft:
    return draft_of(SHEET, source=source_of(SHEET, seed="film-2", study="film-1"))


def zero_spacing() -> FilmDraft:
    sheet = replace(SHEET, spacing_mm=None)
    source = source_of(sheet)
    source.PixelSpacing = [0, 0]
    return draft_of(sheet, source=source)


CASES = {
    # What docs/results.md says in its table of which objects exist.
    "a normal film": ((draft_of(SHEET, (EFFUSION_FINDING,)),), (A, P, T)),
    "an image-level finding only": ((draft_of(SHEET, (OPACITY_FINDING,)),), (A, P, T)),
    "a localised finding": ((draft_of(SHEET, (MASS, *ALL_FINDINGS)),), (A, F, P, B, T)),
    "a PARTIAL draft without masks": (
        (with_analysis(draft_of(SHEET, (MASS,)), masks=(), partial_reason="no masks"),),
        (P, B, T),
    ),
    "two films": ((draft_of(SHEET), second_film()), (A, A, F, F, P, B, T)),
    "a film R/F": ((draft_of(replace(SHEET, orientation=("R", "F"))),), (A, F, P, B, T)),
    "a film without spacing": ((draft_of(replace(SHEET, spacing_mm=None)),), (A, F, P, B, T)),
    "a film with spacing 0/0": ((zero_spacing(),), (A, F, P, B, T)),
}


@cache
def made_for(case: str) -> tuple[ResultInstance, ...]:
    """Return the result set of one case; made once."""
    return results.build(CASES[case][0], CONTEXT)


@cache
def usual() -> tuple[ResultInstance, ...]:
    """Return the result set of a film with a mass."""
    return results.build([draft_of(SHEET)], CONTEXT)


def kinds_of(made: tuple[ResultInstance, ...]) -> tuple[ResultKind, ...]:
    """Return the kinds in order; the pictures of a set count once."""
    kinds = [one.kind for one in made]
    return tuple(kind for at, kind in enumerate(kinds) if kind is not P or P not in kinds[:at])


@pytest.mark.parametrize("case", CASES)
def test_which_objects_exist_and_in_which_order(case: str) -> None:
    assert kinds_of(made_for(case)) == CASES[case][1]


@pytest.mark.parametrize("case", CASES)
def test_no_object_of_any_set_has_an_error(case: str, tmp_path: Path) -> None:
    for one in made_for(case):
        assert errors(one.content, tmp_path) == [], one.kind


@pytest.mark.parametrize("case", CASES)
def test_no_set_is_larger_than_its_films(case: str) -> None:
    films = 2 * SHEET.rows * SHEET.columns * len(CASES[case][0])
    assert sum(len(one.content) for one in made_for(case)) <= films


def test_the_same_input_makes_the_same_bytes() -> None:
    assert results.build([draft_of(SHEET)], CONTEXT) == usual()


def test_a_replay_makes_other_objects() -> None:
    first = usual()
    again = results.build([draft_of(SHEET)], replace(CONTEXT, job_id=UUID(int=9)))
    known = {one.ref.sop_instance_uid for one in first}
    assert known.isdisjoint(one.ref.sop_instance_uid for one in again)


def test_the_files_are_what_their_references_say() -> None:
    for one in usual():
        ds = dcmread(BytesIO(one.content))
        assert ds.SOPInstanceUID == one.ref.sop_instance_uid
        assert ds.SOPInstanceUID == uids.for_result(JOB, one.kind, one.number)
        assert ds.SeriesInstanceUID == one.ref.series_instance_uid
        assert ds.SOPClassUID == ds.file_meta.MediaStorageSOPClassUID == one.ref.sop_class_uid
        assert ds.StudyInstanceUID == one.ref.study_instance_uid
        assert ds.file_meta.TransferSyntaxUID == one.transfer_syntax_uid
        assert str(ds.file_meta.ImplementationClassUID) == uids.IMPLEMENTATION_CLASS_UID


def test_every_series_says_draft_first_then_what_it_is() -> None:
    said = {one.kind: dcmread(BytesIO(one.content)) for one in usual()}
    for kind, ds in said.items():
        assert ds.SeriesDescription == f"AI DRAFT {kind.value} r1, not verified (DEMO)"
    assert [said[kind].SeriesNumber for kind in (T, B, F, A, P)] == [9001, 9002, 9003, 9004, 9005]


def test_the_next_revision_has_series_numbers_of_its_own() -> None:
    made = results.build([draft_of(SHEET)], replace(CONTEXT, revision=3))
    assert {dcmread(BytesIO(one.content)).SeriesNumber for one in made} == set(range(9021, 9026))


def test_every_object_names_the_network_and_when_it_worked() -> None:
    for one in usual():
        ds = dcmread(BytesIO(one.content))
        (network,) = ds.ContributingEquipmentSequence
        assert network.ManufacturerModelName == MODEL.name
        assert MODEL.weights_sha256 in network.ContributionDescription
        assert network.ContributionDateTime == f"{NOW:%Y%m%d%H%M%S}+0000"
        assert (ds.InstanceCreationDate, ds.InstanceCreationTime) == ("20261121", "230509")


def test_mask_and_box_of_a_finding_share_their_tracking_uid() -> None:
    made = {one.kind: one for one in usual()}
    tracked = dcmread(BytesIO(made[F].content)).SegmentSequence[0].TrackingUID
    assert tracked.encode() in made[B].content
    assert tracked.encode() in made[T].content


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        (DestinationProfile(boxes=None), (A, F, P, T)),
        (DestinationProfile(seg=False), (P, B, T)),
        (DestinationProfile(pictures=False), (A, F, B, T)),
        (DestinationProfile(None, seg=False, pictures=False), (T,)),
    ],
)
def test_what_an_archive_does_not_take_is_not_made(
    profile: DestinationProfile, expected: tuple[ResultKind, ...]
) -> None:
    made = results.build([draft_of(SHEET)], replace(CONTEXT, profile=profile))
    assert kinds_of(made) == expected


def test_what_a_site_does_not_want_is_not_made() -> None:
    made = results.build([draft_of(SHEET)], replace(CONTEXT, kinds=(B, T)))
    assert kinds_of(made) == (B, T)


def test_two_findings_have_two_segments_in_one_object() -> None:
    other = replace(MASS, finding_id="F9", observation=MASS.observation)
    draft = draft_of(SHEET, (MASS,))
    masks = (
        *draft.analysis.masks,
        replace(draft.analysis.masks[-1], finding_id="F9", label="Second"),
    )
    both = with_analysis(draft, findings=(MASS, other), masks=masks)
    made = {one.kind: one for one in results.build([both], CONTEXT)}
    assert len(dcmread(BytesIO(made[F].content)).SegmentSequence) == 2


def test_the_flavour_of_an_archive_is_used() -> None:
    profile = DestinationProfile(boxes=SrFlavour.ENHANCED)
    made = results.build([draft_of(SHEET)], replace(CONTEXT, profile=profile))
    assert next(one for one in made if one.kind is B).ref.sop_class_uid.endswith("88.22")


EYES = {
    "nothing": FakeEye(),
    "everything": FakeEye(
        planted=(
            Planted(Observation.MASS),
            Planted(Observation.PLEURAL_EFFUSION, (0.7, 0.7)),
            Planted(Observation.LUNG_OPACITY, (0.7, 0.3), radius=None),
        ),
        cardiothoracic_ratio=0.6,
    ),
    "in doubt about the sides": FakeEye(mirrored=0.98, planted=(Planted(Observation.MASS),)),
    "without lungs": FakeEye(unseen=frozenset({AnatomicStructure.LEFT_LUNG})),
}


@pytest.mark.parametrize("eye", EYES.values(), ids=EYES)
def test_whatever_the_pipeline_says_can_be_encoded_and_is_all_there(
    eye: FakeEye, tmp_path: Path
) -> None:
    draft = draft_of(SHEET)
    analysis = pipeline.analyse(draft.analysis.image, eye)
    assert isinstance(analysis, Analysis)
    made = results.build([replace(draft, analysis=analysis)], CONTEXT)
    assert [one.kind for one in made if errors(one.content, tmp_path)] == []
    text = made[-1].content.decode("ascii", errors="replace")
    assert all(one.text in text for one in analysis.report.findings)
    assert all(one.line in text for one in analysis.withheld)
    assert (B in kinds_of(made)) == any(one.boxes for one in analysis.findings)
    groups = {one.group for one in analysis.rationales}
    assert groups <= set(codes.RATIONALE_GROUPS)


def test_no_film_is_an_error() -> None:
    with pytest.raises(EncodingFailed, match="no film"):
        results.build([], CONTEXT)


def test_films_of_two_studies_are_never_mixed() -> None:
    other = draft_of(SHEET, source=source_of(SHEET, seed="another"))
    with pytest.raises(EncodingFailed, match="several studies"):
        results.build([draft_of(SHEET), other], CONTEXT)


def test_a_film_with_an_illegal_uid_ends_in_an_error_without_its_value() -> None:
    source = source_of(SHEET)
    with quiet.reading():
        source.SeriesInstanceUID = "../secret"
    with pytest.raises(EncodingFailed) as caught:
        results.build([draft_of(SHEET, source=source)], CONTEXT)
    assert "secret" not in str(caught.value)


def test_the_most_restricted_network_decides_the_use() -> None:
    clinical = replace(MODEL, name="b", use=BundleUse.CLINICAL)
    both = with_analysis(draft_of(SHEET), models=(clinical, replace(MODEL, use=BundleUse.RESEARCH)))
    assert use_of([both]) is BundleUse.RESEARCH
    released = with_analysis(draft_of(SHEET), models=(clinical,))
    made = results.build([released], CONTEXT)
    described = {dcmread(BytesIO(one.content)).SeriesDescription for one in made}
    assert "AI DRAFT text r1, not verified" in described
