"""Take back the drafts of a study at a person's word.

What was not sent is never sent. Where something may have been sent, a notice follows: a text SR
that names every object and says that the draft must not be used. It is a job of its own, whose
results are kept and delivered like those of any other, to those archives only that hold something.
"""

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from dicom import inherited
from dicom.errors import UndecodableInstance
from dicom.sr import withdrawn
from dicom.sr.withdrawn import LINE, Withdrawal
from dicom.values import ResultKind
from service import audit, keeping, lifecycle, sources, stopping, studies
from service.db import withdrawal_queries
from service.db.outbox_tables import ConsignmentRow
from service.db.tables import JobRow, ResultRow
from service.db.withdrawal_tables import WithdrawalRow
from service.errors import NothingToWithdraw
from service.values import AuditEvent, EventType, JobCause, JobFacts, JobState, StudyState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from pydicom import Dataset
    from sqlalchemy.orm import Session

    from dicom.values import ResultInstance
    from service.db.tables import StudyRow
    from service.sources import SourceInstance

WITHDRAWN = "WITHDRAWN"
REASON_MAX = 400

WITHDRAWABLE = (
    JobState.QUEUED,
    JobState.RUNNING,
    JobState.ENCODED,
    JobState.SENDING,
    JobState.SENT,
    JobState.DELIVERED,
    JobState.FAILED,
    JobState.SHADOW,
)


