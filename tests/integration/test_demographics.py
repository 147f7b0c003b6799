"""A real Orthanc in which the patient of a study is changed before our draft is sent."""

import copy
from collections.abc import Iterator
from pathlib import Path

import orthanc
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from sqlalchemy import select
from ward import Ward, a_film

from dicom import film
from dicom.film import FilmPatient
from dicom.values import ResultKind
from service import studies
from service.db.engine import Database
from service.db.tables import AuditEventRow, ResultRow, StudyRow
from service.values import EventType, Job, JobState, StudyState
from workers.deliver_step import deliver

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(400),
    pytest.mark.skipif(not orthanc.is_installed(), reason="no Orthanc here: `make system`"),
]


@pytest.fixture
def ward(database: Database, tmp_path: Path) -> Ward:
    return Ward(database, tmp_path)


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[orthanc.Orthanc]:
    with orthanc.running(tmp_path_factory.mktemp("orthanc")) as archive:
        yield archive


def in_both(ward: Ward, pacs: orthanc.Orthanc, seed: str) -> Dataset:
    """Return a film that the archive has and Carina has read; the draft is not sent yet."""
    ds = a_film(seed, patient=FilmPatient(f"A-{seed}", "Old^Name"))
    pacs.upload(film.encode(ds))
    return ds


def change(pacs: orthanc.Orthanc, ds: Dataset, **told: str) -> None:
    """Let the archive hold the study under another identity, all UIDs as they were."""
    (study,) = pacs.find("Study", StudyInstanceUID=str(ds.StudyInstanceUID))
    pacs.delete(f"/studies/{study}")
    changed = copy.deepcopy(ds)
    for keyword, value in told.items():
        setattr(changed, keyword, value)
    pacs.upload(film.encode(changed))


def send(ward: Ward, pacs: orthanc.Orthanc, asked: str) -> None:
    deliver(ward.context(pacs.node, ask_demographics=asked))


def draft_of(ward: Ward, job: Job) -> Dataset:
    with ward.database.begin() as session:
        path = session.scalars(
            select(ResultRow.path).where(
                ResultRow.job_id == job.job_id, ResultRow.kind == ResultKind.TEXT_SR.value
            )
        ).one()
    return dcmread(ward.home / "results" / path)


def study_of(ward: Ward, ds: Dataset) -> StudyRow:
    with ward.database.begin() as session:
        return session.get_one(StudyRow, str(ds.StudyInstanceUID))


def test_a_draft_follows_the_name_that_the_archive_has_now(
    ward: Ward, pacs: orthanc.Orthanc
) -> None:
    ds = in_both(ward, pacs, "renamed")
    first = ward.queue(ds)
    ward.analyse(pacs=pacs.node)
    change(pacs, ds, PatientName="Neu^Name", PatientBirthDate="19701231")
    send(ward, pacs, "hold")
    assert ward.state(first) is JobState.SUPERSEDED
    (second,) = ward.close()
    ward.analyse(pacs=pacs.node)
    draft = draft_of(ward, second)
    assert (draft.PatientName, draft.PatientBirthDate) == ("Neu^Name", "19701231")
    send(ward, pacs, "hold")
    assert ward.state(second) is JobState.DELIVERED


def test_another_number_holds_the_study_until_a_person_has_looked(
    ward: Ward, pacs: orthanc.Orthanc
) -> None:
    ds = in_both(ward, pacs, "renumbered")
    first = ward.queue(ds)
    ward.analyse(pacs=pacs.node)
    change(pacs, ds, PatientID="SOMEBODY-ELSE")
    send(ward, pacs, "hold")
    held = study_of(ward, ds)
    assert (held.state, held.held_code) == (StudyState.HELD, studies.PATIENT_DIFFERS)
    assert ward.state(first) is JobState.SUPERSEDED
    assert pacs.sop_instance_uids(str(ds.StudyInstanceUID)) == {str(ds.SOPInstanceUID)}
    change(pacs, ds)  # the archive was wrong, and is put right
    with ward.database.begin() as session:
        studies.release(session, str(ds.StudyInstanceUID), "tester", ward.clock.now)
    (second,) = ward.close()
    ward.analyse(pacs=pacs.node)
    send(ward, pacs, "hold")
    assert ward.state(second) is JobState.DELIVERED


def test_a_warning_names_what_differs_and_the_draft_goes(ward: Ward, pacs: orthanc.Orthanc) -> None:
    ds = in_both(ward, pacs, "warned")
    job = ward.queue(ds)
    ward.analyse(pacs=pacs.node)
    change(pacs, ds, PatientName="Neu^Name")
    send(ward, pacs, "warn")
    assert ward.state(job) is JobState.DELIVERED
    with ward.database.begin() as session:
        asked = select(AuditEventRow).where(
            AuditEventRow.event_type == EventType.DEMOGRAPHICS_DIFFER
        )
        (event,) = session.scalars(asked).all()
    assert event.detail["differ"] == ["PatientName"]
