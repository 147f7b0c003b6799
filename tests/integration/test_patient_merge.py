"""Merged patients: what a message changes in studies that are there, and in those that come."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from sqlalchemy import select
from ward import Ward, a_film

from dicom.film import FilmPatient
from dicom.values import ResultKind
from service import correcting
from service.adt.taking import Taken, TakingRules, take
from service.correcting import Places
from service.db.engine import Database
from service.db.patient_tables import (
    CorrectedStudyRow,
    PatientCorrectionRow,
    PatientMessageRow,
)
from service.db.tables import AuditEventRow, JobRow, ResultRow, StudyRow
from service.errors import UnknownCorrection
from service.values import EventType, Job, JobState, StudyState

pytestmark = pytest.mark.integration
PEER_ADDRESS = "127.0.0.1"


def a_merge(prior: str, survivor: str, control_id: str = "1", name: str = "New^Name") -> bytes:
    lines = (
        f"MSH|^~\\&|RIS|KH|CARINA|KH|20260301120000||ADT^A40^ADT_A39|{control_id}|P|2.5",
        "EVN||20260301120000",
        f"PID|||{survivor}||{name}||19700203|F",
        f"MRG|{prior}",
    )
    return "\r".join(lines).encode() + b"\r"


@pytest.fixture
def ward(database: Database, tmp_path: Path) -> Ward:
    return Ward(database, tmp_path)


def tell(ward: Ward, content: bytes) -> Taken:
    """Take a message, and let what was there before follow it."""
    taken = take(ward.database, content, PEER_ADDRESS, TakingRules(places(ward).corrections), now())
    correcting.apply_pending(ward.database, places(ward), ward.clock.now)
    return taken


def places(ward: Ward) -> Places:
    settings = ward.context().settings
    return Places(settings.corrections, settings.spool)


def now() -> datetime:
    return datetime.now(UTC)


def film_of(patient_id: str, seed: str = "merge", **fields: object) -> Dataset:
    return a_film(seed, patient=FilmPatient(patient_id, "Old^Name"), **fields)


def draft_of(ward: Ward, job: Job) -> Dataset:
    """Return the text SR of a job."""
    with ward.database.begin() as session:
        path = session.scalars(
            select(ResultRow.path).where(
                ResultRow.job_id == job.job_id, ResultRow.kind == ResultKind.TEXT_SR.value
            )
        ).one()
    return dcmread(ward.context().settings.kept_results / path)


def study_of(ward: Ward, ds: Dataset) -> StudyRow:
    with ward.database.begin() as session:
        return session.get_one(StudyRow, str(ds.StudyInstanceUID))


def corrections_of(ward: Ward) -> Sequence[PatientCorrectionRow]:
    with ward.database.begin() as session:
        return session.scalars(
            select(PatientCorrectionRow).order_by(PatientCorrectionRow.number)
        ).all()


def events_of(ward: Ward, event_type: EventType) -> list[AuditEventRow]:
    with ward.database.begin() as session:
        asked = select(AuditEventRow).where(AuditEventRow.event_type == event_type)
        return list(session.scalars(asked))


def put(ward: Ward, job: Job, state: JobState) -> None:
    """Let a job be as far as it would be after its delivery."""
    with ward.database.begin() as session:
        session.get_one(JobRow, job.job_id).state = state.value


def test_a_draft_made_after_the_merge_bears_the_surviving_patient(ward: Ward) -> None:
    tell(ward, a_merge("A1", "B1"))
    job = ward.queue(film_of("A1"))
    ward.analyse()
    draft = draft_of(ward, job)
    assert (draft.PatientID, draft.PatientName) == ("B1", "New^Name")
    assert (draft.PatientBirthDate, draft.PatientSex) == ("19700203", "F")


def test_other_patients_keep_their_identity(ward: Ward) -> None:
    tell(ward, a_merge("A1", "B1"))
    job = ward.queue(film_of("A2"))
    ward.analyse()
    assert draft_of(ward, job).PatientID == "A2"


@pytest.mark.parametrize("state", [JobState.DELIVERED, JobState.SENDING, JobState.SHADOW])
def test_a_draft_that_went_out_is_replaced_by_a_new_revision(ward: Ward, state: JobState) -> None:
    first = ward.queue(film_of("A1"))
    ward.analyse()
    put(ward, first, state)
    tell(ward, a_merge("A1", "B1"))
    (second,) = ward.close()
    ward.analyse()
    assert second.revision == 2
    assert second.replaces_job_id == (None if state is JobState.SHADOW else first.job_id)
    assert draft_of(ward, second).PatientID == "B1"
    assert draft_of(ward, first).PatientID == "A1"


def test_a_draft_that_has_not_gone_out_is_made_anew_and_never_sent(ward: Ward) -> None:
    first = ward.queue(film_of("A1"))
    ward.analyse()
    tell(ward, a_merge("A1", "B1"))
    assert ward.state(first) is JobState.SUPERSEDED


def test_a_job_that_waits_stays_and_is_written_under_the_new_identity(ward: Ward) -> None:
    job = ward.queue(film_of("A1"))
    tell(ward, a_merge("A1", "B1"))
    assert ward.state(job) is JobState.QUEUED
    ward.analyse()
    assert draft_of(ward, job).PatientID == "B1"


def test_merges_are_followed_to_their_end_in_whatever_order_they_came(ward: Ward) -> None:
    tell(ward, a_merge("B1", "C1", "2", "Last^Name"))
    tell(ward, a_merge("A1", "B1", "1", "Middle^Name"))
    job = ward.queue(film_of("A1"))
    ward.analyse()
    draft = draft_of(ward, job)
    assert (draft.PatientID, draft.PatientName) == ("C1", "Last^Name")


def test_a_second_merge_finds_the_studies_of_the_first(ward: Ward) -> None:
    first = ward.queue(film_of("A1"))
    ward.analyse()
    put(ward, first, JobState.DELIVERED)
    tell(ward, a_merge("A1", "B1", "1"))
    (second,) = ward.close()
    ward.analyse()
    put(ward, second, JobState.DELIVERED)
    tell(ward, a_merge("B1", "C1", "2"))
    (third,) = ward.close()
    ward.analyse()
    assert draft_of(ward, third).PatientID == "C1"


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([("A1", "A1")], "itself"),
        ([("A1", "B1"), ("B1", "A1")], "circle"),
        ([("A1", "B1"), ("B1", "C1"), ("C1", "A1")], "circle"),
        ([("A1", "B1"), ("A1", "X1")], "another patient"),
    ],
)
def test_a_merge_that_contradicts_what_holds_is_answered_with_an_error(
    ward: Ward, messages: list[tuple[str, str]], reason: str
) -> None:
    *before, last = [
        tell(ward, a_merge(prior, survivor, str(number)))
        for number, (prior, survivor) in enumerate(messages)
    ]
    assert [one.answer for one in before] == ["AA"] * len(before)
    assert last.answer == "AE"
    assert reason in last.reason
    assert len(corrections_of(ward)) == len(before)


def test_the_same_message_again_is_answered_and_changes_nothing(ward: Ward) -> None:
    first = ward.queue(film_of("A1"))
    ward.analyse()
    put(ward, first, JobState.DELIVERED)
    tell(ward, a_merge("A1", "B1"))
    assert tell(ward, a_merge("A1", "B1")).answer == "AA"
    assert tell(ward, a_merge("A1", "B1", "another id")).answer == "AA"
    assert len(corrections_of(ward)) == 1
    assert len(ward.close()) == 1


def test_a_message_is_kept_as_it_came_before_it_is_answered(ward: Ward) -> None:
    content = a_merge("A1", "B1")
    tell(ward, content)
    with ward.database.begin() as session:
        row = session.scalars(select(PatientMessageRow)).one()
    path = places(ward).corrections / row.path
    assert path.read_bytes() == content
    assert path.stat().st_mode & 0o777 == 0o600


def test_neither_the_tables_nor_the_trail_know_whose_number_it_is(ward: Ward) -> None:
    ward.queue(film_of("A1SECRET"))
    tell(ward, a_merge("A1SECRET", "B1SECRET", name="Secret^Name"))
    tell(ward, a_merge("B1SECRET", "A1SECRET", "2", name="Secret^Name"))
    tables = (
        PatientMessageRow,
        PatientCorrectionRow,
        CorrectedStudyRow,
        AuditEventRow,
        StudyRow,
        JobRow,
    )
    with ward.database.begin() as session:
        rows = [row for table in tables for row in session.scalars(select(table))]
    assert len(rows) > len(tables)
    shown = " ".join(str(vars(row)) for row in rows).casefold()
    assert "secret" not in shown


def test_two_patients_under_one_study_become_one_by_a_merge(ward: Ward) -> None:
    one = film_of("A1", "first", study="shared")
    other = film_of("B1", "second", study="shared")
    ward.receive(one, other)
    assert study_of(ward, one).state == StudyState.HELD
    tell(ward, a_merge("A1", "B1"))
    assert study_of(ward, one).state == StudyState.COLLECTING
    (job,) = ward.close()
    ward.analyse()
    assert draft_of(ward, job).PatientID == "B1"


def test_a_film_under_a_retired_number_joins_the_study_of_the_survivor(ward: Ward) -> None:
    tell(ward, a_merge("A1", "B1"))
    one = film_of("B1", "first", study="shared")
    ward.receive(one, film_of("A1", "second", study="shared"))
    assert study_of(ward, one).state == StudyState.COLLECTING


def test_an_undone_merge_gives_the_studies_back(ward: Ward) -> None:
    first = ward.queue(film_of("A1"))
    ward.analyse()
    put(ward, first, JobState.DELIVERED)
    tell(ward, a_merge("A1", "B1"))
    (second,) = ward.close()
    ward.analyse()
    put(ward, second, JobState.DELIVERED)
    (merge,) = corrections_of(ward)
    undo(ward, merge.correction_id)
    (third,) = ward.close()
    ward.analyse()
    draft = draft_of(ward, third)
    assert (draft.PatientID, draft.PatientName) == ("A1", "Old^Name")
    with pytest.raises(UnknownCorrection):
        undo(ward, merge.correction_id)
    assert len(events_of(ward, EventType.CORRECTION_UNDONE)) == 1


def undo(ward: Ward, correction_id: UUID) -> None:
    with ward.database.begin() as session:
        correcting.undo(session, correction_id, "tester", places(ward), ward.clock.now)


def test_undoing_a_merge_of_two_into_one_study_holds_it_again(ward: Ward) -> None:
    one = film_of("A1", "first", study="shared")
    ward.receive(one, film_of("B1", "second", study="shared"))
    tell(ward, a_merge("A1", "B1"))
    ward.close()
    (merge,) = corrections_of(ward)
    undo(ward, merge.correction_id)
    assert study_of(ward, one).state == StudyState.HELD


def test_a_withdrawn_draft_is_not_replaced(ward: Ward) -> None:
    first = ward.queue(film_of("A1"))
    ward.analyse()
    put(ward, first, JobState.WITHDRAWN)
    tell(ward, a_merge("A1", "B1"))
    assert ward.close() == ()


def test_a_merge_for_one_authority_leaves_the_same_number_of_another(ward: Ward) -> None:
    tell(ward, a_merge("A1^^^LAB", "B1^^^LAB"))
    film = film_of("A1")
    film.IssuerOfPatientID = "HOSPITAL"
    job = ward.queue(film)
    ward.analyse()
    assert draft_of(ward, job).PatientID == "A1"


def test_a_number_that_two_authorities_merged_apart_is_left_as_it_is(ward: Ward) -> None:
    tell(ward, a_merge("A1^^^LAB", "B1^^^LAB", "1"))
    tell(ward, a_merge("A1^^^KH", "C1^^^KH", "2"))
    job = ward.queue(film_of("A1"))
    ward.analyse()
    assert draft_of(ward, job).PatientID == "A1"


def test_what_a_correction_did_to_each_study_is_written_down(ward: Ward) -> None:
    first = ward.queue(film_of("A1"))
    ward.analyse()
    put(ward, first, JobState.DELIVERED)
    tell(ward, a_merge("A1", "B1"))
    with ward.database.begin() as session:
        (row,) = session.scalars(select(CorrectedStudyRow)).all()
    assert row.effect == correcting.NEW_REVISION
    (event,) = events_of(ward, EventType.PATIENT_CORRECTED)
    assert event.study_instance_uid == first.study_instance_uid
