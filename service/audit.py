"""The audit trail: an event is written in the transaction of the thing it tells about."""

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Uuid, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from service.values import AuditEvent

_RECORD: Final = text(
    "WITH added AS (INSERT INTO audit_events ("
    "event_type, event_action_code, event_outcome_indicator, event_date_time, user_id,"
    " study_instance_uid, sop_instance_uid, job_id, duration_ms, detail) VALUES ("
    ":event_type, :action, :outcome, :at, :user_id, :study, :instance, :job, :duration, :detail)"
    " RETURNING id) INSERT INTO audit_pending (event_id) SELECT id FROM added"
).bindparams(bindparam("detail", type_=JSONB), bindparam("job", type_=Uuid))
"""One statement, and text: building it anew for every event cost more than running it."""

NUL = "\x00"  # neither text nor jsonb can hold it, and an archive's error comment may


def record(session: "Session", event: "AuditEvent", now: "datetime") -> None:
    """Add one event, in the caller's transaction: both happen, or neither.

    ``now`` becomes Event Date Time (PS3.15 A.5.2.5). The sealer chains the event once the
    transaction is committed (:mod:`service.seal`).
    """
    session.execute(
        _RECORD,
        {
            "event_type": event.event_type.value,
            "action": event.event_action_code,
            "outcome": event.event_outcome_indicator,
            "at": now,
            "user_id": event.user_id.replace(NUL, ""),
            "study": event.study_instance_uid,
            "instance": event.sop_instance_uid,
            "job": event.job_id,
            "duration": event.duration_ms,
            "detail": _storable(dict(event.detail)),
        },
    )


def _storable(value: Any) -> Any:  # noqa: ANN401  (any JSON)
    if isinstance(value, str):
        return value.replace(NUL, "")
    if isinstance(value, dict):
        return {str(key).replace(NUL, ""): _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    return value
