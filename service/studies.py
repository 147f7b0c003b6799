"""What becomes of a study when something arrives, and when it has been quiet for long enough."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from service import audit, jobs
from service.db import intake_queries, locks, withdrawal_queries
from service.db.tables import InstanceRow, JobRow, StudyRow
from service.errors import StudyHeld, UnknownStudy
from service.patients import PatientKeys, are_one
from service.values import AuditEvent, EventType, Job, JobCause, JobFacts, JobState, StudyState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

CLOSE_AT_ONCE = 20
"""Few, since each stays locked until all are closed, and intake waits."""

TWO_PATIENTS = "TWO_PATIENTS"
PIXELS_DIFFER = "PIXELS_DIFFER"
PATIENT_DIFFERS = "PATIENT_DIFFERS"
HELD_WORDS = {
    TWO_PATIENTS: "the study holds instances of more than one patient",
    PATIENT_DIFFERS: "the archive knows the study under another patient number",
    PIXELS_DIFFER: "an instance came again under the same UID with different pixels",
}


@dataclass(frozen=True, slots=True)
class Arrival:
    """A new instance, already recorded, and the images it says it was made from."""

    row: InstanceRow
    source_sop_instance_uids: tuple[str, ...] = ()


def locked(
    session: "Session",
    study_instance_uids: "Iterable[str]",
    now: "datetime",
    quiet_period: timedelta,
) -> dict[str, StudyRow]:
    """Return the studies' rows, made if need be, locked in one fixed order."""
    found = {}
    for uid in sorted(set(study_instance_uids)):
        intake_queries.begin_study(session, uid, now, quiet_period)
        found[uid] = lock(session, uid)
    return found


def arrived(
    session: "Session", study: StudyRow, new: Arrival, now: "datetime", quiet_period: timedelta
) -> None:
    """Let a study know of a new instance, already recorded.

    While it collects, the quiet period starts again. Later only a new eligible acquisition opens
    it (design rule 5): a lateral or a processed copy that comes late does not.
    """
    study.last_received_at = now
    state = StudyState(study.state)
    if state is StudyState.COLLECTING:
        study.quiet_until = now + quiet_period
    elif state is StudyState.NO_FILM and new.row.candidate:
        collect(session, study, JobCause.NEW_STUDY, now, quiet_period)
    elif state is StudyState.CLOSED and new.row.eligible and _is_new_acquisition(session, new):
        collect(session, study, JobCause.NEW_ACQUISITION, now, quiet_period)
    check_patients(session, study, now, quiet_period)


def corrected(
    session: "Session",
    study: StudyRow,
    now: "datetime",
    quiet_period: timedelta,
    *,
    renamed: bool = False,
) -> None:
    """Let a study know that a header of it was corrected.

    A draft of which nothing has been sent is made again from the corrected header. One that is
    in the archive, or half-way there, is replaced when the patient is ``renamed``; else it stays,
    and the study is flagged for a person.
    """
    study.last_received_at = now
    state = StudyState(study.state)
    if state is StudyState.COLLECTING:
        study.quiet_until = now + quiet_period
    elif state is StudyState.NO_FILM:
        collect(session, study, JobCause.NEW_STUDY, now, quiet_period)
    elif state is StudyState.CLOSED and not renamed and _something_was_sent(session, study):
        study.corrected_after_sending = True
        _tell(session, study, EventType.STUDY_CORRECTED, now, {"after_sending": True})
    elif state is StudyState.CLOSED:
        collect(session, study, JobCause.CORRECTED_HEADER, now, quiet_period)
    elif study.held_code == PATIENT_DIFFERS:
        let_go(session, study, jobs.SYSTEM, now, quiet_period)  # the archive is asked again
    check_patients(session, study, now, quiet_period)


def collect(
    session: "Session",
    study: StudyRow,
    cause: JobCause,
    now: "datetime",
    quiet_period: timedelta,
) -> None:
    """Start the quiet period again; what has not been sent is not worth finishing.

    A study whose drafts were withdrawn is not read by itself: it stays closed.
    """
    if withdrawal_queries.is_withdrawn(session, study.study_instance_uid):
        study.state = StudyState.CLOSED.value
        return
    study.state = StudyState.COLLECTING.value
    study.next_cause = cause.value
    study.quiet_until = now + quiet_period
    session.flush()
    facts = JobFacts(reason_code=cause.value, reason="the study has changed since")
    jobs.supersede(session, study.study_instance_uid, now, facts)


def hold(session: "Session", study: StudyRow, code: str, now: "datetime") -> None:
    """Make no draft of this study until a person has looked; nothing half-made goes out."""
    if study.state == StudyState.HELD and study.held_code == PIXELS_DIFFER:
        return  # the graver reason stays: it does not resolve itself
    study.state = StudyState.HELD.value
    study.held_code = code
    study.held_reason = HELD_WORDS[code]
    session.flush()
    facts = JobFacts(reason_code=code, reason=study.held_reason)
    jobs.supersede(session, study.study_instance_uid, now, facts)
    _tell(session, study, EventType.STUDY_HELD, now, {"code": code})


