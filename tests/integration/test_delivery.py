"""The deliver step against a real database and real archives, good and bad."""

from collections.abc import Iterator
from pathlib import Path

import orthanc
import pytest
import unreliable_archive
from kept_results import SOP_CLASSES, data_set_bytes
from unreliable_archive import Manners
from ward import Ward, renamed

from dicom.values import PacsNode, ResultKind
from service import jobs, replay, studies
from service.db.engine import Database
from service.values import Job, JobFacts, JobState
from workers.deliver_step import deliver
from workers.verdict import PROCESSING_FAILURES_MAX

pytestmark = pytest.mark.integration

TEXT = ResultKind.TEXT_SR
MASK = ResultKind.FINDING_SEG


@pytest.fixture
def ward(database: Database, tmp_path: Path) -> Ward:
    return Ward(database, tmp_path)


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[orthanc.Orthanc]:
    with orthanc.running(tmp_path_factory.mktemp("orthanc")) as archive:
        yield archive


def nobody() -> PacsNode:
    return PacsNode("GONE", "127.0.0.1", orthanc.free_port())


def test_results_reach_orthanc_unaltered_and_are_proven(ward: Ward, pacs: orthanc.Orthanc) -> None:
    job, kept = ward.an_encoded_job(study="1.2.826.1")
    assert deliver(ward.context(pacs.node)) is not None
    assert ward.state(job) is JobState.DELIVERED
    for result in kept:
        held = pacs.file(result.ref.sop_instance_uid)
        assert data_set_bytes(held) == data_set_bytes(result.path.read_bytes())
    assert all(row.proven_at is not None for row in ward.answers(job).values())


def test_every_arrow_leaves_an_event(ward: Ward) -> None:
    job, _ = ward.an_encoded_job(MASK, TEXT)
    with unreliable_archive.running() as archive:
        deliver(ward.context(archive.node))
    assert ward.events(job)[-6:] == [
        "results_encoded",
        "sending_started",
        "object_sent",
        "object_sent",
        "results_sent",
        "delivery_proven",
    ]


def test_nothing_due_is_nothing_done(ward: Ward) -> None:
    assert deliver(ward.context(nobody())) is None


def test_an_archive_that_is_down_is_tried_for_ever_at_a_capped_interval(ward: Ward) -> None:
    job, kept = ward.an_encoded_job(TEXT)
    context = ward.context(nobody())
    delays = []
    for _ in range(12):
        assert deliver(context) is not None
        delays.append(ward.delay_s(job))
        ward.clock.turn(delays[-1])
    assert delays == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300]
    # Nothing has left the house, so a newer revision may still replace it unseen.
    assert ward.state(job) is JobState.ENCODED
    with unreliable_archive.running() as archive:
        deliver(ward.context(archive.node))
    assert ward.state(job) is JobState.DELIVERED
    assert set(archive.kept) == {kept[0].ref.sop_instance_uid}


def test_a_line_cut_in_the_middle_is_sent_again_to_the_end(ward: Ward) -> None:
    job, kept = ward.an_encoded_job()
    with unreliable_archive.running(Manners(cut_after=2)) as archive:
        context = ward.context(archive.node)
        deliver(context)
        assert ward.state(job) is JobState.SENDING
        assert {kind: row.status for kind, row in ward.answers(job).items()} == {
            ResultKind.ANATOMY_SEG: 0,
            ResultKind.FINDING_SEG: 0,
            ResultKind.PICTURES: None,
        }
        archive.manners.cut_after = None
        ward.clock.turn(ward.delay_s(job))
        deliver(context)
    assert ward.state(job) is JobState.DELIVERED
    for result in kept:
        sent = archive.kept[result.ref.sop_instance_uid]
        assert sent == data_set_bytes(result.path.read_bytes())


@pytest.mark.parametrize("status", [0xA900, 0xC000, 0x0124])
def test_a_refusal_is_a_dead_letter_with_its_cause(ward: Ward, status: int) -> None:
    job, kept = ward.an_encoded_job(MASK, TEXT)
    manners = Manners({SOP_CLASSES[MASK]: status}, comment="wrong object")
    with unreliable_archive.running(manners) as archive:
        deliver(ward.context(archive.node))
    row = ward.job(job)
    assert (row.state, row.reason_code) == (JobState.FAILED, f"STATUS_{status:04X}")
    assert row.reason == f"findings: the archive answered 0x{status:04X} (wrong object)"
    assert archive.arrived == [kept[0].ref.sop_instance_uid]
    assert ward.answers(job)[MASK].error_comment == "wrong object"


