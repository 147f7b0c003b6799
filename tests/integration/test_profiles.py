"""From the film to archives that do not take everything: what is made, sent, left out and told."""

from pathlib import Path

import pytest
import unreliable_archive
from pydicom import dcmread
from sqlalchemy import select
from unreliable_archive import Manners, UnreliableArchive
from ward import Ward, a_film

from dicom.profile import BASIC_TEXT_SR, BOX_SR_SOP_CLASSES, SrFlavour
from dicom.values import ResultKind
from models.fakes import FakeEye, Planted
from models.vocabulary import Observation
from service.db.engine import Database
from service.db.tables import ResultRow
from service.values import Job, JobState
from workers.deliver_step import deliver

pytestmark = pytest.mark.integration

EVERYTHING = ",".join(ResultKind)
COMPREHENSIVE = BOX_SR_SOP_CLASSES[SrFlavour.COMPREHENSIVE]
COMPREHENSIVE_3D = BOX_SR_SOP_CLASSES[SrFlavour.COMPREHENSIVE_3D]


@pytest.fixture
def ward(database: Database, tmp_path: Path) -> Ward:
    sees_a_mass = FakeEye(planted=(Planted(Observation.MASS, (0.3, 0.62)),))
    return Ward(database, tmp_path, eye=lambda: sees_a_mass)


def read_and_delivered(ward: Ward, archive: UnreliableArchive) -> Job:
    job = ward.queue(a_film("one"))
    ward.analyse(pacs=archive.node, results=EVERYTHING)
    deliver(ward.context(archive.node))
    return job


def made(ward: Ward, job: Job) -> dict[str, str]:
    """Return the SOP class of every result, by its SOP Instance UID, as its file says."""
    with ward.database.begin() as session:
        rows = session.scalars(select(ResultRow).where(ResultRow.job_id == job.job_id)).all()
    files = [dcmread(ward.home / "results" / row.path) for row in rows]
    return {str(ds.SOPInstanceUID): str(ds.SOPClassUID) for ds in files}


def test_boxes_go_as_comprehensive_sr_where_three_dimensions_are_refused(ward: Ward) -> None:
    boxes = (ResultKind.BOX_SR,)
    with unreliable_archive.running(without=boxes, also=(COMPREHENSIVE,)) as archive:
        job = read_and_delivered(ward, archive)
    row = ward.job(job)
    assert (row.state, row.reason) == (JobState.DELIVERED, None)
    assert COMPREHENSIVE in made(ward, job).values()
    assert COMPREHENSIVE_3D not in made(ward, job).values()
    assert set(archive.kept) == set(made(ward, job))


def test_an_archive_that_takes_nothing_new_gets_a_basic_text(ward: Ward) -> None:
    with unreliable_archive.running(without=tuple(ResultKind), also=(BASIC_TEXT_SR,)) as archive:
        job = read_and_delivered(ward, archive)
    row = ward.job(job)
    assert row.state == JobState.DELIVERED
    assert row.reason == "not taken: SEG, pictures, box SR"
    assert list(made(ward, job).values()) == [BASIC_TEXT_SR]
    assert set(archive.kept) == set(made(ward, job))


def test_an_archive_that_takes_nothing_at_all_is_a_dead_letter_that_says_so(ward: Ward) -> None:
    with unreliable_archive.running(without=tuple(ResultKind)) as archive:
        job = read_and_delivered(ward, archive)
    row = ward.job(job)
    assert (row.state, row.reason_code) == (JobState.FAILED, "NO_TEXT_SR")
    assert archive.arrived == []


def test_an_archive_that_shows_its_refusal_only_when_it_is_sent_to_gets_the_rest(
    ward: Ward,
) -> None:
    with unreliable_archive.running(Manners({COMPREHENSIVE_3D: 0x0122})) as archive:
        job = read_and_delivered(ward, archive)
    row = ward.job(job)
    assert (row.state, row.reason) == (JobState.DELIVERED, "not taken: boxes")
    refused = {uid for uid, sop_class in made(ward, job).items() if sop_class == COMPREHENSIVE_3D}
    assert set(archive.kept) == set(made(ward, job)) - refused
