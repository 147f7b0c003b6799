"""Raise the alarm when a draft is late, once for each study, and end it when it is there."""

from typing import TYPE_CHECKING

import structlog
from sqlalchemy import select

from service import audit
from service.db import queries
from service.db.tables import OPEN, JobRow, StudyRow
from service.values import AuditEvent, EventType, JobState, StudyState

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from service.db.queries import Late
    from service.settings import Settings

AT_ONCE = 500
UNDECIDED = (*OPEN, JobState.SUPERSEDED)
"""States of a newest job after which a draft may still come."""

log = structlog.get_logger(__name__)


def raise_for_late(session: "Session", now: "datetime", settings: "Settings") -> int:
    """Tell log and audit trail of every study whose draft has become late; return how many are.

    A study is told of once, also when newer revisions overtake the late one, until its draft is
    delivered or its reading has ended in another way; that is told too.
    """
    found = queries.late(session, now, settings.late_after)
    told = select(StudyRow.study_instance_uid).where(StudyRow.late_since.is_not(None))
    known = set(session.scalars(told))
    for one in found:
        if one.study_instance_uid not in known and _is_news(session, one, now):
            _tell(session, one, now)
    _end(session, now)
    return len(found)


def _is_news(session: "Session", one: "Late", now: "datetime") -> bool:
    """Note on the study that its draft is late; False when that stands there already.

    A study that somebody is busy with is left to the next round.
    """
    study = session.scalars(
        select(StudyRow)
        .where(StudyRow.study_instance_uid == one.study_instance_uid, StudyRow.late_since.is_(None))
        .with_for_update(skip_locked=True, key_share=True)
    ).one_or_none()
    if study is None:
        return False
    study.late_since = now
    return True


def _tell(session: "Session", one: "Late", now: "datetime") -> None:
    waited_s = (now - one.queued_at).total_seconds()
    log.error(
        "draft_late",
        job_id=str(one.job_id),
        state=one.state,
        lane=str(one.lane),
        waited_s=waited_s,
    )
    event = AuditEvent(
        event_type=EventType.DRAFT_LATE,
        event_action_code="R",
        event_outcome_indicator=4,
        user_id="carina",
        study_instance_uid=one.study_instance_uid,
        job_id=one.job_id,
        detail={
            "state": one.state.value,
            "lane": str(one.lane),
            "waited_s": waited_s,
            "reason": one.reason,
        },
    )
    audit.record(session, event, now)


def _end(session: "Session", now: "datetime") -> None:
    """End the alarm of studies of which no draft is on its way any more."""
    rows = session.execute(
        select(StudyRow, JobRow)
        .join(
            JobRow,
            (JobRow.study_instance_uid == StudyRow.study_instance_uid)
            & (JobRow.revision == StudyRow.revision),
        )
        .where(
            StudyRow.late_since.is_not(None),
            StudyRow.state != StudyState.COLLECTING,
            JobRow.state.not_in(UNDECIDED),
        )
        .order_by(StudyRow.late_since)
        .limit(AT_ONCE)
        .with_for_update(of=StudyRow, skip_locked=True, key_share=True)
    ).all()
    for study, job in rows:
        _tell_the_end(session, study, job, now)


def _tell_the_end(session: "Session", study: StudyRow, job: JobRow, now: "datetime") -> None:
    assert study.late_since is not None
    late_s = (now - study.late_since).total_seconds()
    study.late_since = None
    log.info("draft_late_ended", job_id=str(job.job_id), state=job.state, late_s=late_s)
    event = AuditEvent(
        event_type=EventType.DRAFT_LATE_ENDED,
        event_action_code="R",
        event_outcome_indicator=0 if job.state == JobState.DELIVERED else 4,
        user_id="carina",
        study_instance_uid=study.study_instance_uid,
        job_id=job.job_id,
        detail={"state": job.state, "late_s": late_s},
    )
    audit.record(session, event, now)
