"""Let go of a study: its films, its results, its rows; never before every destination has proof.

A study goes as a whole, in one short transaction, and leaves one event in the audit trail. Files go
before rows: a crash in between leaves rows whose files are gone, and the next pass ends the work.
The other way round a file without a row would be taken for a film that was never recorded, and read
again (:mod:`service.reconcile`).

Intake of an instance and this hold the same lock, one for each SOP Instance UID. This one never
waits for any lock: a study that somebody works on is left for the next pass.
"""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import and_, func, or_, select, tuple_

from service import audit, removing
from service.db.belonging import delete_rows
from service.db.outbox_tables import ConsignmentRow, DeliveryRow
from service.db.tables import OPEN, InstanceRow, JobRow, ResultRow, StudyRow
from service.db.withdrawal_tables import RetirementRow, WithdrawalRow
from service.replaced import RetirementState
from service.values import AuditEvent, EventType, JobState, StudyState

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from service.settings import Settings

ENDED: Final = (StudyState.CLOSED, StudyState.NO_FILM)
KEPT_LONGER: Final = (JobState.FAILED, JobState.WITHDRAWN)
OUTSIDE: Final = (JobState.SUPERSEDED, JobState.SHADOW)
"""Consignments that never reached, or were never meant to reach, their destination."""

HELD: Final = "held or collecting"
BUSY: Final = "somebody works on it"
ON_ITS_WAY: Final = "a draft is on its way"
STILL_THERE: Final = "an archive still has to let go of a replaced draft"
UNPROVEN: Final = "a destination has not proven every object"
LONGER: Final = "kept longer: failed, withdrawn, or flagged as corrected"


