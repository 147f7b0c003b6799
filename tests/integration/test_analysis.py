"""The analyse step against a real database, with stand-ins for the network that misbehave."""

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import unreliable_archive
from pydicom import dcmread
from sqlalchemy import select
from ward import Ward, a_film

from dicom.errors import EncodingFailed
from dicom.values import ResultKind
from models.errors import BundleMissing, GpuOutOfMemory, UnreadableImage
from models.fakes import FakeEye, Planted
from models.values import ChestImage, Sight
from models.vocabulary import Observation, ScopeReason
from service import jobs
from service.db.engine import Database
from service.db.tables import ResultRow
from service.values import Job, JobCause, JobFacts, JobState
from workers.deliver_step import deliver

pytestmark = pytest.mark.integration

EVERYTHING = ",".join(ResultKind)
LATER = datetime(2026, 1, 2, 11, 45, tzinfo=UTC)  # a second exposure, not a processed copy


@dataclass(frozen=True, slots=True)
class Watched(FakeEye):
    """Calls ``watch`` with the films before it looks at them, and remembers the batches."""

    watch: Callable[[Sequence[ChestImage]], None] = lambda _: None
    batches: list[int] = field(default_factory=list)

    def look(self, images: Sequence[ChestImage]) -> tuple[Sight, ...]:
        self.batches.append(len(images))
        self.watch(images)
        return FakeEye.look(self, images)


def stumbling_over(
    uid: str, error: type[Exception], *, at_least: int = 1
) -> Callable[[Sequence[ChestImage]], None]:
    """Raise when the film is in a batch of ``at_least`` films."""

    def watch(images: Sequence[ChestImage]) -> None:
        if len(images) >= at_least and any(image.image_id == uid for image in images):
            raise error("as told")

    return watch


@pytest.fixture
def ward(database: Database, tmp_path: Path) -> Ward:
    return Ward(database, tmp_path)


def results_of(ward: Ward, job: Job) -> dict[ResultKind, Path]:
    with ward.database.begin() as session:
        rows = session.scalars(select(ResultRow).where(ResultRow.job_id == job.job_id))
        return {ResultKind(row.kind): ward.home / "results" / row.path for row in rows}


def test_a_film_becomes_kept_results_and_rings_once(ward: Ward) -> None:
    job = ward.queue(a_film("one"))
    assert ward.analyse(results=EVERYTHING) == (job.job_id,)
    assert ward.state(job) is JobState.ENCODED
    assert ward.rung == [job.job_id]
    found = results_of(ward, job)
    assert {ResultKind.TEXT_SR, ResultKind.ANATOMY_SEG} <= set(found)
    with ward.database.begin() as session:
        for row in session.scalars(select(ResultRow)):
            content = (ward.home / "results" / row.path).read_bytes()
            assert hashlib.sha256(content).hexdigest() == row.sha256
            assert row.size_bytes == len(content)
    assert (ward.home / "results" / str(job.job_id) / "overlay.png").read_bytes()[1:4] == b"PNG"


def test_the_whole_way_of_a_film_is_in_the_audit_trail(ward: Ward) -> None:
    job = ward.queue(a_film("one"))
    ward.analyse()
    expected = ["job_opened", "job_claimed", "films_chosen", "analysed", "results_encoded"]
    assert ward.events(job) == expected


def test_the_job_tells_what_was_made_with_what_and_for_how_long(ward: Ward) -> None:
    plant = Planted(Observation.MASS)
    ward.eye = lambda: FakeEye(planted=(plant,))
    job = ward.queue(a_film("one"))
    ward.analyse()
    row = ward.job(job)
    assert row.bundle is not None
    assert row.bundle.startswith("fake-eye 0.0 ")
    assert row.summary is not None
    assert row.summary["use"] == "demo"
    found = {(one["observation"], one["state"]) for one in row.summary["films"][0]["findings"]}
    assert ("mass or nodule", "PRESENT") in found
    assert any("NOT FOR CLINICAL USE" in line for line in row.summary["banner"])
    assert row.stage_seconds is not None
    assert {"wait", "pick", "look", "conclude", "ask", "encode", "keep"} <= set(row.stage_seconds)


