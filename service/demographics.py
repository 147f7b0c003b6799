"""Whether the archive still knows a study under the identity that our draft bears.

Asked before anything is sent. Another name, birth date, sex or accession number: the draft is made
anew as the archive has it. Another patient number that no merge explains: a person must look.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from service import audit, consignments, corrections, patients, studies
from service.corrected import Change, CorrectionKind, Identity, PatientNumber
from service.corrections import Origin
from service.db.patient_tables import CorrectedStudyRow, PatientCorrectionRow
from service.db.tables import UNSENT, JobRow
from service.values import AuditEvent, EventType, JobCause, JobFacts, JobState

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy.orm import Session

    from dicom.whose import StudyIdentity
    from service.db.tables import StudyRow
    from service.values import Fence

NUMBER: Final = "PatientID"
AT_ONCE: Final = timedelta(0)
OVERTAKEN: Final = "the archive knows the study under another identity"
AS_THE_ARCHIVE: Final = "a draft under the identity of the archive follows"


@dataclass(frozen=True, slots=True)
class Difference:
    """What the archive says otherwise: names of attributes, never their values."""

    keywords: tuple[str, ...]
    asked: str
    archive: "StudyIdentity"
    ours: "StudyIdentity"

    @property
    def is_other_patient(self) -> bool:
        """Return whether the number itself differs."""
        return NUMBER in self.keywords


def differences(ours: "StudyIdentity", archive: "StudyIdentity") -> tuple[str, ...]:
    """Return the attributes in which an archive contradicts a draft; silence contradicts nothing.

    The issuer belongs to the number. Spelling of a name that carries no meaning does not differ.
    """
    mine, theirs = ours.patient, archive.patient
    pairs = {
        NUMBER: (mine.patient_id, theirs.patient_id),
        "IssuerOfPatientID": (mine.issuer_of_patient_id, theirs.issuer_of_patient_id),
        "PatientName": tuple(patients.keys(one, "").name_key for one in (mine, theirs)),
        "PatientBirthDate": (mine.patient_birth_date, theirs.patient_birth_date),
        "PatientSex": (mine.patient_sex, theirs.patient_sex),
        "AccessionNumber": (ours.accession_number, archive.accession_number),
    }
    found = [name for name, (one, other) in pairs.items() if other and one != other]
    if "IssuerOfPatientID" in found:
        found.remove("IssuerOfPatientID")
        if mine.issuer_of_patient_id and NUMBER not in found:
            found.insert(0, NUMBER)
    return tuple(found)


def tell(
    session: "Session", study_instance_uid: str, found: Difference, user_id: str, now: "datetime"
) -> None:
    """Leave the event that archive and draft differ."""
    event = AuditEvent(
        event_type=EventType.DEMOGRAPHICS_DIFFER,
        event_action_code="R",
        event_outcome_indicator=4,
        user_id=user_id,
        study_instance_uid=study_instance_uid,
        detail={"destination": found.asked, "differ": list(found.keywords)},
    )
    audit.record(session, event, now)


def stop(
    session: "Session", fence: "Fence", found: Difference, root: "Path", now: "datetime"
) -> bool:
    """Keep a draft under the wrong identity from being sent; False when it may go after all.

    It may when it was made as the archive says already, and the archive is still not content: a
    draft that is made again and again would help nobody.

    Raises
    ------
    FenceLost
        If somebody else serves the job now.
    """
    uid = _study_of(session, fence)
    study = studies.lock(session, uid)
    job, _ = consignments.fenced(session, fence)
    tell(session, uid, found, fence.owner, now)
    if found.is_other_patient:
        studies.hold(session, study, studies.PATIENT_DIFFERS, now)
    elif not adopt(session, study, found, (f"archive {found.asked}", root), now):
        return False
    else:
        studies.collect(session, study, JobCause.CORRECTED_HEADER, now, AT_ONCE)
    if job.state not in UNSENT and job.state != JobState.SUPERSEDED:
        # Another archive has some of it already: only this one goes without.
        facts = JobFacts(reason_code="DEMOGRAPHICS", reason=OVERTAKEN)
        consignments.move(session, fence, JobState.FAILED, now, facts)
    return True


def _study_of(session: "Session", fence: "Fence") -> str:
    """Return the study of a fence's job, without a lock: the study is locked before its job."""
    return session.get_one(JobRow, fence.job_id).study_instance_uid


def adopt(
    session: "Session",
    study: "StudyRow",
    found: Difference,
    by: "tuple[str, Path]",
    now: "datetime",
) -> bool:
    """Let drafts of a locked study bear what the archive says; False when they do already."""
    user_id, root = by
    ours, theirs = found.ours.patient, found.archive.patient
    prior = PatientNumber(ours.patient_id, ours.issuer_of_patient_id)
    number = PatientNumber(theirs.patient_id or ours.patient_id, theirs.issuer_of_patient_id)
    survivor = Identity(
        number,
        name=theirs.patient_name or None,
        birth_date=theirs.patient_birth_date or None,
        sex=theirs.patient_sex or None,
        accession_number=found.archive.accession_number or None,
    )
    uid = study.study_instance_uid
    known = corrections.of_study(session, uid, prior, root)
    if known is not None and survivor.over(known) == known:
        return False
    change = Change(CorrectionKind.ARCHIVE, prior, survivor)
    correction_id = corrections.keep(session, change, Origin(user_id, None, uid), root, now)
    session.get_one(PatientCorrectionRow, correction_id).applied_at = now
    session.add(
        CorrectedStudyRow(
            correction_id=correction_id,
            study_instance_uid=uid,
            effect=AS_THE_ARCHIVE,
            changed_at=now,
        )
    )
    session.flush()
    return True
