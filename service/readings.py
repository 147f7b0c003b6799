"""The readings that jobs have kept: of one study, and which studies of a time have any."""

from typing import TYPE_CHECKING

from sqlalchemy import select

from service import audit
from service.comparing import Reading
from service.db.tables import JobRow, StudyRow
from service.values import AuditEvent, EventType

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from service.comparing import Comparison


def between(session: "Session", since: "datetime", until: "datetime") -> tuple[str, ...]:
    """Return the studies that received something last in ``[since, until)``, the oldest first."""
    return tuple(
        session.scalars(
            select(StudyRow.study_instance_uid)
            .where(StudyRow.last_received_at >= since, StudyRow.last_received_at < until)
            .order_by(StudyRow.last_received_at, StudyRow.study_instance_uid)
        )
    )


def kept(session: "Session", study_instance_uid: str, at_most: int) -> tuple[Reading, ...]:
    """Return the newest readings of a study that a draft was made from, the newest first."""
    rows = session.execute(
        select(JobRow.revision, JobRow.bundle, JobRow.summary)
        .where(
            JobRow.study_instance_uid == study_instance_uid,
            JobRow.bundle.is_not(None),
            JobRow.summary.is_not(None),
        )
        .order_by(JobRow.revision.desc())
        .limit(at_most)
    )
    return tuple(
        Reading(f"revision {revision}, {bundle}", summary) for revision, bundle, summary in rows
    )


def leave_trace(
    session: "Session", comparison: "Comparison", user_id: str, now: "datetime"
) -> None:
    """Write down that somebody compared two readings, and of what."""
    event = AuditEvent(
        event_type=EventType.REPLAY_COMPARED,
        event_action_code="R",
        event_outcome_indicator=0,
        user_id=user_id,
        study_instance_uid=comparison.study_instance_uid,
        detail={
            "before": comparison.before,
            "after": comparison.after,
            "changes": len(comparison.changes),
        },
    )
    audit.record(session, event, now)
