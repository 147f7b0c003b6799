"""The tables. ``…Row`` classes stay in the service package: values cross its border.

No name, birth date or number of a patient is stored: the ``…_key`` columns are hashes, salted by
the study, that only tell one patient from two inside one study.
All times are ``timestamptz``. The partial indexes keep the cost of claiming, sweeping and sealing
at the number of open rows, not of all rows.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Sequence,
    SmallInteger,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from dicom.values import ResultKind
from service.db.base import Base as Base  # noqa: PLC0414  (for those who look for it here)
from service.db.base import one_of as one_of  # noqa: PLC0414
from service.values import JobCause, JobState, Lane, Reception, StudyState

DELIVERABLE = (JobState.ENCODED, JobState.SENDING, JobState.SENT)
CLAIM_TURNS = Sequence("claim_turns", metadata=Base.metadata)
UNSENT = (JobState.QUEUED, JobState.RUNNING, JobState.ENCODED)
OPEN = (JobState.QUEUED, JobState.RUNNING, *DELIVERABLE)


class StudyRow(Base):
    """One study. ``revision`` is the number of its newest job, 0 while there is none.

    ``lane`` is a :class:`service.values.Lane`, None until an instance has decided it;
    ``lane_cap_s`` is what it may wait before it is overdue. ``late_since`` is set while the alarm
    stands that its draft is late.
    """

    __tablename__ = "studies"

    study_instance_uid: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    revision: Mapped[int] = mapped_column(server_default=text("0"))
    next_cause: Mapped[str] = mapped_column(server_default=JobCause.NEW_STUDY.value)
    first_received_at: Mapped[datetime]
    last_received_at: Mapped[datetime]
    quiet_until: Mapped[datetime]
    held_code: Mapped[str | None]
    held_reason: Mapped[str | None]
    corrected_after_sending: Mapped[bool] = mapped_column(server_default=text("false"))
    lane: Mapped[int | None] = mapped_column(SmallInteger)
    lane_rule: Mapped[str | None]
    lane_cap_s: Mapped[float | None]
    late_since: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint(one_of("state", StudyState), name="state"),
        CheckConstraint(one_of("next_cause", JobCause), name="next_cause"),
        Index(
            "ix_studies_collecting",
            "quiet_until",
            postgresql_where=text(f"state = '{StudyState.COLLECTING}'"),
        ),
        Index(
            "ix_studies_held",
            "last_received_at",
            postgresql_where=text(f"state = '{StudyState.HELD}'"),
        ),
        Index("ix_studies_last_received_at", "last_received_at"),
        Index("ix_studies_late", "late_since", postgresql_where=text("late_since IS NOT NULL")),
    )


class InstanceRow(Base):
    """One version of one instance. At most one version of a SOP Instance UID is ``current``.

    ``candidate``: of a SOP class that is read. ``eligible``: nothing in its header speaks against
    reading it. ``spool_path`` is relative to the spool.
    """

    __tablename__ = "instances"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    sop_instance_uid: Mapped[str]
    version: Mapped[int]
    study_instance_uid: Mapped[str] = mapped_column(ForeignKey(StudyRow.study_instance_uid))
    series_instance_uid: Mapped[str]
    sop_class_uid: Mapped[str]
    transfer_syntax_uid: Mapped[str]
    reception: Mapped[str]
    candidate: Mapped[bool]
    eligible: Mapped[bool]
    current: Mapped[bool]
    acquisition: Mapped[str]
    patient_key: Mapped[str]
    issuer_key: Mapped[str]
    name_key: Mapped[str]
    sha256: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    spool_path: Mapped[str]
    calling_ae_title: Mapped[str]
    called_ae_title: Mapped[str]
    peer_address: Mapped[str]
    received_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("sop_instance_uid", "version"),
        CheckConstraint(one_of("reception", Reception), name="reception"),
        Index(
            "uq_instances_current",
            "sop_instance_uid",
            unique=True,
            postgresql_where=text("current"),
        ),
        Index("ix_instances_study_instance_uid", "study_instance_uid"),
        Index("ix_instances_spool_path", "spool_path"),
    )


class JobRow(Base):
    """One job; ``service.jobs`` is the only writer of ``state``.

    ``attempt`` counts claims and is the fence. ``charged`` counts how often the job went into the
    network, ``lapses`` how often its worker fell silent: the poison rule looks at both. ``owner``
    and ``lease_until`` are set while a network works on it. Once ``consigned`` it has a row in
    ``consignments`` for each destination, and its state follows theirs. ``lane`` and
    ``overdue_at`` are what :mod:`service.order` goes by.
    """

    __tablename__ = "jobs"

    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(ForeignKey(StudyRow.study_instance_uid))
    revision: Mapped[int]
    cause: Mapped[str]
    state: Mapped[str]
    attempt: Mapped[int] = mapped_column(server_default=text("0"))
    charged: Mapped[int] = mapped_column(server_default=text("0"))
    lapses: Mapped[int] = mapped_column(server_default=text("0"))
    delivery_attempts: Mapped[int] = mapped_column(server_default=text("0"))
    owner: Mapped[str | None]
    claimed_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    next_attempt_at: Mapped[datetime]
    queued_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    encoded_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    changed_at: Mapped[datetime]
    reason_code: Mapped[str | None]
    reason: Mapped[str | None]
    replaces_job_id: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.job_id"), index=True)
    bundle: Mapped[str | None]
    stage_seconds: Mapped[dict[str, Any] | None]
    summary: Mapped[dict[str, Any] | None]
    consigned: Mapped[bool] = mapped_column(server_default=text("false"))
    lane: Mapped[int] = mapped_column(SmallInteger, server_default=text(str(int(Lane.ROUTINE))))
    overdue_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (
        UniqueConstraint("study_instance_uid", "revision"),
        CheckConstraint(one_of("state", JobState), name="state"),
        CheckConstraint(one_of("cause", JobCause), name="cause"),
        Index(
            "ix_jobs_queued",
            "next_attempt_at",
            postgresql_where=text(f"state = '{JobState.QUEUED}'"),
        ),
        Index(
            "ix_jobs_lane",
            "lane",
            "next_attempt_at",
            postgresql_where=text(f"state = '{JobState.QUEUED}'"),
        ),
        Index(
            "ix_jobs_overdue",
            "overdue_at",
            postgresql_where=text(f"state = '{JobState.QUEUED}'"),
        ),
        Index(
            "ix_jobs_deliverable",
            "next_attempt_at",
            postgresql_where=text(one_of("state", DELIVERABLE)),
        ),
        Index(
            "ix_jobs_unconsigned",
            "lane",
            "next_attempt_at",
            postgresql_where=text(f"{one_of('state', DELIVERABLE)} AND NOT consigned"),
        ),
        Index("ix_jobs_open", "queued_at", postgresql_where=text(one_of("state", OPEN))),
        Index("ix_jobs_leased", "lease_until", postgresql_where=text("lease_until IS NOT NULL")),
        # Two drafts of one study can never be on their way to the first send at once.
        Index(
            "uq_jobs_unsent",
            "study_instance_uid",
            unique=True,
            postgresql_where=text(one_of("state", UNSENT)),
        ),
        Index("ix_jobs_changed_at", "changed_at"),
    )


class ResultRow(Base):
    """One encoded result object on disk; ``path`` is relative to the folder of kept results."""

    __tablename__ = "results"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    job_id: Mapped[UUID] = mapped_column(ForeignKey(JobRow.job_id))
    kind: Mapped[str]
    number: Mapped[int]
    study_instance_uid: Mapped[str]
    series_instance_uid: Mapped[str]
    sop_class_uid: Mapped[str]
    sop_instance_uid: Mapped[str] = mapped_column(unique=True)
    transfer_syntax_uid: Mapped[str]
    path: Mapped[str]
    sha256: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = (
        UniqueConstraint("job_id", "kind", "number"),
        CheckConstraint(one_of("kind", ResultKind), name="kind"),
        Index("ix_results_series_instance_uid", "series_instance_uid"),
    )


class AuditEventRow(Base):
    """One event of the audit trail; rows are only ever added."""

    __tablename__ = "audit_events"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    event_type: Mapped[str]
    event_action_code: Mapped[str]
    event_outcome_indicator: Mapped[int]
    event_date_time: Mapped[datetime]
    user_id: Mapped[str]
    study_instance_uid: Mapped[str | None]
    sop_instance_uid: Mapped[str | None]
    job_id: Mapped[UUID | None]
    duration_ms: Mapped[float | None]
    detail: Mapped[dict[str, Any]]

    __table_args__ = (
        CheckConstraint("event_action_code IN ('C', 'R', 'U', 'D', 'E')", name="action"),
        CheckConstraint("event_outcome_indicator IN (0, 4, 8, 12)", name="outcome"),
        Index("ix_audit_events_study", "study_instance_uid", "id"),
        Index("ix_audit_events_date_time", "event_date_time"),
        Index(
            "ix_audit_events_archived",
            "id",
            postgresql_where=text("event_type = 'audit_archived'"),
        ),
        # By number: the key stays unique over all of them, and no clock can be wrong about it.
        {"postgresql_partition_by": "RANGE (id)"},
    )


class AuditPendingRow(Base):
    """Events not sealed yet: a to-do list for the sealer, so that its work never grows."""

    __tablename__ = "audit_pending"

    event_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)


class AuditSealRow(Base):
    """One link of the chain: ``chain_sha256`` covers this event and the link before it."""

    __tablename__ = "audit_seals"

    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    event_id: Mapped[int] = mapped_column(BigInteger, unique=True)
    chain_sha256: Mapped[str]
    sealed_at: Mapped[datetime]


class WorkerRow(Base):
    """The last sign of life of one process."""

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(primary_key=True)
    role: Mapped[str]
    process_id: Mapped[int]
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    detail: Mapped[dict[str, Any]]
