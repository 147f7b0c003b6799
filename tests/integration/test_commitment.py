"""Storage commitment, against archives that vouch, forget, dawdle and refuse, and Orthanc."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import orthanc
import pytest
import unreliable_archive
from kept_results import SOP_CLASSES
from pydicom.dataset import Dataset
from sqlalchemy import select
from unreliable_archive import Manners, UnreliableArchive
from ward import Ward

from dicom import receive
from dicom.commitment import CommitmentReport
from dicom.values import PacsNode, ResultKind
from service import commitments
from service.db.engine import Database
from service.db.outbox_tables import CommitmentRow
from service.values import Job, JobState
from workers.deliver_step import deliver

pytestmark = pytest.mark.integration

TEXT = ResultKind.TEXT_SR
MASK = ResultKind.FINDING_SEG


@pytest.fixture
def ward(database: Database, tmp_path: Path) -> Ward:
    return Ward(database, tmp_path)


@contextlib.contextmanager
def listening(ward: Ward, port: int = 0) -> Iterator[PacsNode]:
    """Run our listener, as the service does, with the clock of the ward."""

    def report(heard: CommitmentReport) -> bool:
        with ward.database.begin() as session:
            return commitments.report(session, heard, "listener", ward.clock.now)

    config = receive.ListenerConfig(spool_root=ward.home / "spool", port=port)
    listener = receive.start(config, lambda _: None, lambda _: None, ward.clock, report)
    try:
        yield PacsNode("CARINA", "127.0.0.1", listener.port)
    finally:
        listener.stop()


def transactions(ward: Ward) -> list[CommitmentRow]:
    with ward.database.begin() as session:
        asked = select(CommitmentRow).order_by(CommitmentRow.requested_at)
        return list(session.scalars(asked))


def until_reported(archive: UnreliableArchive) -> None:
    for reporter in archive.reporters:
        reporter.join(60)


def proven_by_commitment(ward: Ward, job: Job) -> bool:
    said = ward.events(job)
    return said[-1] == "delivery_proven" and "commitment_reported" in said


def test_a_report_on_the_same_association_is_proof(ward: Ward) -> None:
    job, _ = ward.an_encoded_job(MASK, TEXT)
    manners = Manners(vouches="same")
    with unreliable_archive.running(manners, offers_find=False) as archive:
        deliver(ward.context(archive.node, commitment_wait_s=60.0))
    assert ward.state(job) is JobState.DELIVERED
    assert proven_by_commitment(ward, job)
    assert all(row.proven_at is not None for row in ward.answers(job).values())


def test_a_report_to_our_listener_by_role_selection_is_proof(ward: Ward) -> None:
    job, _ = ward.an_encoded_job(MASK, TEXT)
    with listening(ward) as us:
        manners = Manners(vouches="back", report_to=us)
        with unreliable_archive.running(manners, offers_find=False) as archive:
            context = ward.context(archive.node, commitment_wait_s=0.0)
            deliver(context)
            until_reported(archive)
            assert ward.state(job) is JobState.SENT
            ward.clock.turn(60)
            assert deliver(context) is not None
    assert ward.state(job) is JobState.DELIVERED
    assert proven_by_commitment(ward, job)
    assert len(archive.transactions) == 1


def test_an_archive_that_takes_requests_and_never_reports_is_asked_anew_then_otherwise(
    ward: Ward,
) -> None:
    job, _ = ward.an_encoded_job(TEXT)
    with unreliable_archive.running(Manners(vouches="never")) as archive:
        context = ward.context(archive.node, commitment_wait_s=0.0, commitment_timeout_s=30)
        deliver(context)
        assert ward.delay_s(job) == 30
        ward.clock.turn(30)
        deliver(context)
        assert ward.state(job) is JobState.SENT
        ward.clock.turn(30)
        deliver(context)
    assert ward.state(job) is JobState.DELIVERED
    assert len(set(archive.transactions)) == 2
    assert [row.state for row in transactions(ward)] == ["EXPIRED", "EXPIRED"]


def test_a_site_that_insists_on_commitment_takes_no_query_for_it(ward: Ward) -> None:
    job, _ = ward.an_encoded_job(TEXT)
    with unreliable_archive.running(Manners(vouches="never")) as archive:
        context = ward.context(archive.node, proof="commitment", commitment_wait_s=0.0)
        for _ in range(4):
            deliver(context)
            assert ward.state(job) is JobState.SENT
            ward.clock.turn(60)
        assert len(set(archive.transactions)) == 4
        archive.manners.vouches = "same"
        deliver(ward.context(archive.node, proof="commitment", commitment_wait_s=60.0))
    assert ward.state(job) is JobState.DELIVERED


def test_a_report_after_the_time_is_out_still_counts(ward: Ward) -> None:
    job, kept = ward.an_encoded_job(TEXT)
    with unreliable_archive.running(Manners(vouches="never"), offers_find=False) as archive:
        context = ward.context(archive.node, proof="commitment", commitment_wait_s=0.0)
        deliver(context)
        ward.clock.turn(60)
        deliver(context)
        late = CommitmentReport(
            archive.transactions[0], frozenset({kept[0].ref.sop_instance_uid}), {}
        )
        with ward.database.begin() as session:
            assert commitments.report(session, late, "ARCHIVE", ward.clock.now)
        deliver(context)
    assert ward.state(job) is JobState.DELIVERED


def test_what_was_not_committed_is_sent_again_until_it_is(ward: Ward) -> None:
    job, kept = ward.an_encoded_job(MASK, TEXT)
    manners = Manners(vouches="same", forgets=frozenset({SOP_CLASSES[TEXT]}))
    with unreliable_archive.running(manners) as archive:
        context = ward.context(archive.node, commitment_wait_s=60.0)
        deliver(context)
        row = ward.job(job)
        assert (row.state, row.reason_code) == (JobState.SENDING, "NOT_PROVEN")
        assert row.reason == "the archive did not commit 1 objects (0x0112)"
        assert ward.answers(job)[MASK].proven_at is not None
        assert ward.answers(job)[TEXT].proven_at is None
        archive.manners.forgets = frozenset()
        ward.clock.turn(ward.delay_s(job))
        deliver(context)
    assert ward.state(job) is JobState.DELIVERED
    assert archive.arrived == [one.ref.sop_instance_uid for one in kept] * 2
    assert len(set(archive.transactions)) == 2


def test_an_archive_that_refuses_the_request_is_asked_by_a_query(ward: Ward) -> None:
    job, _ = ward.an_encoded_job(TEXT)
    with unreliable_archive.running(Manners(vouches="refuses")) as archive:
        deliver(ward.context(archive.node))
    assert ward.state(job) is JobState.DELIVERED
    assert [row.state for row in transactions(ward)] == ["REFUSED"]


def test_a_report_twice_or_about_objects_of_others_changes_nothing(ward: Ward) -> None:
    job, kept = ward.an_encoded_job(TEXT)
    other, others = ward.an_encoded_job(TEXT, study="1.2.99")
    with unreliable_archive.running(Manners(vouches="never"), offers_find=False) as archive:
        context = ward.context(archive.node, commitment_wait_s=0.0)
        deliver(context)
        deliver(context)
        mine = {one.ref.sop_instance_uid for one in (*kept, *others)}
        heard = CommitmentReport(archive.transactions[0], frozenset(mine), {})
        for _ in range(2):
            with ward.database.begin() as session:
                assert commitments.report(session, heard, "ARCHIVE", ward.clock.now)
    assert ward.answers(job)[TEXT].proven_at is not None
    assert ward.answers(other)[TEXT].proven_at is None
    assert ward.events(job).count("commitment_reported") == 1


def test_a_report_that_nobody_asked_for_is_answered_with_a_failure(ward: Ward) -> None:
    report = Dataset()
    report.TransactionUID = "2.25.4711"
    report.ReferencedSOPSequence, report.FailedSOPSequence = [], []
    with listening(ward) as us:
        archive = UnreliableArchive(Manners(report_to=us))
        assert archive.report_back(report) == 0x0115


def test_orthanc_vouches_for_what_it_keeps(ward: Ward, tmp_path: Path) -> None:
    job, _ = ward.an_encoded_job(TEXT, MASK)
    with listening(ward) as us:
        options = orthanc.OrthancOptions(modalities={"carina": us})
        with orthanc.running(tmp_path / "orthanc", options) as pacs:
            context = ward.context(pacs.node, proof="commitment", commitment_wait_s=0.0)
            deliver(context)
            deadline = time.monotonic() + 120
            while ward.state(job) is not JobState.DELIVERED and time.monotonic() < deadline:
                if deliver(context) is None:
                    time.sleep(0.2)  # the report is on its way
    assert ward.state(job) is JobState.DELIVERED
    assert proven_by_commitment(ward, job)
    assert [row.state for row in transactions(ward)] == ["COMMITTED"]