def test_a_lateral_is_skipped_with_its_reason(ward: Ward) -> None:
    job = ward.queue(a_film("one", view_position="LL"))
    assert ward.analyse() == ()
    row = ward.job(job)
    assert row.state == JobState.SKIPPED
    assert row.reason
    assert results_of(ward, job) == {}
    assert ward.events(job)[-2:] == ["film_rejected", "job_skipped"]


def test_a_film_that_only_the_picture_betrays_is_skipped_with_words(ward: Ward) -> None:
    ward.eye = lambda: FakeEye(in_scope=0.1, reason=ScopeReason.NOT_A_CHEST)
    job = ward.queue(a_film("one"))
    ward.analyse()
    row = ward.job(job)
    assert (row.state, row.reason_code) == (JobState.SKIPPED, "NOT_A_CHEST")
    assert "chest" in str(row.reason)


def test_a_study_with_one_readable_film_is_read_and_the_other_named(ward: Ward) -> None:
    lateral = a_film("two", study="s", view_position="LL")
    job = ward.queue(a_film("one", study="s"), lateral)
    ward.analyse()
    row = ward.job(job)
    assert row.state == JobState.ENCODED
    assert row.summary is not None
    (rejected,) = row.summary["rejected"]
    assert rejected["sop_instance_uid"] == str(lateral.SOPInstanceUID)


def test_a_batch_is_looked_at_together(ward: Ward) -> None:
    eye = Watched()
    ward.eye = lambda: eye
    for name in ("one", "two", "three"):
        ward.receive(a_film(name))
    opened = ward.close()
    assert len(ward.analyse()) == 3
    assert eye.batches == [3]
    assert {ward.state(job) for job in opened} == {JobState.ENCODED}


def test_a_message_that_comes_twice_changes_nothing(ward: Ward) -> None:
    job = ward.queue(a_film("one"))
    ward.analyse()
    before = results_of(ward, job)
    assert ward.analyse() == ()
    assert ward.rung == [job.job_id]
    assert results_of(ward, job) == before


def test_a_file_that_is_garbage_never_harms_the_others_of_its_batch(ward: Ward) -> None:
    bad, good = a_film("bad"), a_film("good")
    ward.receive(bad, good)
    first, second = ward.close()
    for path in (ward.home / "spool").rglob("*.dcm"):
        if dcmread(path).SOPInstanceUID == bad.SOPInstanceUID:
            path.write_bytes(b"garbage" * 100)
    ward.analyse()
    states = {job.study_instance_uid: ward.state(job) for job in (first, second)}
    assert states[str(bad.StudyInstanceUID)] is JobState.FAILED
    assert states[str(good.StudyInstanceUID)] is JobState.ENCODED


def test_a_film_that_has_rotted_in_the_spool_is_not_read(ward: Ward) -> None:
    job = ward.queue(a_film("one"))
    (path,) = (ward.home / "spool").rglob("*.dcm")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x01  # one bit of one pixel: nothing a decoder would notice
    path.write_bytes(content)
    ward.analyse()
    row = ward.job(job)
    assert (row.state, row.reason_code) == (JobState.FAILED, "SpooledFileDamaged")
    assert "send the study again" in str(row.reason)


def test_a_file_that_cannot_be_opened_is_tried_again_and_then_fails(ward: Ward) -> None:
    job = ward.queue(a_film("one"))
    (path,) = (ward.home / "spool").rglob("*.dcm")
    content = path.read_bytes()
    path.unlink()
    ward.analyse()
    assert (ward.state(job), ward.delay_s(job)) == (JobState.QUEUED, 2)
    assert ward.analyse() == ()
    ward.clock.turn(2)
    path.write_bytes(content)
    ward.analyse()
    assert ward.state(job) is JobState.ENCODED


def test_retries_end_with_their_cause(ward: Ward) -> None:
    job = ward.queue(a_film("one"))
    for path in (ward.home / "spool").rglob("*.dcm"):
        path.unlink()
    for _ in range(3):
        assert ward.state(job) is JobState.QUEUED
        ward.clock.turn(max(0.0, ward.delay_s(job)))
        ward.analyse()
    row = ward.job(job)
    assert (row.state, row.reason_code) == (JobState.FAILED, "FileNotFoundError")
    assert str(ward.home) not in str(row.reason)