@dataclass(frozen=True, slots=True)
class Word:
    """Who withdraws which study, and why. The reason goes into the notice and the audit trail."""

    study_instance_uid: str
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class House:
    """Where things lie: received films, kept results; ``destinations`` are the names in use."""

    spool: Path
    kept_results: Path
    destinations: tuple[str, ...]
    software_version: str


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What was done: the revisions, and the archives that a notice goes to (none: no notice)."""

    study_instance_uid: str
    revisions: tuple[int, ...]
    destinations: tuple[str, ...]
    notice_job_id: "UUID | None"


def withdraw(session: "Session", word: Word, house: House, now: "datetime") -> Withdrawn:
    """Withdraw every draft of a study, made or in the making; audited.

    Nothing in the study is read by itself from here on; a replay lifts that.

    Raises
    ------
    UnknownStudy
        If there is no such study.
    NothingToWithdraw
        If it has no draft, or its drafts are withdrawn already.
    """
    study = studies.lock(session, word.study_instance_uid)
    if withdrawal_queries.is_withdrawn(session, word.study_instance_uid):
        raise NothingToWithdraw("the drafts of this study are withdrawn already")
    rows = _drafts(session, word.study_instance_uid)
    if not rows and study.state != StudyState.COLLECTING:
        raise NothingToWithdraw("this study has no draft")
    facts = JobFacts(reason_code=WITHDRAWN, reason=word.reason)
    sent: list[JobRow] = []
    outlets: dict[str, datetime] = {}
    for row in rows:
        held_by = stopping.stop(session, row, house.destinations, now)
        for name, free_at in held_by.items():
            outlets[name] = max(outlets.get(name, now), free_at)
        sent += [row] if held_by else []
        lifecycle.put(session, row, JobState.WITHDRAWN, now, (word.by, facts))
    if study.state == StudyState.COLLECTING:
        study.state = StudyState.CLOSED.value
    notice = _Notice(session, study, word, house, now).send(sent, outlets) if sent else None
    done = Withdrawn(
        study_instance_uid=word.study_instance_uid,
        revisions=tuple(sorted(row.revision for row in rows)),
        destinations=tuple(sorted(outlets)),
        notice_job_id=notice,
    )
    _write_down(session, word, done, now)
    return done


def lift(session: "Session", study_instance_uid: str, now: "datetime") -> None:
    """Let a study be read again: somebody asked for it."""
    row = session.scalars(
        select(WithdrawalRow).where(
            WithdrawalRow.study_instance_uid == study_instance_uid,
            WithdrawalRow.lifted_at.is_(None),
        )
    ).one_or_none()
    if row is not None:
        row.lifted_at = now
        session.flush()


def _drafts(session: "Session", study_instance_uid: str) -> "Sequence[JobRow]":
    """Return the jobs that are, or may become, drafts, locked, the newest first."""
    rows = session.scalars(
        select(JobRow)
        .where(
            JobRow.study_instance_uid == study_instance_uid,
            JobRow.state.in_(WITHDRAWABLE),
            JobRow.cause != JobCause.WITHDRAWAL,
        )
        .order_by(JobRow.revision.desc())
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    # What failed before anything was made is no draft.
    return [row for row in rows if row.state != JobState.FAILED or row.encoded_at is not None]


def _write_down(session: "Session", word: Word, done: Withdrawn, now: "datetime") -> None:
    session.add(
        WithdrawalRow(
            study_instance_uid=word.study_instance_uid,
            notice_job_id=done.notice_job_id,
            withdrawn_at=now,
            withdrawn_by=word.by,
            reason=word.reason,
        )
    )
    session.flush()
    event = AuditEvent(
        event_type=EventType.STUDY_WITHDRAWN,
        event_action_code="U",
        event_outcome_indicator=0,
        user_id=word.by,
        study_instance_uid=word.study_instance_uid,
        job_id=done.notice_job_id,
        detail={
            "revisions": list(done.revisions),
            "destinations": list(done.destinations),
            "reason": word.reason,
        },
    )
    audit.record(session, event, now)


@dataclass(frozen=True, slots=True)
class _Notice:
    """The notice to be made for one withdrawal."""

    session: "Session"
    study: "StudyRow"
    word: Word
    house: House
    now: "datetime"

    def send(self, sent: "Sequence[JobRow]", outlets: "Mapping[str, datetime]") -> "UUID":
        """Make the notice, keep it, and leave it to the deliverers; return its job."""
        self.study.revision += 1
        job_id = uuid.uuid4()
        results = self._results(sent)
        row = JobRow(
            job_id=job_id,
            study_instance_uid=self.word.study_instance_uid,
            revision=self.study.revision,
            cause=JobCause.WITHDRAWAL.value,
            # Not ENCODED: a film that comes in must never overtake it.
            state=JobState.SENDING.value,
            attempt=0,
            delivery_attempts=0,
            next_attempt_at=min(outlets.values()),
            queued_at=self.now,
            encoded_at=self.now,
            changed_at=self.now,
            replaces_job_id=sent[0].job_id,
            consigned=True,
            summary=self._summary(sent[0]),
        )
        self.session.add(row)
        self.session.flush()
        keeping.keep(self.session, self.house.kept_results, job_id, self._build(row, results))
        for name, free_at in outlets.items():
            self.session.add(
                ConsignmentRow(
                    job_id=job_id,
                    destination=name,
                    state=JobState.SENDING.value,
                    next_attempt_at=free_at,
                    opened_at=self.now,
                )
            )
        self.session.flush()
        detail = {"revision": row.revision, "cause": row.cause}
        event = lifecycle.about(row, EventType.JOB_OPENED, self.word.by, detail)
        audit.record(self.session, event, self.now)
        return job_id

    def _build(self, row: JobRow, results: "Sequence[tuple[ResultRow, int]]") -> "ResultInstance":
        films = [
            one
            for one in sources.current(self.session, self.word.study_instance_uid, self.house.spool)
            if one.candidate
        ]
        texts = [one for one, _ in results if one.kind == ResultKind.TEXT_SR]
        what = Withdrawal(
            job_id=row.job_id,
            revision=row.revision,
            produced_at=self.now,
            source=self._header(films, texts),
            films=tuple(one.ref for one in films),
            replaced=tuple(sources.as_replaced(one, revision) for one, revision in results),
            reason=self.word.reason,
            by=self.word.by,
            software_version=self.house.software_version,
            sop_class_uid=texts[-1].sop_class_uid,
        )
        return withdrawn.build(what)

    def _header(self, films: "Sequence[SourceInstance]", texts: "Sequence[ResultRow]") -> "Dataset":
        """Return who and what the draft was about: a film as it is now, else the draft itself."""
        paths = [one.path for one in films]
        paths += [self.house.kept_results / one.path for one in reversed(texts)]
        for path in paths:
            try:
                return inherited.header_of(path)
            except UndecodableInstance:
                continue
        raise UndecodableInstance("neither a film nor a kept draft of this study can be read")

    def _results(self, sent: "Sequence[JobRow]") -> "Sequence[tuple[ResultRow, int]]":
        rows = self.session.execute(
            select(ResultRow, JobRow.revision)
            .join(JobRow, JobRow.job_id == ResultRow.job_id)
            .where(ResultRow.job_id.in_([row.job_id for row in sent]))
            .order_by(JobRow.revision, ResultRow.id)
        )
        return [(row, revision) for row, revision in rows]

    def _summary(self, newest: JobRow) -> dict[str, object]:
        """Return what `carina show` says; the use decides, as ever, where it may be sent."""
        return {
            "use": (newest.summary or {}).get("use"),
            "films": [],
            "banner": [LINE, f"Reason: {self.word.reason}"],
        }