def check_patients(
    session: "Session", study: StudyRow, now: "datetime", quiet_period: timedelta
) -> None:
    """Hold a study with two patients; let it go when corrected headers have made them one."""
    session.flush()
    found = session.execute(
        select(InstanceRow.patient_key, InstanceRow.issuer_key, InstanceRow.name_key)
        .where(
            InstanceRow.study_instance_uid == study.study_instance_uid,
            InstanceRow.current,
        )
        .distinct()
    )
    one = are_one(PatientKeys(*row) for row in found)
    held_for_two = study.state == StudyState.HELD and study.held_code == TWO_PATIENTS
    if not one and not held_for_two:
        hold(session, study, TWO_PATIENTS, now)
    elif one and held_for_two:
        let_go(session, study, jobs.SYSTEM, now, quiet_period)


def release(session: "Session", study_instance_uid: str, user_id: str, now: "datetime") -> None:
    """Let a study with changed pixels go at a person's word: the first pixels are read.

    Two patients are never mixed at anybody's word: that resolves itself when the archive sends
    corrected headers.

    Raises
    ------
    UnknownStudy
        If there is no such study.
    StudyHeld
        If two patients are in it.
    """
    study = lock(session, study_instance_uid)
    if study.held_code == TWO_PATIENTS:
        raise StudyHeld(HELD_WORDS[TWO_PATIENTS])
    if study.state == StudyState.HELD:
        let_go(session, study, user_id, now, timedelta())


def close_quiet(session: "Session", now: "datetime") -> tuple[Job, ...]:
    """Open a job for every study that has been quiet for long enough.

    A study without anything of a class that is read becomes NO_FILM. A held study is never
    closed. A study that something is arriving in just now is left to the next round.
    """
    rows = session.scalars(
        select(StudyRow)
        .where(StudyRow.state == StudyState.COLLECTING, StudyRow.quiet_until <= now)
        .order_by(StudyRow.quiet_until)
        .limit(CLOSE_AT_ONCE)
        .with_for_update(skip_locked=True, key_share=True)
    ).all()
    opened = []
    for study in rows:
        is_read = has_film(session, study)
        study.state = (StudyState.CLOSED if is_read else StudyState.NO_FILM).value
        session.flush()
        _tell(session, study, EventType.STUDY_CLOSED, now, {"state": study.state})
        if is_read:
            cause = JobCause(study.next_cause)
            opened.append(jobs.open_for(session, study.study_instance_uid, cause, now))
    return tuple(opened)


def let_go(
    session: "Session", study: StudyRow, user_id: str, now: "datetime", quiet_period: timedelta
) -> None:
    """Let a held study go on; ``user_id`` is who says so."""
    detail = {"code": study.held_code, "by": user_id}
    study.held_code = study.held_reason = None
    cause = JobCause.CORRECTED_HEADER if study.revision else JobCause.NEW_STUDY
    collect(session, study, cause, now, quiet_period)
    _tell(session, study, EventType.STUDY_RELEASED, now, detail)


def lock(session: "Session", study_instance_uid: str) -> StudyRow:
    """Return a study's row, locked; raises :class:`UnknownStudy`."""
    row = locks.study(session, study_instance_uid)
    if row is None:
        raise UnknownStudy("no such study")
    return row


def has_film(session: "Session", study: StudyRow) -> bool:
    """Return whether anything in a study is of a class that is read."""
    found = session.scalars(
        select(InstanceRow.id)
        .where(
            InstanceRow.study_instance_uid == study.study_instance_uid,
            InstanceRow.current,
            InstanceRow.candidate,
        )
        .limit(1)
    )
    return found.first() is not None


def _is_new_acquisition(session: "Session", new: Arrival) -> bool:
    """Return whether no film here is of the same exposure, as far as the headers tell."""
    same: ColumnElement[bool] = InstanceRow.sop_instance_uid.in_(new.source_sop_instance_uids)
    if new.row.acquisition:
        same |= InstanceRow.acquisition == new.row.acquisition
    found = session.scalars(
        select(InstanceRow.id)
        .where(
            InstanceRow.study_instance_uid == new.row.study_instance_uid,
            InstanceRow.sop_instance_uid != new.row.sop_instance_uid,
            InstanceRow.current,
            InstanceRow.eligible,
            same,
        )
        .limit(1)
    )
    return found.first() is None


def _something_was_sent(session: "Session", study: StudyRow) -> bool:
    """Return whether (part of) the newest draft may be in the archive."""
    newest = session.scalars(
        select(JobRow).where(
            JobRow.study_instance_uid == study.study_instance_uid,
            JobRow.revision == study.revision,
        )
    ).one_or_none()
    if newest is None:
        return False
    was_refused = newest.state == JobState.FAILED and newest.encoded_at is not None
    return was_refused or newest.state in jobs.SENT_STATES


def _tell(
    session: "Session",
    study: StudyRow,
    event_type: EventType,
    now: "datetime",
    detail: "Mapping[str, Any]",
) -> None:
    event = AuditEvent(
        event_type=event_type,
        event_action_code="U",
        event_outcome_indicator=8 if event_type is EventType.STUDY_HELD else 0,
        user_id=str(detail.get("by", jobs.SYSTEM)),
        study_instance_uid=study.study_instance_uid,
        detail=detail,
    )
    audit.record(session, event, now)
