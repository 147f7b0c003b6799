"""The arithmetic of the audit chain: an event as bytes, and a link over the one before."""

import hashlib
import json
from datetime import UTC
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Row

    from service.db.tables import AuditEventRow

GENESIS = "0" * 64
"""What the first link hangs on."""


def fields(event: "AuditEventRow | Row[Any]") -> dict[str, Any]:
    """Return an event, as an object or as columns, as plain JSON values in one way only."""
    return {
        "id": event.id,
        "event_type": event.event_type,
        "event_action_code": event.event_action_code,
        "event_outcome_indicator": event.event_outcome_indicator,
        "event_date_time": event.event_date_time.astimezone(UTC).isoformat(timespec="microseconds"),
        "user_id": event.user_id,
        "study_instance_uid": event.study_instance_uid,
        "sop_instance_uid": event.sop_instance_uid,
        "job_id": str(event.job_id) if event.job_id else None,
        "duration_ms": event.duration_ms,
        "detail": event.detail,
    }


def link(previous_sha256: str, event: "AuditEventRow | Row[Any]") -> str:
    """Return the SHA-256 over the previous link and the event, as read from the database."""
    return link_of(previous_sha256, fields(event))


def link_of(previous_sha256: str, values: dict[str, Any]) -> str:
    """Return the same link over an event as plain JSON values, as an archive holds them."""
    canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{previous_sha256}\n{canonical}".encode()).hexdigest()
