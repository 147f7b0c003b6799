"""Bring studies up to date with a correction that came after them.

One transaction per correction: found, locked in order, changed, written down. An interruption
leaves the correction pending, and the sweep goes on with it.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog
from sqlalchemy import func, or_, select

from dicom import header
from dicom.errors import DicomError
from service import audit, corrections, jobs, patients, studies
from service.corrected import CorrectionKind, CorrectionState, PatientNumber
from service.db import intake_queries
from service.db.patient_tables import CorrectedStudyRow, PatientCorrectionRow
from service.db.tables import UNSENT, InstanceRow, JobRow
from service.errors import UnknownCorrection
from service.values import AuditEvent, EventType, JobCause, JobState, StudyState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path
    from uuid import UUID

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

    from dicom.values import PatientIdentity
    from service.db.engine import Database
    from service.db.tables import StudyRow

AT_ONCE: Final = timedelta(0)
NEW_REVISION: Final = "a draft under the new identity follows"
MADE_ANEW: Final = "the draft that was being made is made anew"
RELEASED: Final = "the study was held and goes on"
HELD: Final = "the study is held"
NOTHING_MADE: Final = "no draft bears the old identity"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Places:
    """Where things lie: the folder of corrections, and the spool."""

    corrections: "Path"
    spool: "Path"


def apply_pending(database: "Database", places: Places, now: "datetime") -> int:
    """Apply every correction that is still pending; return how many studies changed.

    Whatever another process is applying just now is left to it.
    """
    changed = 0
    while True:
        with database.begin() as session:
            row = session.scalars(
                select(PatientCorrectionRow)
                .where(PatientCorrectionRow.applied_at.is_(None))
                .order_by(PatientCorrectionRow.number)
                .limit(1)
                .with_for_update(skip_locked=True)
            ).one_or_none()
            if row is None:
                return changed
            changed += _apply(session, row, places, now)
            row.applied_at = now


def undo(
    session: "Session", correction_id: "UUID", user_id: str, places: Places, now: "datetime"
) -> int:
    """Take a correction back: the studies it touched bear what their films say again.

    Returns how many studies changed. Other corrections of the same patient go on holding.

    Raises
    ------
    UnknownCorrection
        If there is none, or it has been undone already.
    """
    session.execute(select(func.pg_advisory_xact_lock(intake_queries.CORRECTIONS_TURN)))
    row = session.get(PatientCorrectionRow, correction_id, with_for_update=True)
    if row is None or row.state != CorrectionState.ACTIVE:
        raise UnknownCorrection("no such correction, or it has been undone")
    row.state, row.undone_by, row.undone_at = CorrectionState.UNDONE.value, user_id, now
    row.applied_at = row.applied_at or now
    session.flush()
    touched = session.scalars(
        select(CorrectedStudyRow)
        .where(CorrectedStudyRow.correction_id == correction_id)
        .order_by(CorrectedStudyRow.study_instance_uid)
    ).all()
    for entry in touched:
        study = studies.lock(session, entry.study_instance_uid)
        _rekey(session, _current(session, study.study_instance_uid), places)
        entry.effect = f"undone: {follow(session, study, now)}"
        entry.changed_at = now
    detail = {"correction": str(correction_id), "studies": len(touched)}
    _tell(session, (EventType.CORRECTION_UNDONE, user_id, None), detail, now)
    return len(touched)


def _apply(session: "Session", row: PatientCorrectionRow, places: Places, now: "datetime") -> int:
    if row.state != CorrectionState.ACTIVE:
        return 0
    if row.study_instance_uid is not None:
        uids: Sequence[str] = (row.study_instance_uid,)
    else:
        prior = corrections.read(places.corrections, row).prior
        uids = session.scalars(
            select(InstanceRow.study_instance_uid).where(*_bears(prior)).distinct()
        ).all()
    for uid in sorted(uids):
        study = studies.lock(session, uid)
        differs = _rekey(session, _current(session, uid), places)
        if row.kind == CorrectionKind.UPDATE and not differs:
            continue
        effect = follow(session, study, now)
        session.merge(
            CorrectedStudyRow(
                correction_id=row.correction_id,
                study_instance_uid=uid,
                effect=effect,
                changed_at=now,
            )
        )
        detail = {"correction": str(row.correction_id), "kind": row.kind, "effect": effect}
        _tell(session, (EventType.PATIENT_CORRECTED, row.made_by, uid), detail, now)
    log.info("correction_applied", correction=str(row.correction_id), studies=len(uids))
    return len(uids)


def _bears(number: PatientNumber) -> "tuple[ColumnElement[bool], ...]":
    """Return the condition that an instance bears a number; its keys are salted by the study."""
    issuer = InstanceRow.issuer_key
    conditions: list[ColumnElement[bool]] = [
        InstanceRow.current.is_(True),
        InstanceRow.patient_key == _salted(number.patient_id),
    ]
    if number.issuer:
        conditions.append(or_(issuer == "", issuer == _salted(number.issuer)))
    return tuple(conditions)


def _salted(text: str) -> "ColumnElement[str]":
    """Return the key of :mod:`service.patients` as Postgres computes it for each study."""
    salted = InstanceRow.study_instance_uid + "\n" + text
    return func.encode(func.sha256(func.convert_to(salted, "UTF8")), "hex")


def _current(session: "Session", study_instance_uid: str) -> "Sequence[InstanceRow]":
    return session.scalars(
        select(InstanceRow).where(
            InstanceRow.study_instance_uid == study_instance_uid, InstanceRow.current
        )
    ).all()


def _rekey(session: "Session", rows: "Sequence[InstanceRow]", places: Places) -> bool:
    """Write the keys of who the headers' patients are now; the files stay as received.

    Returns whether the patient is another than the keys, or the headers, said.
    """
    differs = False
    for row in rows:
        try:
            patient = header.read(places.spool / row.spool_path).patient
        except (DicomError, OSError):
            continue  # a file that is gone or broken keeps the keys it came with
        known = corrections.as_known(session, patient, places.corrections)
        keys = patients.keys(known, row.study_instance_uid)
        before = patients.PatientKeys(row.patient_key, row.issuer_key, row.name_key)
        differs |= keys != before or _born(known) != _born(patient)
        row.patient_key, row.issuer_key = keys.patient_key, keys.issuer_key
        row.name_key = keys.name_key
    session.flush()
    return differs


def _born(patient: "PatientIdentity") -> tuple[str, str]:
    return patient.patient_birth_date, patient.patient_sex


def follow(session: "Session", study: "StudyRow", now: "datetime") -> str:
    """Let a locked study follow its patient; return what that means, in words."""
    was_held = study.state == StudyState.HELD
    effect = NOTHING_MADE
    if study.state == StudyState.CLOSED:
        newest = session.scalars(
            select(JobRow).where(
                JobRow.study_instance_uid == study.study_instance_uid,
                JobRow.revision == study.revision,
            )
        ).one_or_none()
        if newest is not None and _bears_identity(newest):
            effect = MADE_ANEW if newest.state in UNSENT else NEW_REVISION
            studies.collect(session, study, JobCause.CORRECTED_HEADER, now, AT_ONCE)
    elif study.held_code == studies.PATIENT_DIFFERS:
        studies.let_go(session, study, jobs.SYSTEM, now, AT_ONCE)  # the archive is asked again
    studies.check_patients(session, study, now, AT_ONCE)
    if study.state == StudyState.HELD:
        return HELD
    return RELEASED if was_held else effect


def _bears_identity(job: JobRow) -> bool:
    """Return whether a draft was, or is being, made from this job under the old identity.

    A queued one is encoded later, under what holds then.
    """
    if job.state in {JobState.SUPERSEDED, JobState.SKIPPED, JobState.WITHDRAWN, JobState.QUEUED}:
        return False
    return job.state == JobState.RUNNING or job.encoded_at is not None


def _tell(
    session: "Session",
    what: "tuple[EventType, str, str | None]",
    detail: "Mapping[str, object]",
    now: "datetime",
) -> None:
    event_type, user_id, study_instance_uid = what
    event = AuditEvent(
        event_type=event_type,
        event_action_code="U",
        event_outcome_indicator=0,
        user_id=user_id,
        study_instance_uid=study_instance_uid,
        detail=detail,
    )
    audit.record(session, event, now)
