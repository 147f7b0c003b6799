from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from draft_builders import (
    CONTEXT,
    EFFUSION_SENTENCE,
    HEART_FINDING,
    HEART_SENTENCE,
    MASS_SENTENCE,
    MODEL,
    NOT_ASSESSED,
    OPACITY_SENTENCE,
    Sheet,
    draft_of,
    source_of,
    with_analysis,
)
from pydicom import Dataset, dcmread
from validators import dciodvfy, dsrdump, has_dsrdump

from dicom import results
from dicom.drafts import FilmDraft, ResultContext
from dicom.profile import BASIC_TEXT_SR, ENHANCED_SR, DestinationProfile, SrFlavour
from dicom.sr.film import measured_words
from dicom.values import InstanceRef, Rejected, ResultInstance, ResultKind
from models.values import Measurement

TEXT_ONLY = replace(CONTEXT, kinds=(ResultKind.TEXT_SR,))
WITH_PICTURES = Sheet(rows=400, columns=400)


def built(context: ResultContext = TEXT_ONLY, *drafts: FilmDraft) -> ResultInstance:
    return results.build(drafts or (draft_of(),), context)[-1]


def walk(item: Dataset) -> Iterator[Dataset]:
    yield item
    for one in item.get("ContentSequence", ()):
        yield from walk(one)


def read(made: ResultInstance) -> Dataset:
    ds: Dataset = dcmread(BytesIO(made.content))
    return ds


def lines_of(made: ResultInstance) -> list[str]:
    """Return every text of the tree, in order."""
    return [one.TextValue for one in walk(read(made)) if one.get("ValueType") == "TEXT"]


def heading(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeMeaning)


def section(made: ResultInstance, title: str) -> list[str]:
    """Return the texts of one section of the document."""
    found = next(
        one
        for one in walk(read(made))
        if one.get("ValueType") == "CONTAINER" and heading(one) == title
    )
    return [one.TextValue for one in walk(found) if one.get("ValueType") == "TEXT"]


def test_the_first_and_the_last_words_say_that_it_is_a_draft() -> None:
    content = [one for one in read(built()).ContentSequence if one.RelationshipType == "CONTAINS"]
    assert content[0].TextValue == content[-1].TextValue == "AI DRAFT, not verified"


def test_every_sentence_is_there_with_what_it_rests_on_negatives_too() -> None:
    said = section(built(), "Findings")
    assert said == [
        MASS_SENTENCE,
        "[rests on F1]",
        OPACITY_SENTENCE,
        "[rests on F2]",
        HEART_SENTENCE,
        "[rests on M1]",
        EFFUSION_SENTENCE,
        "[rests on N1]",
    ]


def test_every_sentence_is_headed_by_its_state() -> None:
    (findings,) = (one for one in read(built()).ContentSequence if heading(one) == "Findings")
    states = [heading(one) for one in findings.ContentSequence]
    assert states == ["Seen", "Uncertain", "Uncertain", "Not seen"]


def test_each_sentence_has_a_container_of_its_own() -> None:
    (findings,) = (one for one in read(built()).ContentSequence if heading(one) == "Findings")
    assert [one.ValueType for one in findings.ContentSequence] == ["CONTAINER"] * 4


def test_what_was_looked_for_names_regions_boxes_and_measurements_with_their_band() -> None:
    said = section(built(), "What was looked for, and where")
    assert said[0].startswith(
        "F1: mass or nodule: PRESENT; right mid lung zone, right lung; box at"
    )
    assert "not localised" in said[1]
    assert "cardiothoracic ratio 0.51, uncertainty 0.47 to 0.56" in said[2]
    assert said[3] == ("N1: pleural effusion: ABSENT; left costophrenic angle, left hemidiaphragm")