def test_an_unreadable_picture_costs_no_other_film_its_reading(ward: Ward) -> None:
    bad = a_film("bad", study="s", instance_number=2)
    eye = Watched(watch=stumbling_over(str(bad.SOPInstanceUID), UnreadableImage))
    ward.eye = lambda: eye
    job = ward.queue(bad, a_film("good", study="s", acquired_at=LATER))
    ward.analyse()
    row = ward.job(job)
    assert row.state == JobState.ENCODED
    assert row.summary is not None
    assert [one["code"] for one in row.summary["rejected"]] == ["UnreadableImage"]


def test_a_batch_without_room_is_halved_until_it_fits(ward: Ward) -> None:
    def small(images: Sequence[ChestImage]) -> None:
        if len(images) > 1:
            raise GpuOutOfMemory

    eye = Watched(watch=small)
    ward.eye = lambda: eye
    for name in ("a", "b", "c", "d"):
        ward.receive(a_film(name))
    ward.close()
    assert len(ward.analyse()) == 4
    assert eye.batches == [4, 2, 1, 1, 2, 1, 1]


def test_a_film_without_room_is_tried_again_and_then_fails(ward: Ward) -> None:
    film = a_film("one")
    eye = Watched(watch=stumbling_over(str(film.SOPInstanceUID), GpuOutOfMemory))
    ward.eye = lambda: eye
    job = ward.queue(film)
    ward.analyse()
    assert ward.state(job) is JobState.QUEUED
    for _ in range(2):
        ward.clock.turn(max(0.0, ward.delay_s(job)))
        ward.analyse()
    assert (ward.job(job).state, ward.job(job).reason_code) == (JobState.FAILED, "GpuOutOfMemory")


def test_a_draft_is_partial_when_one_film_never_fits(ward: Ward) -> None:
    large = a_film("large", study="s")
    eye = Watched(watch=stumbling_over(str(large.SOPInstanceUID), GpuOutOfMemory))
    ward.eye = lambda: eye
    job = ward.queue(large, a_film("small", study="s", acquired_at=LATER))
    for _ in range(3):
        ward.clock.turn(max(0.0, ward.delay_s(job)))
        ward.analyse()
    row = ward.job(job)
    assert row.state == JobState.ENCODED
    assert row.summary is not None
    assert "lack of memory" in row.summary["films"][0]["partial_reason"]
    text = dcmread(results_of(ward, job)[ResultKind.TEXT_SR])
    assert text.CompletionFlag == "PARTIAL"
    assert "lack of memory" in text.CompletionFlagDescription


def test_when_a_batch_breaks_its_studies_are_read_one_by_one(ward: Ward) -> None:
    bad = a_film("bad")
    eye = Watched(watch=stumbling_over(str(bad.SOPInstanceUID), RuntimeError))
    ward.eye = lambda: eye
    ward.receive(bad, a_film("good"), a_film("fine"))
    opened = ward.close()
    assert ward.analyse() == ()
    for _ in range(3):
        ward.analyse()
    assert eye.batches == [3, 1, 1, 1]
    states = {job.study_instance_uid: ward.state(job) for job in opened}
    assert states.pop(str(bad.StudyInstanceUID)) is JobState.FAILED
    assert set(states.values()) == {JobState.ENCODED}