def test_a_full_archive_is_tried_for_ever(ward: Ward) -> None:
    job, _ = ward.an_encoded_job(TEXT)
    manners = Manners({SOP_CLASSES[TEXT]: 0xA700})
    with unreliable_archive.running(manners) as archive:
        for _ in range(PROCESSING_FAILURES_MAX + 2):
            deliver(ward.context(archive.node))
            assert ward.state(job) is JobState.SENDING
            ward.clock.turn(ward.delay_s(job))
        archive.manners.statuses = {}
        deliver(ward.context(archive.node))
    assert ward.state(job) is JobState.DELIVERED


def test_a_processing_failure_is_tried_a_few_times_only(ward: Ward) -> None:
    job, _ = ward.an_encoded_job(TEXT)
    tries = 0
    with unreliable_archive.running(Manners({SOP_CLASSES[TEXT]: 0x0110})) as archive:
        while ward.state(job) is not JobState.FAILED:
            deliver(ward.context(archive.node))
            tries += 1
            ward.clock.turn(max(0.0, ward.delay_s(job)))
    assert tries == PROCESSING_FAILURES_MAX


@pytest.mark.parametrize("status", [0xB000, 0x0111])
def test_a_warning_or_already_there_is_as_good_as_stored(ward: Ward, status: int) -> None:
    job, _ = ward.an_encoded_job(TEXT)
    with unreliable_archive.running() as archive:
        context = ward.context(archive.node)
        deliver(context)
        with ward.database.begin() as session:
            replay.redeliver(session, job.study_instance_uid, "operator", ward.clock.now)
        archive.manners.statuses = {SOP_CLASSES[TEXT]: status}
        deliver(context)
    assert ward.state(job) is JobState.DELIVERED


def test_an_archive_without_seg_gets_the_text_and_the_rest_is_named(ward: Ward) -> None:
    job, _ = ward.an_encoded_job()
    with unreliable_archive.running(without=(MASK,)) as archive:
        deliver(ward.context(archive.node))
    row = ward.job(job)
    assert (row.state, row.reason) == (JobState.DELIVERED, "not taken: anatomy, findings")
    assert ward.answers(job)[MASK].not_taken
    assert ward.answers(job)[TEXT].proven_at is not None
    assert "object_not_taken" in ward.events(job)


def test_a_kind_that_is_refused_by_status_as_not_supported_is_left_out(ward: Ward) -> None:
    job, _ = ward.an_encoded_job()
    with unreliable_archive.running(Manners({SOP_CLASSES[MASK]: 0x0122})) as archive:
        deliver(ward.context(archive.node))
    row = ward.job(job)
    assert (row.state, row.reason) == (JobState.DELIVERED, "not taken: anatomy, findings")
    assert ward.answers(job)[MASK].not_taken
    assert len(archive.kept) == 3


def test_an_archive_that_takes_no_text_refuses_the_draft(ward: Ward) -> None:
    job, _ = ward.an_encoded_job(MASK, TEXT)
    with unreliable_archive.running(without=(TEXT,)) as archive:
        deliver(ward.context(archive.node))
    row = ward.job(job)
    assert (row.state, row.reason_code) == (JobState.FAILED, "NO_TEXT_SR")


def test_an_archive_that_lies_is_never_believed(ward: Ward) -> None:
    job, kept = ward.an_encoded_job(TEXT)
    with unreliable_archive.running(Manners(lies=True)) as archive:
        context = ward.context(archive.node, proof_timeout_s=60)
        deliver(context)
        assert ward.state(job) is JobState.SENT
        while ward.state(job) is JobState.SENT:
            assert ward.delay_s(job) <= 30
            ward.clock.turn(ward.delay_s(job))
            deliver(context)
        row = ward.job(job)
        assert row.state == JobState.SENDING
        assert row.sent_at is not None
        assert 60 <= (ward.clock.now - row.sent_at).total_seconds() < 100
        archive.manners.lies = False
        ward.clock.turn(ward.delay_s(job))
        deliver(context)
    assert ward.state(job) is JobState.DELIVERED
    assert set(archive.kept) == {kept[0].ref.sop_instance_uid}


def test_an_archive_that_cannot_be_asked_is_never_called_proof(ward: Ward) -> None:
    job, _ = ward.an_encoded_job(TEXT)
    with unreliable_archive.running(offers_find=False) as archive:
        context = ward.context(archive.node, proof_timeout_s=60)
        for _ in range(8):
            deliver(context)
            assert ward.state(job) is JobState.SENT
            ward.clock.turn(ward.delay_s(job))
    assert len(archive.arrived) == 1
    assert ward.answers(job)[TEXT].proven_at is None


def test_two_deliverers_send_one_draft_once(ward: Ward) -> None:
    job, _ = ward.an_encoded_job(TEXT)
    with unreliable_archive.running() as archive:
        first = ward.context(archive.node)
        assert deliver(first) is not None
        assert deliver(renamed(first, "worker-2")) is None
    assert len(archive.arrived) == 1
    assert ward.state(job) is JobState.DELIVERED