@dataclass(frozen=True, slots=True)
class Rules:
    """What may go: ``failed_for`` None keeps studies with a failed draft for ever."""

    studies_for: timedelta
    failed_for: timedelta | None
    spool: Path
    kept_results: Path


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pass stands: the last study it has looked at, oldest first."""

    last_received_at: "datetime"
    study_instance_uid: str


@dataclass(frozen=True, slots=True)
class Gone:
    """What went with one study."""

    instances: int
    results: int
    size_bytes: int


def rules_of(settings: "Settings") -> Rules | None:
    """Return the rules of a site; None where nothing is ever let go."""
    if settings.keep_studies_days is None:
        return None
    failed = settings.keep_failed_days
    return Rules(
        studies_for=timedelta(days=settings.keep_studies_days),
        failed_for=None if failed is None else timedelta(days=failed),
        spool=settings.spool.absolute(),
        kept_results=settings.kept_results.absolute(),
    )


def candidates(
    session: "Session", rules: Rules, now: "datetime", after: Place | None, limit: int
) -> tuple[Place, ...]:
    """Return the studies behind ``after`` that are old enough to be looked at, oldest first."""
    wanted = select(StudyRow.last_received_at, StudyRow.study_instance_uid).where(
        StudyRow.last_received_at < now - rules.studies_for
    )
    if after is not None:
        place = (after.last_received_at, after.study_instance_uid)
        wanted = wanted.where(
            tuple_(StudyRow.last_received_at, StudyRow.study_instance_uid) > place
        )
    order = (StudyRow.last_received_at, StudyRow.study_instance_uid)
    return tuple(Place(*row) for row in session.execute(wanted.order_by(*order).limit(limit)))


def why_kept(
    session: "Session", study_instance_uid: str, rules: Rules, now: "datetime"
) -> str | None:
    """Return why an old study stays; None when it may go. The study's row is locked meanwhile."""
    study = session.scalars(
        select(StudyRow)
        .where(StudyRow.study_instance_uid == study_instance_uid)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if study is None or study.last_received_at >= now - rules.studies_for:
        return BUSY
    if study.state not in ENDED:
        return HELD
    states = set(
        session.scalars(select(JobRow.state).where(JobRow.study_instance_uid == study_instance_uid))
    )
    if states & set(OPEN):
        return ON_ITS_WAY
    return _why_owed(session, study, states, rules, now)


def let_go(
    session: "Session", study_instance_uid: str, rules: Rules, now: "datetime"
) -> Gone | str:
    """Remove one study's files and rows; return what went, or why it stays.

    The caller's transaction must hold nothing else, and commit at once.

    Raises
    ------
    OSError
        If a file cannot be removed: nothing may be committed then.
    """
    why = why_kept(session, study_instance_uid, rules, now)
    if why is not None:
        return why
    if not _alone(session, study_instance_uid):
        return BUSY
    gone = _counted(session, study_instance_uid)
    _remove_files(session, study_instance_uid, rules)
    delete_rows(session, study_instance_uid)
    event = AuditEvent(
        event_type=EventType.STUDY_PURGED,
        event_action_code="D",
        event_outcome_indicator=0,
        user_id="carina",
        study_instance_uid=study_instance_uid,
        detail={
            "instances": gone.instances,
            "results": gone.results,
            "size_bytes": gone.size_bytes,
        },
    )
    audit.record(session, event, now)
    return gone


def _why_owed(
    session: "Session", study: StudyRow, states: "set[str]", rules: Rules, now: "datetime"
) -> str | None:
    """Return what speaks against letting go of a study on which nobody works any more."""
    uid = study.study_instance_uid
    if _is_owed(session, uid):
        return UNPROVEN
    if _is_to_be_retired(session, uid):
        return STILL_THERE
    is_longer = study.corrected_after_sending or states & set(KEPT_LONGER)
    if is_longer or _is_withdrawn(session, uid):
        until = rules.failed_for
        if until is None or study.last_received_at >= now - until:
            return LONGER
    return None


def _is_owed(session: "Session", study_instance_uid: str) -> bool:
    """Return whether a delivered draft has an object that a destination has not proven."""
    proven = DeliveryRow.proven_at.is_not(None)
    consigned = (
        select(ResultRow.id)
        .join(JobRow, JobRow.job_id == ResultRow.job_id)
        .join(ConsignmentRow, ConsignmentRow.job_id == JobRow.job_id)
        .outerjoin(
            DeliveryRow,
            and_(
                DeliveryRow.result_id == ResultRow.id,
                DeliveryRow.destination == ConsignmentRow.destination,
            ),
        )
        .where(
            JobRow.study_instance_uid == study_instance_uid,
            JobRow.state == JobState.DELIVERED,
            ConsignmentRow.state.not_in(OUTSIDE),
            or_(DeliveryRow.proven_at.is_(None), ConsignmentRow.state != JobState.DELIVERED),
            DeliveryRow.not_taken.is_not(True),
        )
        .exists()
    )
    # A draft of an older version has no consignment; one destination must have proven it.
    unconsigned = (
        select(JobRow.job_id)
        .where(
            JobRow.study_instance_uid == study_instance_uid,
            JobRow.state == JobState.DELIVERED,
            ~select(ResultRow.id)
            .join(DeliveryRow, DeliveryRow.result_id == ResultRow.id)
            .where(ResultRow.job_id == JobRow.job_id, proven)
            .exists(),
        )
        .exists()
    )
    return bool(session.scalar(select(or_(consigned, unconsigned))))


def _is_to_be_retired(session: "Session", study_instance_uid: str) -> bool:
    """Return whether an archive has not yet let go of a draft that was replaced."""
    found = session.scalars(
        select(RetirementRow.job_id)
        .join(JobRow, JobRow.job_id == RetirementRow.job_id)
        .where(
            JobRow.study_instance_uid == study_instance_uid,
            RetirementRow.state == RetirementState.OPEN,
        )
        .limit(1)
    )
    return found.first() is not None


def _is_withdrawn(session: "Session", study_instance_uid: str) -> bool:
    """Return whether a person's word stands that this study must not be read by itself."""
    found = session.scalars(
        select(WithdrawalRow.id).where(
            WithdrawalRow.study_instance_uid == study_instance_uid,
            WithdrawalRow.lifted_at.is_(None),
        )
    )
    return found.first() is not None


def _alone(session: "Session", study_instance_uid: str) -> bool:
    """Take intake's lock of every instance of the study; False when one is taken."""
    uids = session.scalars(
        select(InstanceRow.sop_instance_uid)
        .where(InstanceRow.study_instance_uid == study_instance_uid)
        .distinct()
    ).all()
    return all(
        session.scalar(select(func.pg_try_advisory_xact_lock(func.hashtextextended(uid, 0))))
        for uid in sorted(uids)
    )


def _counted(session: "Session", study_instance_uid: str) -> Gone:
    films = session.execute(
        select(func.count(), func.coalesce(func.sum(InstanceRow.size_bytes), 0)).where(
            InstanceRow.study_instance_uid == study_instance_uid
        )
    ).one()
    made = session.execute(
        select(func.count(), func.coalesce(func.sum(ResultRow.size_bytes), 0))
        .join(JobRow, JobRow.job_id == ResultRow.job_id)
        .where(JobRow.study_instance_uid == study_instance_uid)
    ).one()
    return Gone(int(films[0]), int(made[0]), int(films[1]) + int(made[1]))


def _remove_files(session: "Session", study_instance_uid: str, rules: Rules) -> None:
    """Remove files, then make their going durable: no power cut may bring one back."""
    names = session.scalars(
        select(InstanceRow.spool_path).where(InstanceRow.study_instance_uid == study_instance_uid)
    )
    removing.files([rules.spool / name for name in names])
    job_ids = session.scalars(
        select(JobRow.job_id).where(JobRow.study_instance_uid == study_instance_uid)
    ).all()
    removing.folders([rules.kept_results / str(job_id) for job_id in job_ids])
