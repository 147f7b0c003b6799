from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from draft_builders import CONTEXT, Sheet, draft_of
from pydicom import Dataset, dcmread
from validators import dciodvfy, dsrdump, has_dsrdump

from dicom import rejection, results
from dicom.profile import BASIC_TEXT_SR, ENHANCED_SR
from dicom.rejection import Rejection
from dicom.sr import withdrawn
from dicom.sr.withdrawn import Withdrawal
from dicom.values import InstanceRef, ReplacedResult, ResultInstance, ResultKind

NOTICE_JOB = UUID("00000000-0000-4000-8000-000000000008")
NOW = datetime(2026, 11, 22, 5, 6, 7, tzinfo=UTC)
DRAFT = results.build([draft_of(Sheet(rows=400, columns=400))], CONTEXT)
GONE = tuple(ReplacedResult(one.ref, one.kind, one.number, 1) for one in DRAFT)
FILM = deepcopy(draft_of(Sheet(rows=400, columns=400)).source)
FILM.StudyID = "7"


def film_ref() -> InstanceRef:
    return InstanceRef(
        FILM.StudyInstanceUID, FILM.SeriesInstanceUID, FILM.SOPClassUID, FILM.SOPInstanceUID
    )


def a_withdrawal(**changed: Any) -> Withdrawal:
    made = Withdrawal(
        job_id=NOTICE_JOB,
        revision=2,
        produced_at=NOW,
        source=FILM,
        films=(film_ref(),),
        replaced=GONE,
        reason="The film is of another patient.",
        by="dr.example",
        software_version="0.1.0",
    )
    return replace(made, **changed)


def a_rejection(**changed: Any) -> Rejection:
    made = Rejection(
        job_id=CONTEXT.job_id,
        destination="pacs",
        revision=1,
        objects=GONE,
        is_withdrawn=True,
        words="Withdrawn: the film is of another patient.",
        source=FILM,
        produced_at=NOW,
        software_version="0.1.0",
    )
    return replace(made, **changed)


def read(made: ResultInstance) -> Dataset:
    ds: Dataset = dcmread(BytesIO(made.content))
    return ds


def walk(item: Dataset) -> Iterator[Dataset]:
    yield item
    for one in item.get("ContentSequence", ()):
        yield from walk(one)


def texts(made: ResultInstance) -> list[str]:
    """Return what is said, without who observed."""
    said = (one for one in walk(read(made)) if one.get("ValueType") == "TEXT")
    return [one.TextValue for one in said if one.RelationshipType == "CONTAINS"]


def named_in(sequence: Any) -> set[str]:
    return {
        str(instance.ReferencedSOPInstanceUID)
        for study in sequence
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }


def all_uids() -> set[str]:
    return {one.ref.sop_instance_uid for one in GONE}


@pytest.mark.parametrize("sop_class_uid", [ENHANCED_SR, BASIC_TEXT_SR])
def test_the_notice_is_valid(tmp_path: Path, sop_class_uid: str) -> None:
    made = withdrawn.build(a_withdrawal(sop_class_uid=sop_class_uid))
    assert made.ref.sop_class_uid == sop_class_uid
    assert dciodvfy(made.content, tmp_path) == []
    if has_dsrdump():
        assert withdrawn.LINE in dsrdump(made.content, tmp_path)


def test_the_notice_says_first_and_last_that_the_draft_must_not_be_used() -> None:
    said = texts(withdrawn.build(a_withdrawal()))
    assert said[0] == said[-1] == "WITHDRAWN: this AI draft must not be used"
    assert "Reason: The film is of another patient." in said
    assert "Withdrawn by dr.example at 2026-11-22 05:06:07 UTC." in said
    assert "Withdrawn: r1. This notice is r2." in said


def test_the_notice_is_seen_in_a_list_of_series() -> None:
    ds = read(withdrawn.build(a_withdrawal()))
    assert ds.SeriesDescription == "WITHDRAWN AI DRAFT r1, notice r2"
    assert ds.SeriesNumber == 9011
    assert (ds.CompletionFlag, ds.VerificationFlag) == ("COMPLETE", "UNVERIFIED")
    assert ds.PreliminaryFlag == "PRELIMINARY"


