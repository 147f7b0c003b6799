"""The lane of a study in the database: decided by its first instance, raised, never lowered."""

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select, update

from service import audit
from service.db import locks
from service.db.outbox_tables import ConsignmentRow
from service.db.tables import UNSENT, JobRow, StudyRow
from service.errors import UnknownStudy
from service.values import AuditEvent, EventType, Lane

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from service.lane_rules import Placement

SYSTEM: Final = "carina"
BY_HAND: Final = "by hand"
CAP_OF_OLD: Final = timedelta(minutes=30)
"""Of studies that were there before lanes were."""


def of(study: StudyRow) -> Lane:
    """Return the lane of a study; undecided is routine."""
    return Lane.ROUTINE if study.lane is None else Lane(study.lane)


def overdue_at(study: StudyRow, queued_at: "datetime") -> "datetime":
    """Return when a job of this study, queued at a moment, has waited too long."""
    cap = CAP_OF_OLD if study.lane_cap_s is None else timedelta(seconds=study.lane_cap_s)
    return queued_at + cap


def told(study: StudyRow) -> dict[str, str]:
    """Return the lane and the rule behind it as details of an audit event."""
    return {"lane": str(of(study)), "lane_rule": study.lane_rule or ""}


def place(session: "Session", study: StudyRow, placement: "Placement", now: "datetime") -> None:
    """Let an instance decide the lane of its locked study, or raise it."""
    if study.lane is None:
        _set(study, placement)
    elif placement.lane < study.lane:
        _raise(session, study, placement, now, SYSTEM)


def is_raised(session: "Session", study_instance_uid: str, placement: "Placement") -> bool:
    """Return whether a known study would go faster by this placement; nothing is locked."""
    if placement.lane >= Lane.ROUTINE:
        return False
    lane = session.scalar(
        select(StudyRow.lane).where(StudyRow.study_instance_uid == study_instance_uid)
    )
    return lane is not None and placement.lane < lane


def hurry(
    session: "Session",
    study_instance_uid: str,
    placement: "Placement",
    user_id: str,
    now: "datetime",
) -> bool:
    """Raise a study by hand; return whether that changed anything.

    Raises
    ------
    UnknownStudy
        If there is no such study.
    """
    study = locks.study(session, study_instance_uid)
    if study is None:
        raise UnknownStudy("no such study")
    if placement.lane >= of(study):
        return False
    _raise(session, study, placement, now, user_id)
    return True


def put_back(session: "Session", job_id: "UUID", overdue_at: "datetime") -> None:
    """Let a job that nobody waits for go behind what comes in: one of many replays."""
    session.execute(
        update(JobRow)
        .where(JobRow.job_id == job_id)
        .values(lane=int(Lane.BACKFILL), overdue_at=overdue_at)
    )


def columns(placement: "Placement") -> "dict[str, float | str | None]":
    """Return a placement as columns of a study."""
    return {
        "lane": int(placement.lane),
        "lane_rule": placement.rule or None,
        "lane_cap_s": placement.cap.total_seconds(),
    }


def _set(study: StudyRow, placement: "Placement") -> None:
    for name, value in columns(placement).items():
        setattr(study, name, value)


def _raise(
    session: "Session", study: StudyRow, placement: "Placement", now: "datetime", user_id: str
) -> None:
    before = of(study)
    _set(study, placement)
    session.flush()
    session.execute(
        update(JobRow)
        .where(
            JobRow.study_instance_uid == study.study_instance_uid,
            JobRow.state.in_(UNSENT),
        )
        .values(
            lane=int(placement.lane),
            overdue_at=func.least(JobRow.overdue_at, JobRow.queued_at + placement.cap),
        )
        .execution_options(synchronize_session="fetch")
    )
    _raise_consignments(session, study.study_instance_uid)
    event = AuditEvent(
        event_type=EventType.LANE_RAISED,
        event_action_code="U",
        event_outcome_indicator=0,
        user_id=user_id,
        study_instance_uid=study.study_instance_uid,
        detail={"from": str(before), "to": str(placement.lane), "rule": placement.rule},
    )
    audit.record(session, event, now)


def _raise_consignments(session: "Session", study_instance_uid: str) -> None:
    """Let what waits for an archive follow its job; that is locked by now, so in their order."""
    session.execute(
        update(ConsignmentRow)
        .where(
            ConsignmentRow.job_id == JobRow.job_id,
            JobRow.study_instance_uid == study_instance_uid,
            JobRow.state.in_(UNSENT),
        )
        .values(lane=JobRow.lane, overdue_at=JobRow.overdue_at)
        .execution_options(synchronize_session=False)
    )