def test_a_deliverer_that_lost_its_claim_sends_nothing(ward: Ward) -> None:
    job, _ = ward.an_encoded_job(TEXT)
    with unreliable_archive.running() as archive:
        context = ward.context(archive.node)

        def steal(target: PacsNode, *rest: object) -> object:
            ward.clock.turn(120)
            with ward.database.begin() as session:
                jobs.expire(session, ward.clock.now, 3)
            return real(target, *rest)

        from dicom import associate  # noqa: PLC0415

        real = associate.associated
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("dicom.send.associated", steal)
            deliver(context)
    assert archive.arrived == []
    assert ward.state(job) is JobState.ENCODED


def test_a_draft_overtaken_by_its_study_is_never_sent(ward: Ward) -> None:
    job, _ = ward.an_encoded_job(TEXT)
    with ward.database.begin() as session:
        facts = JobFacts(reason_code="CORRECTED_HEADER", reason="the study has changed since")
        jobs.supersede(session, job.study_instance_uid, ward.clock.now, facts)
    with unreliable_archive.running() as archive:
        assert deliver(ward.context(archive.node)) is None
    assert archive.associations == 0
    assert ward.state(job) is JobState.SUPERSEDED


def test_a_kept_file_that_changed_is_a_dead_letter(ward: Ward) -> None:
    job, kept = ward.an_encoded_job(TEXT)
    kept[0].path.write_bytes(b"something else")
    with unreliable_archive.running() as archive:
        deliver(ward.context(archive.node))
    assert archive.arrived == []
    assert (ward.job(job).state, ward.job(job).reason_code) == (
        JobState.FAILED,
        "KeptResultDamaged",
    )


FAR = PacsNode("PACS", "198.51.100.7", 104)  # RFC 5737: an address that exists nowhere


def shadowed(ward: Ward, **settings: str) -> Job:
    job, _ = ward.an_encoded_job(TEXT)
    deliver(ward.context(FAR, **settings))
    return job


def test_an_archive_that_is_not_loopback_gets_nothing_by_default(ward: Ward) -> None:
    job = shadowed(ward)
    assert ward.state(job) is JobState.SHADOW
    assert "not set to live" in str(ward.job(job).reason)
    assert ward.events(job)[-1] == "job_shadowed"


def test_a_demo_bundle_is_not_let_out_by_live_alone(ward: Ward) -> None:
    job = shadowed(ward, delivery="live")
    assert ward.state(job) is JobState.SHADOW
    assert "override" in str(ward.job(job).reason)


def test_the_override_is_audited_when_it_is_used(ward: Ward) -> None:
    job, _ = ward.an_encoded_job(TEXT)
    with unreliable_archive.running() as archive:
        # 0.0.0.0 reaches this machine on Linux and yet is no loopback name.
        node = PacsNode("ARCHIVE", "0.0.0.0", archive.node.port)
        deliver(ward.context(node, delivery="live", demo_override=str(node)))
    assert ward.state(job) is JobState.DELIVERED
    assert ward.events(job).count("demo_override_used") == 1


def test_a_clinical_bundle_needs_no_override(ward: Ward) -> None:
    job, _ = ward.an_encoded_job(TEXT, use="clinical")
    with unreliable_archive.running() as archive:
        node = PacsNode("ARCHIVE", "0.0.0.0", archive.node.port)
        deliver(ward.context(node, delivery="live"))
    assert ward.state(job) is JobState.DELIVERED
    assert "demo_override_used" not in ward.events(job)


def test_a_job_that_does_not_say_its_use_is_held_to_be_a_demo(ward: Ward) -> None:
    job, _ = ward.an_encoded_job(TEXT, use="")
    deliver(ward.context(FAR, delivery="live"))
    assert ward.state(job) is JobState.SHADOW


def test_an_override_taken_back_stops_a_delivery_that_had_begun(ward: Ward) -> None:
    job, _ = ward.an_encoded_job(MASK, TEXT)
    with unreliable_archive.running(Manners(cut_after=1)) as archive:
        node = PacsNode("ARCHIVE", "0.0.0.0", archive.node.port)
        deliver(ward.context(node, delivery="live", demo_override=str(node)))
        assert ward.state(job) is JobState.SENDING
        ward.clock.turn(ward.delay_s(job))
        deliver(ward.context(node, delivery="live"))
    assert (ward.job(job).state, ward.job(job).reason_code) == (JobState.FAILED, "SHADOW")
    assert len(archive.arrived) == 2


def test_no_study_is_closed_by_a_delivery(ward: Ward) -> None:
    job, _ = ward.an_encoded_job(TEXT)
    with unreliable_archive.running() as archive:
        deliver(ward.context(archive.node))
    with ward.database.begin() as session:
        assert studies.close_quiet(session, ward.clock.now) == ()
    assert ward.state(job) is JobState.DELIVERED