def test_the_notice_names_every_object_and_its_documents_as_predecessors() -> None:
    ds = read(withdrawn.build(a_withdrawal()))
    content = {one.UID for one in walk(ds) if one.get("ValueType") == "UIDREF"}
    assert all_uids() <= content
    documents = {
        one.ref.sop_instance_uid
        for one in GONE
        if one.kind in {ResultKind.TEXT_SR, ResultKind.BOX_SR}
    }
    assert len(documents) == 2
    assert named_in(ds.PredecessorDocumentsSequence) == documents


def test_the_notice_belongs_to_the_patient_and_study_of_the_film() -> None:
    ds = read(withdrawn.build(a_withdrawal()))
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "AccessionNumber"):
        assert ds.get(keyword) == FILM.get(keyword)


def test_the_same_withdrawal_gives_the_same_bytes() -> None:
    assert withdrawn.build(a_withdrawal()) == withdrawn.build(a_withdrawal())


def test_a_reason_in_any_script_cannot_damage_the_document(tmp_path: Path) -> None:
    made = withdrawn.build(a_withdrawal(reason="Gro\u00dfe \u2013 \u6f22 back\\slash\nline" * 9))
    assert dciodvfy(made.content, tmp_path) == []


@pytest.mark.parametrize(
    ("is_withdrawn", "title"),
    [
        (True, ("113037", "DCM", "Rejected for Patient Safety Reasons")),
        (False, ("113001", "DCM", "Rejected for Quality Reasons")),
    ],
)
def test_the_title_of_a_rejection_note_says_why(
    tmp_path: Path, is_withdrawn: bool, title: tuple[str, str, str]
) -> None:
    made = rejection.build(a_rejection(is_withdrawn=is_withdrawn))
    found = read(made).ConceptNameCodeSequence[0]
    assert (found.CodeValue, found.CodingSchemeDesignator, found.CodeMeaning) == title
    assert dciodvfy(made.content, tmp_path) == []


def test_a_rejection_note_names_every_object_in_content_and_evidence() -> None:
    ds = read(rejection.build(a_rejection()))
    assert (ds.SOPClassUID, ds.Modality) == (rejection.KEY_OBJECT_SELECTION, "KO")
    assert ds.SeriesDescription == "AI DRAFT r1 rejected"
    assert named_in(ds.CurrentRequestedProcedureEvidenceSequence) == all_uids()
    kinds = {
        one.ReferencedSOPSequence[0].ReferencedSOPInstanceUID: one.ValueType
        for one in ds.ContentSequence
        if "ReferencedSOPSequence" in one
    }
    assert set(kinds) == all_uids()
    for one in GONE:
        is_document = one.kind in {ResultKind.TEXT_SR, ResultKind.BOX_SR}
        assert kinds[one.ref.sop_instance_uid] == ("COMPOSITE" if is_document else "IMAGE")


def test_each_archive_gets_a_note_of_its_own_and_always_the_same() -> None:
    one, again = rejection.build(a_rejection()), rejection.build(a_rejection())
    other = rejection.build(a_rejection(destination="research"))
    assert one == again
    assert other.ref.sop_instance_uid != one.ref.sop_instance_uid


def test_a_newer_draft_names_every_object_it_replaces(tmp_path: Path) -> None:
    newer = replace(
        CONTEXT,
        job_id=NOTICE_JOB,
        revision=2,
        kinds=(ResultKind.TEXT_SR,),
        replaced=GONE,
        predecessors=tuple(
            one.ref for one in GONE if one.kind in {ResultKind.TEXT_SR, ResultKind.BOX_SR}
        ),
    )
    draft = replace(draft_of(Sheet(rows=400, columns=400)), source=FILM)
    made = results.build([draft], newer)[-1]
    content = {one.UID for one in walk(read(made)) if one.get("ValueType") == "UIDREF"}
    assert all_uids() <= content
    assert len(named_in(read(made).PredecessorDocumentsSequence)) == 2
    assert dciodvfy(made.content, tmp_path) == []
