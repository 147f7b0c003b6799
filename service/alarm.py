"""Raise the alarm when a draft is late, once for each."""

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from service import audit
from service.db import queries
from service.values import AuditEvent, EventType

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from service.settings import Settings

log = structlog.get_logger(__name__)


def raise_for_late(session: "Session", now: "datetime", settings: "Settings") -> int:
    """Tell log and audit trail of every draft that has become late; return how many are late."""
    found = queries.late(session, now, timedelta(seconds=settings.late_after_s))
    for one in found:
        if queries.was_told(session, one):
            continue
        waited_s = (now - one.queued_at).total_seconds()
        log.error("draft_late", job_id=str(one.job_id), state=one.state, waited_s=waited_s)
        event = AuditEvent(
            event_type=EventType.DRAFT_LATE,
            event_action_code="R",
            event_outcome_indicator=4,
            user_id="carina",
            study_instance_uid=one.study_instance_uid,
            job_id=one.job_id,
            detail={"state": one.state.value, "waited_s": waited_s, "reason": one.reason},
        )
        audit.record(session, event, now)
    return len(found)
