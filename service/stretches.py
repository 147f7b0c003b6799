"""What the spans of a study's trace are, read off its rows as they move.

``receive`` film by film, ``close`` until the study is quiet, ``claim`` waiting for a worker,
``read`` one attempt with ``network`` and ``encode`` inside, ``send`` and ``prove`` for each
destination.
"""

from datetime import timedelta
from typing import TYPE_CHECKING

from service.spans import Attempt, Span
from service.values import JobCause, JobState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from dicom.values import ReceivedInstance
    from service.db.outbox_tables import ConsignmentRow
    from service.db.tables import JobRow, StudyRow
    from service.spans import Fact
    from service.values import JobFacts, Reception

BADLY = frozenset({JobState.FAILED, JobState.QUEUED})


def of_reception(received: "ReceivedInstance", reception: "Reception", now: "datetime") -> Span:
    """Return the span of one film: from its last byte until it is recorded."""
    facts: dict[str, Fact] = {
        "reception": reception.value,
        "sop_class_uid": received.ref.sop_class_uid,
        "size_bytes": received.size_bytes,
    }
    study = received.ref.study_instance_uid
    return Span("receive", study, received.received_at, now, facts)


def of_opening(study: "StudyRow", job: "JobRow", now: "datetime") -> Span:
    """Return the span of collecting a study; that of the first revision is the root."""
    facts: dict[str, Fact] = {
        "job_id": str(job.job_id),
        "revision": job.revision,
        "cause": job.cause,
    }
    is_root = job.revision == 1
    begun = study.first_received_at if is_root else study.last_received_at
    if job.cause == JobCause.REPLAY:
        begun = now
    return Span("close", study.study_instance_uid, begun, now, facts, is_root=is_root)


def of_move(row: "JobRow", old: JobState, now: "datetime", facts: "JobFacts") -> "Iterator[Span]":
    """Yield the spans that end with a move of a job, ``row`` being where it has moved to."""
    known: dict[str, Fact] = {
        "job_id": str(row.job_id),
        "revision": row.revision,
        "attempt": row.attempt,
    }
    study, attempt = row.study_instance_uid, Attempt(row.job_id, row.attempt)
    if row.state == JobState.RUNNING:
        begun = min(now, max(row.queued_at, row.next_attempt_at))
        yield Span("claim", study, begun, now, known)
    elif old is JobState.RUNNING and row.claimed_at is not None:
        known |= {"state": row.state, "reason_code": facts.reason_code}
        failed = row.state in BADLY
        yield Span("read", study, row.claimed_at, now, known, itself=attempt, has_failed=failed)
        spent = facts.stage_seconds or {}
        if "look" in spent and row.started_at is not None:
            looked = row.started_at + timedelta(seconds=float(spent["look"]))
            yield Span("network", study, row.started_at, looked, inside=attempt)
        if "encode" in spent:
            encoded = now - timedelta(seconds=float(spent.get("keep", 0.0)))
            begun = encoded - timedelta(seconds=float(spent["encode"]))
            yield Span("encode", study, begun, encoded, inside=attempt)


def of_consignment(job: "JobRow", row: "ConsignmentRow", now: "datetime") -> "Iterator[Span]":
    """Yield the span that ends with a move of a consignment, or with one more try in vain.

    Asking in vain for proof ends nothing: ``prove`` lasts until there is proof.
    """
    facts: dict[str, Fact] = {
        "job_id": str(job.job_id),
        "revision": job.revision,
        "destination": row.destination,
        "state": row.state,
        "tries": row.tries,
        "reason_code": row.reason_code,
    }
    study = job.study_instance_uid
    if row.state == JobState.DELIVERED and row.sent_at is not None:
        yield Span("prove", study, row.sent_at, now, facts)
    elif row.state != JobState.SHADOW and row.claimed_at is not None:
        failed = row.state != JobState.SENT
        yield Span("send", study, row.claimed_at, now, facts, has_failed=failed)
