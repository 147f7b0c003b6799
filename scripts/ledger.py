"""What Carina's own database says of a study, read from outside: for demonstration and bench."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import create_engine, func, select

from service.db.tables import AuditEventRow, JobRow, StudyRow


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a study stands; ``job_state`` is None before it has a job."""

    study_state: str
    quiet_until: datetime
    job_state: str | None
    reason_code: str
    reason: str
    stage_seconds: Mapping[str, float]
    summary: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """One row of the audit trail."""

    event_type: str
    at: datetime
    user_id: str
    outcome: int
    detail: Mapping[str, Any]


class Ledger:
    """Reads, never writes; :meth:`close` lets go of the database."""

    def __init__(self, database_url: str) -> None:
        self._engine = create_engine(database_url, pool_pre_ping=True)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def standing(self, study_instance_uid: str) -> Standing | None:
        """Return where a study stands by its newest job; None if it is not known."""
        query = (
            select(
                StudyRow.state,
                StudyRow.quiet_until,
                JobRow.state,
                JobRow.reason_code,
                func.coalesce(JobRow.reason, StudyRow.held_reason),
                JobRow.stage_seconds,
                JobRow.summary,
            )
            .outerjoin(JobRow, JobRow.study_instance_uid == StudyRow.study_instance_uid)
            .where(StudyRow.study_instance_uid == study_instance_uid)
            .order_by(JobRow.revision.desc())
            .limit(1)
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        study, quiet_until, job, code, reason, stages, summary = row
        return Standing(
            study, quiet_until, job, code or "", reason or "", stages or {}, summary or {}
        )

    def events(self, study_instance_uid: str) -> tuple[Event, ...]:
        """Return the audit events of a study, in the order they were recorded."""
        query = (
            select(
                AuditEventRow.event_type,
                AuditEventRow.event_date_time,
                AuditEventRow.user_id,
                AuditEventRow.event_outcome_indicator,
                AuditEventRow.detail,
            )
            .where(AuditEventRow.study_instance_uid == study_instance_uid)
            .order_by(AuditEventRow.id)
        )
        with self._engine.connect() as connection:
            return tuple(Event(*row) for row in connection.execute(query))

    def counts(self) -> dict[str, int]:
        """Return how many jobs stand in each state."""
        query = select(JobRow.state, func.count()).group_by(JobRow.state)
        with self._engine.connect() as connection:
            return {state: int(number) for state, number in connection.execute(query)}