def test_the_measurement_is_also_a_number_for_machines() -> None:
    (number,) = (one for one in walk(read(built())) if one.get("ValueType") == "NUM")
    value = number.MeasuredValueSequence[0]
    assert float(value.NumericValue) == 0.514
    assert value.MeasurementUnitsCodeSequence[0].CodeValue == "{ratio}"


@pytest.mark.parametrize(
    ("measured", "words"),
    [
        (
            Measurement("width", 12.345, 11.0, 13.5, "mm"),
            "width 12.35 mm, uncertainty 11.00 to 13.50 mm",
        ),
        (Measurement("ratio", 0.5, 0.4, 0.6, "1"), "ratio 0.50, uncertainty 0.40 to 0.60"),
    ],
)
def test_no_number_is_said_without_its_band(measured: Measurement, words: str) -> None:
    assert measured_words(measured) == words


def test_the_reader_is_told_what_is_not_there() -> None:
    rejected = (Rejected("1.2.3", "LATERAL", "a lateral view"),)
    said = lines_of(built(replace(TEXT_ONLY, rejected=rejected)))
    for line in (
        NOT_ASSESSED,
        "Nothing was compared with earlier images.",
        "Not read: a lateral view (instance 1.2.3)",
        "A finding was withheld: side conflict. (check: laterality)",
        "Hand-made for a test.",
        "view as the header states",
        CONTEXT.banner[0],
    ):
        assert line in said


def test_silence_of_the_checks_is_said_too() -> None:
    draft = with_analysis(draft_of(), withheld=())
    assert section(built(TEXT_ONLY, draft), "Withheld by the safety checks") == [
        "Nothing was withheld."
    ]


def test_what_made_the_draft_is_named_with_its_hash_and_use() -> None:
    (network, software) = section(built(), "How this draft was made")
    assert MODEL.weights_sha256 in network
    assert "demonstration only, not for clinical use" in network
    assert str(CONTEXT.job_id) in software
    assert "2026-11-21 23:05:09 UTC" in software


def test_a_complete_draft_is_complete_but_never_final_or_verified() -> None:
    ds = read(built())
    flags = (ds.CompletionFlag, ds.VerificationFlag, ds.PreliminaryFlag)
    assert flags == ("COMPLETE", "UNVERIFIED", "PRELIMINARY")
    assert "VerifyingObserverSequence" not in ds


def test_a_partial_draft_says_so_and_why() -> None:
    draft = with_analysis(draft_of(), partial_reason="the masks failed: out of memory")
    made = built(TEXT_ONLY, draft)
    ds = read(made)
    assert ds.CompletionFlag == "PARTIAL"
    assert ds.CompletionFlagDescription == "the masks failed: out of memory"
    assert "This draft is PARTIAL: the masks failed: out of memory" in lines_of(made)


def test_the_title_says_that_this_is_no_report() -> None:
    title = read(built()).ConceptNameCodeSequence[0]
    assert (title.CodeValue, title.CodingSchemeDesignator) == ("AI-DRAFT", "99CARINA")
    assert title.CodeMeaning == "AI draft, not a report"


def test_a_revision_names_what_it_replaces() -> None:
    older = InstanceRef(str(draft_of().source.StudyInstanceUID), "1.2.3", ENHANCED_SR, "1.2.3.4")
    made = built(replace(TEXT_ONLY, revision=2, predecessors=(older,)))
    study = read(made).PredecessorDocumentsSequence[0]
    named = study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert named.ReferencedSOPInstanceUID == "1.2.3.4"
    assert "Revision 2 of the draft of this study. It replaces the earlier revision." in lines_of(
        made
    )
    assert read(made).SeriesDescription == "AI DRAFT text r2, not verified (DEMO)"