def test_results_that_cannot_be_encoded_fail_alone(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dicom import results  # noqa: PLC0415

    bad = a_film("bad")
    real = results.build

    def build(drafts: Sequence[object], context: object) -> object:
        if drafts[0].sop_instance_uid == bad.SOPInstanceUID:  # type: ignore[attr-defined]
            raise EncodingFailed("text: ValueError")
        return real(drafts, context)  # type: ignore[arg-type]

    monkeypatch.setattr(results, "build", build)
    ward.receive(bad, a_film("good"))
    opened = ward.close()
    ward.analyse()
    states = {job.study_instance_uid: ward.state(job) for job in opened}
    assert states[str(bad.StudyInstanceUID)] is JobState.FAILED
    assert sorted(states.values()) == [JobState.ENCODED, JobState.FAILED]


def test_a_worker_that_lost_its_claim_changes_nothing(ward: Ward) -> None:
    job = ward.queue(a_film("one"))

    def overtaken(images: Sequence[ChestImage]) -> None:
        ward.eye = FakeEye
        ward.clock.turn(120)
        with ward.database.begin() as session:
            jobs.expire(session, ward.clock.now, 3)
        ward.analyse(owner="worker-2")

    eye = Watched(watch=overtaken)
    ward.eye = lambda: eye
    assert ward.analyse(owner="worker-1") == ()
    assert ward.state(job) is JobState.ENCODED
    assert ward.rung == [job.job_id]
    assert {path.parent.name for path in results_of(ward, job).values()} == {"2"}
    assert ward.events(job).count("results_encoded") == 1


def test_a_study_that_changes_meanwhile_gets_no_results(ward: Ward) -> None:
    job = ward.queue(a_film("one"))

    def changed(images: Sequence[ChestImage]) -> None:
        with ward.database.begin() as session:
            facts = JobFacts(reason_code="CORRECTED_HEADER", reason="the study has changed")
            jobs.supersede(session, job.study_instance_uid, ward.clock.now, facts)

    eye = Watched(watch=changed)
    ward.eye = lambda: eye
    assert ward.analyse() == ()
    assert ward.state(job) is JobState.SUPERSEDED
    assert results_of(ward, job) == {}


def test_without_its_network_a_worker_claims_nothing(ward: Ward) -> None:
    def missing() -> FakeEye:
        raise BundleMissing("no bundle")

    ward.eye = missing
    job = ward.queue(a_film("one"))
    with pytest.raises(BundleMissing):
        ward.analyse()
    assert ward.state(job) is JobState.QUEUED
    assert ward.job(job).attempt == 0


def test_a_worker_that_is_stopped_gives_its_studies_back_without_blame(ward: Ward) -> None:
    def stopped(images: Sequence[ChestImage]) -> None:
        raise SystemExit

    eye = Watched(watch=stopped)
    ward.eye = lambda: eye
    job = ward.queue(a_film("one"))
    with contextlib.suppress(SystemExit):
        ward.analyse()
    row = ward.job(job)
    assert (row.state, row.charged, row.owner) == (JobState.QUEUED, 0, None)


def test_a_study_that_was_interrupted_at_the_hard_limit_keeps_its_charge(ward: Ward) -> None:
    def hung(images: Sequence[ChestImage]) -> None:
        ward.clock.turn(ward.context().settings.hard_limit_s - 1)
        raise SystemExit

    eye = Watched(watch=hung)
    ward.eye = lambda: eye
    job = ward.queue(a_film("one"))
    for _ in range(3):
        with contextlib.suppress(SystemExit):
            ward.analyse()
        with ward.database.begin() as session:
            jobs.expire(session, ward.clock.now, 3)
    row = ward.job(job)
    assert (row.state, row.reason_code, row.charged) == (JobState.FAILED, "POISON", 3)


def test_an_archive_without_seg_is_asked_before_anything_is_encoded(ward: Ward) -> None:
    job = ward.queue(a_film("one"))
    with unreliable_archive.running(without=(ResultKind.ANATOMY_SEG,)) as archive:
        ward.analyse(pacs=archive.node, results=EVERYTHING)
        assert archive.arrived == []
        assert ResultKind.ANATOMY_SEG not in results_of(ward, job)
        deliver(ward.context(archive.node))
    row = ward.job(job)
    assert (row.state, row.reason) == (JobState.DELIVERED, "not taken: SEG")
    assert ResultKind.TEXT_SR in ward.answers(job)


def test_a_new_acquisition_names_what_it_replaces(ward: Ward) -> None:
    first = ward.queue(a_film("one", study="s"))
    with unreliable_archive.running() as archive:
        ward.analyse(pacs=archive.node)
        deliver(ward.context(archive.node))
        assert ward.state(first) is JobState.DELIVERED
        second = ward.queue(a_film("two", study="s", acquired_at=LATER))
        ward.analyse(pacs=archive.node)
    assert (second.revision, second.cause) == (2, JobCause.NEW_ACQUISITION)
    old = dcmread(results_of(ward, first)[ResultKind.TEXT_SR])
    new = dcmread(results_of(ward, second)[ResultKind.TEXT_SR])
    (study,) = new.PredecessorDocumentsSequence
    (item,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert item.ReferencedSOPInstanceUID == old.SOPInstanceUID
    assert new.SOPInstanceUID != old.SOPInstanceUID
