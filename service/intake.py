"""Record one received instance: what it is, what it changes, in one transaction.

The listener answers success after :func:`accept` has returned, never before. Accepting the same
instance twice, also at once in two processes, is accepting it once.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as NoConnection

from dicom import failpoints
from dicom.errors import DicomError, IntakeUnavailable
from dicom.failpoints import Failpoint
from dicom.values import Resend
from service import audit, corrections, lanes, patients, studies
from service.db import intake_queries
from service.db.tables import InstanceRow, StudyRow
from service.lane_rules import LaneRules
from service.studies import Arrival
from service.values import AuditEvent, EventType, Reception

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from sqlalchemy.orm import Session

    from dicom.values import FilmHeader, PatientIdentity, ReceivedInstance
    from service.db.engine import Database

OUR_FAULT = (DataError, IntegrityError, ProgrammingError)
"""Database errors that another try would meet again."""

RECEPTION_OF = {
    Resend.IDENTICAL: Reception.IDENTICAL,
    Resend.REENCODED: Reception.REENCODED,
    Resend.CORRECTED: Reception.CORRECTED,
    Resend.PIXELS_DIFFER: Reception.QUARANTINED,
}


@dataclass(frozen=True, slots=True)
class IntakeRules:
    """What intake needs to know, and to ask.

    ``is_eligible``: does nothing in the header speak against reading this film?
    ``classify``: how does a second file relate to the first under the same UID?
    ``corrections`` is their folder: a film that comes under a number that gave way to another is
    of the other patient.
    """

    spool_root: Path
    quiet_period: timedelta
    is_eligible: "Callable[[FilmHeader], bool]"
    classify: "Callable[[Path, Path], Resend]"
    lanes: LaneRules = field(default_factory=LaneRules)
    corrections: Path | None = None


def accept(
    database: "Database", received: "ReceivedInstance", rules: IntakeRules, now: datetime
) -> Reception:
    """Record an instance that is durably in the spool; return what it was.

    Raises
    ------
    IntakeUnavailable
        If the database cannot be reached or cannot commit: nothing may be answered but
        "out of resources"; the sender tries again.
    ValueError
        If the file is not in the spool.
    """
    known: dict[int, Resend] = {}
    while True:
        try:
            with database.begin() as session:
                intake = _Intake(session, received, rules, now, known)
                reception = intake.run()
                failpoints.reach(Failpoint.BEFORE_INTAKE_COMMIT)
        except _Compare as question:
            # Pixels are compared between two transactions: it may take a second.
            known[question.instance_id] = _compare(question.path, received, rules)
        except NoConnection as error:
            raise IntakeUnavailable("no connection to the database") from error
        except DBAPIError as error:
            if isinstance(error, OUR_FAULT):
                raise
            raise IntakeUnavailable(f"the database: {type(error.orig).__name__}") from error
        else:
            break
    failpoints.reach(Failpoint.AFTER_INTAKE_COMMIT)
    if reception is Reception.OWN_RESULT:
        # The very bytes are kept with the results; an archive that sends everything back to us
        # must not fill the spool.
        received.spool_path.unlink(missing_ok=True)
    return reception


class _Compare(Exception):
    """Two files must be compared before this transaction can go on."""

    def __init__(self, instance_id: int, path: Path) -> None:
        super().__init__()
        self.instance_id = instance_id
        self.path = path


@dataclass(frozen=True, slots=True)
class _Intake:
    """One instance in one transaction; ``known`` holds what has been compared already."""

    session: "Session"
    received: "ReceivedInstance"
    rules: IntakeRules
    now: datetime
    known: "dict[int, Resend]"

    def run(self) -> Reception:
        """Take one lock per SOP Instance UID, so that equal instances take turns."""
        ref, patient = self.received.ref, self.received.patient
        intake_queries.take_turn(self.session, ref.sop_instance_uid)
        if not self.received.spool_path.exists():
            # An old study was let go, this file with it, just before this had the lock.
            raise IntakeUnavailable("the file was let go with an old study: send it again")
        known = intake_queries.known(self.session, ref, corrections.number_of(patient))
        if known.is_own_result:
            return self._told(Reception.OWN_RESULT, None)
        if not known.is_there:
            return self._first(self._as_known(patient) if known.is_renamed else patient)
        versions = self.session.scalars(
            select(InstanceRow)
            .where(InstanceRow.sop_instance_uid == ref.sop_instance_uid)
            .order_by(InstanceRow.version)
        )
        return self._again(versions.all())

    def _first(self, patient: "PatientIdentity") -> Reception:
        uid = self.received.ref.study_instance_uid
        candidate = self.received.header.is_candidate
        reception = Reception.FILM if candidate else Reception.NOT_READ
        placement = self.rules.lanes.place(self.received, self.now)
        quiet = self.rules.lanes.quiet_period(placement.lane, self.rules.quiet_period)
        lane = lanes.columns(placement)
        is_new = intake_queries.begin_study(self.session, uid, self.now, quiet, **lane)
        study = None if is_new else self._lock(uid)[uid]
        row = self._add(reception, 1, patient)
        if study is not None:  # one instance alone changes nothing of its own study
            self._arrived(study, row)
        return self._told(reception, row)

    def _again(self, versions: "Sequence[InstanceRow]") -> Reception:
        """Record a second instance under a known UID (design rule 5)."""
        current = next(row for row in versions if row.current)
        if any(row.sha256 == self.received.sha256 for row in versions):
            self._hurried(current.study_instance_uid)
            return self._told(Reception.IDENTICAL, None)
        reception = self._reception_of(current)
        found = self._lock(current.study_instance_uid, self.received.ref.study_instance_uid)
        replaces = reception in {Reception.CORRECTED, Reception.NOT_READ}
        if replaces:
            current.current = False
            self.session.flush()
        patient = self._as_known(self.received.patient)
        row = self._add(reception, versions[-1].version + 1, patient)
        row.current = replaces
        self.session.flush()
        for study in found.values():
            if reception is Reception.QUARANTINED:
                studies.hold(self.session, study, studies.PIXELS_DIFFER, self.now)
            elif reception is Reception.CORRECTED:
                quiet, renamed = self._quiet(study), self._is_renamed(current, row)
                studies.corrected(self.session, study, self.now, quiet, renamed=renamed)
            elif reception is Reception.NOT_READ:
                self._arrived(study, row)
        return self._told(reception, row)

    def _as_known(self, patient: "PatientIdentity") -> "PatientIdentity":
        """Return a header's patient under the identity that holds now."""
        root = self.rules.corrections
        return patient if root is None else corrections.as_known(self.session, patient, root)

    def _is_renamed(self, before: InstanceRow, now: InstanceRow) -> bool:
        path = self.rules.spool_root / before.spool_path
        return patients.is_renamed((before, now), path, self.received.patient, self._as_known)

    def _reception_of(self, current: InstanceRow) -> Reception:
        if not (current.candidate or self.received.header.is_candidate):
            return Reception.NOT_READ  # nothing of it is ever read: no reason to look inside
        if current.id not in self.known:
            raise _Compare(current.id, self.rules.spool_root / current.spool_path)
        return RECEPTION_OF[self.known[current.id]]

    def _lock(self, *study_instance_uids: str) -> dict[str, StudyRow]:
        quiet = self.rules.quiet_period
        found = studies.locked(self.session, study_instance_uids, self.now, quiet)
        placement = self.rules.lanes.place(self.received, self.now)
        for study in found.values():
            lanes.place(self.session, study, placement, self.now)
        return found

    def _hurried(self, study_instance_uid: str) -> None:
        """Let what came again word for word raise the lane all the same."""
        placement = self.rules.lanes.place(self.received, self.now)
        if lanes.is_raised(self.session, study_instance_uid, placement):
            self._lock(study_instance_uid)

    def _quiet(self, study: StudyRow) -> timedelta:
        return self.rules.lanes.quiet_period(lanes.of(study), self.rules.quiet_period)

    def _arrived(self, study: StudyRow, row: InstanceRow) -> None:
        new = Arrival(row, self.received.header.source_sop_instance_uids)
        studies.arrived(self.session, study, new, self.now, self._quiet(study))

    def _add(self, reception: Reception, version: int, patient: "PatientIdentity") -> InstanceRow:
        received, header = self.received, self.received.header
        keys = patients.keys(patient, received.ref.study_instance_uid)
        row = InstanceRow(
            sop_instance_uid=received.ref.sop_instance_uid,
            version=version,
            study_instance_uid=received.ref.study_instance_uid,
            series_instance_uid=received.ref.series_instance_uid,
            sop_class_uid=received.ref.sop_class_uid,
            transfer_syntax_uid=received.transfer_syntax_uid,
            reception=reception.value,
            candidate=header.is_candidate,
            eligible=header.is_candidate and self.rules.is_eligible(header),
            current=version == 1,
            acquisition=header.acquisition,
            patient_key=keys.patient_key,
            issuer_key=keys.issuer_key,
            name_key=keys.name_key,
            sha256=received.sha256,
            size_bytes=received.size_bytes,
            spool_path=received.spool_path.relative_to(self.rules.spool_root).as_posix(),
            calling_ae_title=received.peer.calling_ae_title,
            called_ae_title=received.peer.called_ae_title,
            peer_address=received.peer.address,
            received_at=received.received_at,
        )
        self.session.add(row)
        self.session.flush()
        return row

    def _told(self, reception: Reception, row: InstanceRow | None) -> Reception:
        received = self.received
        detail: dict[str, Any] = {
            "reception": reception.value,
            "sop_class_uid": received.ref.sop_class_uid,
            "transfer_syntax_uid": received.transfer_syntax_uid,
            "sha256": received.sha256,
            "size_bytes": received.size_bytes,
            "peer_address": received.peer.address,
            "version": row.version if row else None,
        }
        event = AuditEvent(
            event_type=EventType.INSTANCE_RECEIVED,
            event_action_code="C",
            event_outcome_indicator=8 if reception is Reception.QUARANTINED else 0,
            user_id=received.peer.calling_ae_title,
            study_instance_uid=received.ref.study_instance_uid,
            sop_instance_uid=received.ref.sop_instance_uid,
            duration_ms=(self.now - received.received_at).total_seconds() * 1000,
            detail=detail,
        )
        audit.record(self.session, event, self.now)
        return reception


def _compare(current: Path, received: "ReceivedInstance", rules: IntakeRules) -> Resend:
    try:
        return rules.classify(current, received.spool_path)
    except (DicomError, FileNotFoundError):
        # What cannot be compared is not known to be the same: nobody reads either unseen.
        return Resend.PIXELS_DIFFER
