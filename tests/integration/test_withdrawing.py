"""Drafts that are replaced or withdrawn, against a real database and real archives."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import orthanc
import pytest
import unreliable_archive
from pydicom import Dataset, dcmread
from sqlalchemy import select
from unreliable_archive import Manners
from ward import Ward, a_film

from dicom import rejection
from dicom.film import encode
from dicom.sr.withdrawn import LINE
from dicom.values import PacsNode, ResultKind
from service import replay, retiring, withdrawing
from service.db import withdrawal_queries
from service.db.engine import Database
from service.db.outbox_tables import ConsignmentRow
from service.db.tables import AuditEventRow, JobRow, StudyRow
from service.db.withdrawal_tables import RetirementRow
from service.errors import NothingToWithdraw
from service.replaced import RetirementState
from service.values import Job, JobState, StudyState
from service.withdrawing import House, Withdrawn, Word
from workers.context import WorkerContext
from workers.deliver_step import deliver
from workers.retire_step import NOT_TAKEN, retire

pytestmark = pytest.mark.integration

TEXT = ResultKind.TEXT_SR
REASON = "The film is of another patient."


@pytest.fixture
def ward(database: Database, tmp_path: Path) -> Ward:
    return Ward(database, tmp_path)


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[orthanc.Orthanc]:
    with orthanc.running(tmp_path_factory.mktemp("orthanc")) as archive:
        yield archive


def nobody() -> PacsNode:
    return PacsNode("GONE", "127.0.0.1", orthanc.free_port())


def withdraw(ward: Ward, study: str) -> Withdrawn:
    settings = ward.context().settings
    house = House(settings.spool, settings.kept_results, ("pacs",), "0.0.test")
    with ward.database.begin() as session:
        word = Word(study, REASON, "dr.example")
        return withdrawing.withdraw(session, word, house, ward.clock.now)


def a_read_study(ward: Ward, seed: str) -> Job:
    """Return the job of a study that was read by the stand-in, ready to be delivered."""
    job = ward.queue(a_film(seed))
    assert ward.analyse() == (job.job_id,)
    return job


def read_again(ward: Ward, study: str) -> Job:
    with ward.database.begin() as session:
        job = replay.replay(session, study, "operator", ward.clock.now)
    assert ward.analyse() == (job.job_id,)
    return job


def carry(context: WorkerContext) -> None:
    """Deliver and retire until nothing is due."""
    while deliver(context) is not None or retire(context):
        pass


def newest(ward: Ward, study: str) -> JobRow:
    with ward.database.begin() as session:
        asked = select(JobRow).where(JobRow.study_instance_uid == study)
        return session.scalars(asked.order_by(JobRow.revision.desc()).limit(1)).one()


def retirements(ward: Ward) -> dict[tuple[int, str], RetirementRow]:
    with ward.database.begin() as session:
        found = session.execute(
            select(JobRow.revision, RetirementRow).join(
                RetirementRow, RetirementRow.job_id == JobRow.job_id
            )
        )
        return {(revision, row.destination): row for revision, row in found}


def states(ward: Ward) -> dict[tuple[int, str], str]:
    return {key: row.state for key, row in retirements(ward).items()}


def audited(ward: Ward, event_type: str) -> list[AuditEventRow]:
    with ward.database.begin() as session:
        asked = select(AuditEventRow).where(AuditEventRow.event_type == event_type)
        return list(session.scalars(asked.order_by(AuditEventRow.id)))


def held(pacs: orthanc.Orthanc, study: str) -> list[Dataset]:
    uids = pacs.sop_instance_uids(study)
    found = (dcmread(BytesIO(pacs.file(uid))) for uid in uids)
    return sorted(found, key=lambda ds: int(ds.get("SeriesNumber") or 0))


def described(pacs: orthanc.Orthanc, study: str) -> list[str]:
    return [str(ds.get("SeriesDescription")) for ds in held(pacs, study)]


def words_of(ds: Dataset) -> list[str]:
    found = [ds.TextValue] if ds.get("ValueType") == "TEXT" else []
    for item in ds.get("ContentSequence", ()):
        found += words_of(item)
    return found


def test_a_draft_in_the_queue_is_never_sent(ward: Ward) -> None:
    job = a_read_study(ward, "queued")
    done = withdraw(ward, job.study_instance_uid)
    assert (done.revisions, done.destinations, done.notice_job_id) == ((1,), (), None)
    with unreliable_archive.running() as archive:
        carry(ward.context(archive.node))
        assert archive.arrived == []
    assert ward.state(job) is JobState.WITHDRAWN
    assert newest(ward, job.study_instance_uid).job_id == job.job_id


def test_a_draft_that_waits_for_a_dead_archive_is_never_sent(ward: Ward) -> None:
    job = a_read_study(ward, "dead")
    deliver(ward.context(nobody()))
    assert withdraw(ward, job.study_instance_uid).notice_job_id is None
    ward.clock.turn(3600)
    with unreliable_archive.running() as archive:
        carry(ward.context(archive.node))
        assert archive.arrived == []


def test_a_study_that_is_still_read_loses_its_draft(ward: Ward) -> None:
    job = ward.queue(a_film("running"))
    withdraw(ward, job.study_instance_uid)
    assert ward.analyse() == ()
    assert ward.state(job) is JobState.WITHDRAWN


def test_a_delivered_draft_gets_a_visible_notice(ward: Ward, pacs: orthanc.Orthanc) -> None:
    job = a_read_study(ward, "notice")
    context = ward.context(pacs.node)
    carry(context)
    done = withdraw(ward, job.study_instance_uid)
    assert (done.revisions, done.destinations) == ((1,), ("pacs",))
    carry(context)
    assert ward.state(job) is JobState.WITHDRAWN
    notice = newest(ward, job.study_instance_uid)
    assert (notice.state, notice.revision) == (JobState.DELIVERED, 2)
    draft, shown = held(pacs, job.study_instance_uid)
    assert shown.SeriesDescription == "WITHDRAWN AI DRAFT r1, notice r2"
    assert LINE in words_of(shown)
    assert f"Reason: {REASON}" in words_of(shown)
    named = shown.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert named.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == draft.SOPInstanceUID
    assert shown.PatientID == draft.PatientID
    assert states(ward) == {(1, "pacs"): RetirementState.LEFT}
    (event,) = audited(ward, "study_withdrawn")
    assert (event.user_id, event.detail["revisions"]) == ("dr.example", [1])


def test_withdrawing_twice_is_refused_and_changes_nothing(ward: Ward) -> None:
    job = a_read_study(ward, "twice")
    withdraw(ward, job.study_instance_uid)
    with pytest.raises(NothingToWithdraw):
        withdraw(ward, job.study_instance_uid)
    assert len(audited(ward, "study_withdrawn")) == 1


def test_a_half_sent_draft_is_stopped_and_all_of_it_named(ward: Ward) -> None:
    job, kept = ward.an_encoded_job()
    with unreliable_archive.running(Manners(cut_after=2)) as archive:
        context = ward.context(archive.node)
        deliver(context)
        assert ward.state(job) is JobState.SENDING
        withdraw(ward, job.study_instance_uid)
        archive.manners.cut_after = None
        ward.clock.turn(3600)
        carry(context)
        late = set(archive.kept) - {one.ref.sop_instance_uid for one in kept}
        assert len(archive.kept) == 2 + len(late)
        (notice,) = late
    content = b"".join(Path(one).read_bytes() for one in _kept_of(ward, job.study_instance_uid))
    assert notice.encode() in content
    for one in kept:
        assert one.ref.sop_instance_uid.encode() in content


def _kept_of(ward: Ward, study: str) -> list[Path]:
    folder = ward.home / "results" / str(newest(ward, study).job_id)
    return sorted(folder.rglob("text-1.dcm"))


def test_a_deliverer_in_the_middle_of_it_is_waited_for(ward: Ward) -> None:
    job = a_read_study(ward, "middle")
    with unreliable_archive.running(Manners(cut_after=0)) as archive:
        context = ward.context(archive.node)
        deliver(context)
        with ward.database.begin() as session:
            row = session.scalars(
                select(ConsignmentRow).where(ConsignmentRow.job_id == job.job_id)
            ).one()
            row.owner, row.lease_until = "worker-2", ward.clock.now + context.lease
        withdraw(ward, job.study_instance_uid)
        archive.manners.cut_after = None
        assert deliver(context) is None
        ward.clock.turn(context.lease.total_seconds())
        assert deliver(context) is not None
    assert newest(ward, job.study_instance_uid).state == JobState.DELIVERED


def test_a_withdrawn_study_is_not_read_again_by_itself(ward: Ward) -> None:
    film = a_film("stays")
    job = ward.queue(film)
    ward.analyse()
    withdraw(ward, job.study_instance_uid)
    ward.receive(film)
    film.PatientName = "CORRECTED^NAME"
    ward.receive(film)
    assert ward.close() == ()
    with ward.database.begin() as session:
        study = session.get_one(StudyRow, job.study_instance_uid)
        assert (study.state, study.revision) == (StudyState.CLOSED, 1)


def test_a_study_withdrawn_while_it_collects_is_not_read(ward: Ward) -> None:
    film = a_film("collecting")
    ward.receive(film)
    withdraw(ward, str(film.StudyInstanceUID))
    assert ward.close() == ()


def test_a_replay_lifts_the_withdrawal_and_replaces_the_notice(
    ward: Ward, pacs: orthanc.Orthanc
) -> None:
    job = a_read_study(ward, "lifted")
    context = ward.context(pacs.node)
    carry(context)
    withdraw(ward, job.study_instance_uid)
    carry(context)
    again = read_again(ward, job.study_instance_uid)
    assert again.revision == 3
    carry(context)
    *older, new = held(pacs, job.study_instance_uid)
    assert new.SeriesDescription == "AI DRAFT text r3, not verified (DEMO)"
    named = {
        str(one.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        for one in new.PredecessorDocumentsSequence[0].ReferencedSeriesSequence
    }
    assert named == {str(ds.SOPInstanceUID) for ds in older}
    withdraw(ward, job.study_instance_uid)  # it can be withdrawn again


def test_shadow_results_are_withdrawn_silently(ward: Ward) -> None:
    job = a_read_study(ward, "shadow")
    with unreliable_archive.running() as archive:
        context = ward.context(archive.node, delivery="shadow")
        carry(context)
        assert ward.state(job) is JobState.SHADOW
        assert withdraw(ward, job.study_instance_uid).notice_job_id is None
        carry(context)
        assert archive.arrived == []
    assert ward.state(job) is JobState.WITHDRAWN


def test_old_objects_are_rejected_after_the_new_ones_are_proven(ward: Ward) -> None:
    old = a_read_study(ward, "order")
    with unreliable_archive.running(also=(rejection.KEY_OBJECT_SELECTION,)) as archive:
        context = ward.context(archive.node, replaced="reject")
        carry(context)
        new = read_again(ward, old.study_instance_uid)
        archive.manners.lies = True
        deliver(context)
        assert ward.state(new) is JobState.SENT
        assert retirements(ward) == {}
        assert not retire(context)
        archive.manners.lies = False
        for _ in range(2):  # overdue, so it is sent again; then proven
            ward.clock.turn(3600)
            carry(context)
        assert states(ward) == {(1, "pacs"): RetirementState.REJECTED}
        assert len(archive.kept) == 3
    (event,) = audited(ward, "objects_rejected")
    assert event.detail["objects"] == [_only_result(ward, old)]


def _only_result(ward: Ward, job: Job) -> str:
    (path,) = (ward.home / "results" / str(job.job_id)).rglob("text-1.dcm")
    return str(dcmread(path).SOPInstanceUID)


@pytest.mark.parametrize("withdrawn", [False, True])
def test_the_note_says_whether_a_draft_was_replaced_or_withdrawn(
    ward: Ward, pacs: orthanc.Orthanc, withdrawn: bool
) -> None:
    job = a_read_study(ward, f"note-{withdrawn}")
    context = ward.context(pacs.node, replaced="reject")
    carry(context)
    if withdrawn:
        withdraw(ward, job.study_instance_uid)
    else:
        read_again(ward, job.study_instance_uid)
    carry(context)
    (note,) = (ds for ds in held(pacs, job.study_instance_uid) if ds.Modality == "KO")
    assert note.SeriesDescription == "AI DRAFT r1 rejected"
    code = note.ConceptNameCodeSequence[0].CodeValue
    assert code == ("113037" if withdrawn else "113001")
    said = f"Withdrawn: {REASON}" if withdrawn else "Replaced by revision 2 of the AI draft."
    assert said in words_of(note)


def test_an_archive_without_key_object_selection_is_told_to_a_person(ward: Ward) -> None:
    job = a_read_study(ward, "refuses")
    with unreliable_archive.running() as archive:
        context = ward.context(archive.node, replaced="reject")
        carry(context)
        read_again(ward, job.study_instance_uid)
        carry(context)
    (row,) = retirements(ward).values()
    assert (row.state, row.reason) == (RetirementState.FAILED, NOT_TAKEN)
    (event,) = audited(ward, "objects_not_retired")
    assert event.event_outcome_indicator == 8


def test_what_was_left_can_be_deleted_later(ward: Ward, pacs: orthanc.Orthanc) -> None:
    job = a_read_study(ward, "later")
    carry(ward.context(pacs.node))
    withdraw(ward, job.study_instance_uid)
    carry(ward.context(pacs.node))
    assert states(ward) == {(1, "pacs"): RetirementState.LEFT}
    with ward.database.begin() as session:
        study = job.study_instance_uid
        assert retiring.reopen(session, study, "operator", ward.clock.now) == 1
    carry(ward.context(pacs.node, replaced=f"delete;orthanc={pacs.url}"))
    assert states(ward) == {(1, "pacs"): RetirementState.DELETED}
    with ward.database.begin() as session:
        (words,) = withdrawal_queries.retired(session, job.job_id)
        assert words == "pacs: old objects are deleted"


@pytest.mark.parametrize("over", ["dimse", "dicomweb"])
def test_old_objects_are_deleted_and_nothing_else(
    ward: Ward, pacs: orthanc.Orthanc, over: str
) -> None:
    film = a_film(f"delete-{over}")
    pacs.upload(encode(film))
    job = ward.queue(film)
    ward.analyse()
    word = f"delete;orthanc={pacs.url}"
    web = {"destinations": f"web={pacs.dicomweb_url};replaced={word}"}
    settings = {"replaced": word} if over == "dimse" else web
    context = ward.context(pacs.node if over == "dimse" else None, **settings)
    carry(context)
    read_again(ward, job.study_instance_uid)
    carry(context)
    (row,) = retirements(ward).values()
    assert (row.state, row.reason) == (RetirementState.DELETED, None)
    draft, shown = "AI DRAFT text r2, not verified (DEMO)", str(film.get("SeriesDescription"))
    assert sorted(described(pacs, job.study_instance_uid)) == sorted([draft, shown])
    withdraw(ward, job.study_instance_uid)
    carry(context)
    notice = "WITHDRAWN AI DRAFT r1, r2, notice r3"
    assert sorted(described(pacs, job.study_instance_uid)) == sorted([notice, shown])


def test_an_archive_that_does_not_delete_is_told_to_a_person(
    ward: Ward, pacs: orthanc.Orthanc
) -> None:
    # The DICOMweb of this Orthanc has no DELETE.
    job = a_read_study(ward, "no-delete")
    context = ward.context(None, destinations=f"web={pacs.dicomweb_url};replaced=delete")
    carry(context)
    read_again(ward, job.study_instance_uid)
    carry(context)
    (row,) = retirements(ward).values()
    assert row.state == RetirementState.FAILED
    assert "the archive answered 400 to DELETE" in str(row.reason)
    assert len(described(pacs, job.study_instance_uid)) == 2


def test_a_dead_interface_of_deletion_is_tried_again(ward: Ward, pacs: orthanc.Orthanc) -> None:
    job = a_read_study(ward, "dead-interface")
    gone = f"http://127.0.0.1:{orthanc.free_port()}"
    carry(ward.context(pacs.node, replaced=f"delete;orthanc={gone}"))
    read_again(ward, job.study_instance_uid)
    carry(ward.context(pacs.node, replaced=f"delete;orthanc={gone}"))
    assert states(ward) == {(1, "pacs"): RetirementState.OPEN}
    ward.clock.turn(3600)
    carry(ward.context(pacs.node, replaced=f"delete;orthanc={pacs.url}"))
    assert states(ward) == {(1, "pacs"): RetirementState.DELETED}


def test_each_archive_has_its_own_state(ward: Ward, pacs: orthanc.Orthanc) -> None:
    job = a_read_study(ward, "several")
    with unreliable_archive.running() as other:
        settings = {"destinations": f"other={other.node};replaced=reject"}
        context = ward.context(pacs.node, replaced=f"delete;orthanc={pacs.url}", **settings)
        carry(context)
        withdraw(ward, job.study_instance_uid)
        carry(context)
        assert states(ward) == {
            (1, "pacs"): RetirementState.DELETED,
            (1, "other"): RetirementState.FAILED,
        }
        assert len(other.kept) == 2


def test_two_deliverers_retire_once(ward: Ward) -> None:
    job = a_read_study(ward, "fence")
    with unreliable_archive.running(also=(rejection.KEY_OBJECT_SELECTION,)) as archive:
        context = ward.context(archive.node, replaced="reject")
        carry(context)
        read_again(ward, job.study_instance_uid)
        while deliver(context) is not None:
            pass
        with ward.database.begin() as session:
            row = session.scalars(select(RetirementRow)).one()
            row.owner, row.lease_until = "worker-2", ward.clock.now + context.lease
        assert not retire(context)
        ward.clock.turn(context.lease.total_seconds() + 1)
        assert retire(context)
        assert not retire(context)
    assert len(audited(ward, "objects_rejected")) == 1


def test_an_older_draft_is_not_sent_to_an_archive_it_has_not_begun_with(
    ward: Ward, pacs: orthanc.Orthanc
) -> None:
    job = a_read_study(ward, "overtaken")
    context = ward.context(pacs.node, destinations=f"other={nobody()}")
    carry(context)
    assert ward.state(job) is JobState.SENDING
    new = read_again(ward, job.study_instance_uid)
    assert ward.state(job) is JobState.DELIVERED
    with unreliable_archive.running() as other:
        ward.clock.turn(3600)
        carry(ward.context(pacs.node, destinations=f"other={other.node}"))
        assert other.arrived == [_only_result(ward, new)]
    assert ward.state(new) is JobState.DELIVERED


def test_an_older_draft_that_arrives_late_retires_too(ward: Ward) -> None:
    job = a_read_study(ward, "late")
    with unreliable_archive.running(
        Manners(lies=True), also=(rejection.KEY_OBJECT_SELECTION,)
    ) as archive:
        context = ward.context(archive.node, replaced="reject", proof_timeout_s=86400)
        deliver(context)
        assert ward.state(job) is JobState.SENT  # and not proven
        new = read_again(ward, job.study_instance_uid)
        archive.manners.lies = False
        deliver(context)
        assert ward.state(new) is JobState.DELIVERED
        assert not retire(context)  # the old one is still on its way
        assert states(ward) == {(1, "pacs"): RetirementState.OPEN}
