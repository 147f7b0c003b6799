"""Received instances and jobs for tests of the service: made up, small, one line each."""

import hashlib
import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dicom.values import (
    FilmHeader,
    InstanceRef,
    KeptResult,
    PatientIdentity,
    Peer,
    ReceivedInstance,
    Resend,
    ResultKind,
)
from service import intake, jobs, studies
from service.db.engine import Database
from service.intake import IntakeRules
from service.values import Fence, Job, JobState, Reception

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
QUIET = timedelta(seconds=10)
LEASE = timedelta(seconds=60)
STUDY = "1.2.3"
CR = "1.2.840.10008.5.1.4.1.1.1"
BASIC_TEXT_SR = "1.2.840.10008.5.1.4.1.1.88.11"
PEER = Peer("MODALITY", "CARINA", "127.0.0.1")
PATIENT = PatientIdentity("4711", "HOSPITAL", "DOE^JOHN", "19600101", "M")

_numbers = itertools.count(1)


def a_patient(patient_id: str = "4711", **fields: str) -> PatientIdentity:
    """Return a patient; what is not named is as in PATIENT."""
    return replace(PATIENT, patient_id=patient_id, **fields)


def an_instance(
    spool: Path,
    *,
    sop_instance_uid: str = "",
    study: str = STUDY,
    content: bytes = b"pixels",
    candidate: bool = True,
    acquisition: str = "",
    sources: tuple[str, ...] = (),
    view_position: str = "PA",
    patient: PatientIdentity = PATIENT,
    series: str = "",
) -> ReceivedInstance:
    """Return an instance that lies in the spool as ``content``; a new UID unless one is given."""
    uid = sop_instance_uid or f"{study}.9.{next(_numbers)}"
    ref = InstanceRef(study, series or f"{study}.1", CR if candidate else BASIC_TEXT_SR, uid)
    sha256 = hashlib.sha256(content + uid.encode()).hexdigest()
    path = spool / "objects" / "aa" / f"{uid}-{sha256[:16]}.dcm"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    header = FilmHeader(
        ref=ref,
        modality="CR",
        is_candidate=candidate,
        view_position=view_position,
        body_part_examined="CHEST",
        image_type=("ORIGINAL", "PRIMARY"),
        presentation_intent_type="",
        patient_orientation=None,
        patient_age_years=50.0,
        rows=8,
        columns=8,
        number_of_frames=1,
        photometric_interpretation="MONOCHROME2",
        samples_per_pixel=1,
        acquisition=acquisition,
        instance_number=1,
        words="",
        source_sop_instance_uids=sources,
    )
    return ReceivedInstance(
        ref=ref,
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        peer=PEER,
        spool_path=path,
        sha256=sha256,
        size_bytes=len(content),
        received_at=NOW,
        patient=patient,
        header=header,
    )


def classify_by_content(old: Path, new: Path) -> Resend:
    """Compare two files of this module: ``header|pixels``, re-encoded pixels in capitals."""
    (old_header, _, old_pixels), (new_header, _, new_pixels) = (
        path.read_bytes().partition(b"|") for path in (old, new)
    )
    if old_pixels.lower() != new_pixels.lower():
        return Resend.PIXELS_DIFFER
    if old_header != new_header:
        return Resend.CORRECTED
    return Resend.REENCODED if old_pixels != new_pixels else Resend.IDENTICAL


def rules(spool: Path) -> IntakeRules:
    """Return rules of intake under which a lateral is not eligible."""
    return IntakeRules(
        spool_root=spool,
        quiet_period=QUIET,
        is_eligible=lambda header: header.view_position != "LL",
        classify=classify_by_content,
    )


def accept(
    database: Database, spool: Path, received: ReceivedInstance, now: datetime = NOW
) -> Reception:
    """Take an instance in."""
    return intake.accept(database, received, rules(spool), now)


def a_queued_job(
    database: Database, spool: Path, *, study: str = STUDY, now: datetime = NOW
) -> Job:
    """Take one film in and close its study; time has passed to ``now + QUIET``."""
    accept(database, spool, an_instance(spool, study=study), now)
    with database.begin() as session:
        opened = studies.close_quiet(session, now + QUIET)
    return next(job for job in opened if job.study_instance_uid == study)


def claimed(
    database: Database, owner: str = "worker-1", now: datetime = NOW + QUIET, limit: int = 1
) -> tuple[tuple[Job, Fence], ...]:
    """Claim jobs in a transaction of their own."""
    with database.begin() as session:
        return jobs.claim(session, owner, limit, now, LEASE)


def a_result(root: Path, job: Job, kind: ResultKind = ResultKind.TEXT_SR) -> KeptResult:
    """Return one kept result of a job, with a file behind it."""
    path = root / str(job.job_id) / f"{kind}.dcm"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"result")
    uid = f"2.25.{int(job.job_id.hex[:24], 16)}.{list(ResultKind).index(kind)}"
    ref = InstanceRef(job.study_instance_uid, f"{uid}.1", BASIC_TEXT_SR, f"{uid}.2")
    return KeptResult(ref, kind, 1, "1.2.840.10008.1.2.1", path, "00" * 32)


def an_encoded_job(database: Database, home: Path, *, study: str = STUDY) -> Job:
    """Bring one job up to ENCODED, with a text SR and a mask kept under ``home/results``."""
    a_queued_job(database, home / "spool", study=study)
    ((job, fence),) = claimed(database)
    root = home / "results"
    kept = [a_result(root, job, kind) for kind in (ResultKind.TEXT_SR, ResultKind.FINDING_SEG)]
    with database.begin() as session:
        jobs.keep_results(session, fence, kept, root)
        return jobs.move(session, fence, JobState.ENCODED, NOW + QUIET)