def test_several_films_share_one_text_and_are_told_apart() -> None:
    second = draft_of(source=source_of(Sheet(), seed="film-2", study="film-1"))
    made = results.build((draft_of(), second), TEXT_ONLY)
    assert len(made) == 1
    films = [one for one in read(made[0]).ContentSequence if heading(one) == "Film"]
    assert len(films) == 2
    said = lines_of(made[0])
    assert "Film 1 of 2: PA, 80 columns by 96 rows." in said
    assert "Film 2 of 2: PA, 80 columns by 96 rows." in said
    shown = {
        one.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        for one in walk(read(made[0]))
        if one.get("ValueType") == "IMAGE"
    }
    assert shown == {draft_of().sop_instance_uid, second.sop_instance_uid}


def test_the_rationale_points_at_the_picture_of_each_step() -> None:
    made = results.build([draft_of(WITH_PICTURES)], CONTEXT)
    pictures = [one.ref.sop_instance_uid for one in made if one.kind is ResultKind.PICTURES]
    steps = [one for one in walk(read(made[-1])) if heading_or_none(one) == "Step"]
    explained = [
        child.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        for one in steps
        for child in one.get("ContentSequence", ())
        if heading(child) == "Visual explanation"
    ]
    assert explained == pictures[1:]


def heading_or_none(item: Dataset) -> Any:
    name = item.get("ConceptNameCodeSequence")
    return name[0].CodeMeaning if name else None


def test_without_pictures_the_rationale_is_words_alone() -> None:
    images = [one for one in walk(read(built())) if one.get("ValueType") == "IMAGE"]
    assert [heading(one) for one in images] == ["Film that was read"]


def test_unknown_spacing_is_declared_where_masks_are_made() -> None:
    context = replace(CONTEXT, kinds=(ResultKind.TEXT_SR, ResultKind.ANATOMY_SEG))
    unknown = built(context, draft_of(Sheet(spacing_mm=None)))
    assert any("do not measure" in one for one in lines_of(unknown))
    known = built(context, draft_of(Sheet()))
    assert not any("do not measure" in one for one in lines_of(known))
    assert any("plane orientation is a placeholder" in one for one in lines_of(known))


def test_what_the_archive_does_not_take_is_said() -> None:
    context = replace(CONTEXT, profile=DestinationProfile(SrFlavour.ENHANCED, seg=False))
    assert "The archive's profile: not taken: SEG." in lines_of(built(context))


@pytest.mark.parametrize("text_sop_class_uid", [ENHANCED_SR, BASIC_TEXT_SR])
@pytest.mark.parametrize("kinds", [(ResultKind.TEXT_SR,), tuple(ResultKind)])
def test_dciodvfy_and_dsrdump_find_nothing(
    text_sop_class_uid: str, kinds: tuple[ResultKind, ...], tmp_path: Path
) -> None:
    profile = DestinationProfile(text_sop_class_uid=text_sop_class_uid)
    made = built(replace(CONTEXT, kinds=kinds, profile=profile), draft_of(WITH_PICTURES))
    assert made.ref.sop_class_uid == text_sop_class_uid
    assert [one for one in dciodvfy(made.content, tmp_path) if "Study ID" not in one] == []
    if has_dsrdump():
        assert MASS_SENTENCE in dsrdump(made.content, tmp_path)


def test_basic_text_holds_no_number_item_but_the_same_words() -> None:
    basic = DestinationProfile(text_sop_class_uid=BASIC_TEXT_SR)
    made = built(replace(TEXT_ONLY, profile=basic))
    assert "NUM" not in {one.get("ValueType") for one in walk(read(made))}
    assert lines_of(made) == lines_of(built())


def test_a_measurement_of_an_unknown_kind_is_told_in_words_and_number() -> None:
    odd = replace(HEART_FINDING, measurement=Measurement("aortic width", 31.2, 28, 34, "mm"))
    made = built(TEXT_ONLY, draft_of(findings=(odd,)))
    (number,) = (one for one in walk(read(made)) if one.get("ValueType") == "NUM")
    assert heading(number) == "Measurement"
    assert any("aortic width 31.20 mm" in one for one in lines_of(made))
