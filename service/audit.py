"""The audit trail: an event is written in the transaction of the thing it tells about."""

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from service.db.tables import AuditEventRow, AuditPendingRow

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from service.values import AuditEvent

NUL = "\x00"  # neither text nor jsonb can hold it, and an archive's error comment may


def record(session: "Session", event: "AuditEvent", now: "datetime") -> None:
    """Add one event, in the caller's transaction: both happen, or neither.

    ``now`` becomes Event Date Time (PS3.15 A.5.2.5). The sealer chains the event once the
    transaction is committed (:mod:`service.seal`).
    """
    added = (
        insert(AuditEventRow)
        .values(
            event_type=event.event_type.value,
            event_action_code=event.event_action_code,
            event_outcome_indicator=event.event_outcome_indicator,
            event_date_time=now,
            user_id=event.user_id.replace(NUL, ""),
            study_instance_uid=event.study_instance_uid,
            sop_instance_uid=event.sop_instance_uid,
            job_id=event.job_id,
            duration_ms=event.duration_ms,
            detail=_storable(dict(event.detail)),
        )
        .returning(AuditEventRow.id)
        .cte("added")
    )
    session.execute(insert(AuditPendingRow).from_select(["event_id"], select(added.c.id)))


def _storable(value: Any) -> Any:  # noqa: ANN401  (any JSON)
    if isinstance(value, str):
        return value.replace(NUL, "")
    if isinstance(value, dict):
        return {str(key).replace(NUL, ""): _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    return value
