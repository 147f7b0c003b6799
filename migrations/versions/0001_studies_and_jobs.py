"""Create studies, instances, jobs, results, deliveries and workers."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "studies",
        sa.Column("study_instance_uid", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_cause", sa.Text(), server_default="NEW_STUDY", nullable=False),
        sa.Column("first_received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("quiet_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("held_code", sa.Text(), nullable=True),
        sa.Column("held_reason", sa.Text(), nullable=True),
        sa.Column(
            "corrected_after_sending", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.CheckConstraint(
            "next_cause IN ('NEW_STUDY', 'NEW_ACQUISITION', 'CORRECTED_HEADER', 'REPLAY')",
            name=op.f("ck_studies_next_cause"),
        ),
        sa.CheckConstraint(
            "state IN ('COLLECTING', 'CLOSED', 'HELD', 'NO_FILM')", name=op.f("ck_studies_state")
        ),
        sa.PrimaryKeyConstraint("study_instance_uid", name=op.f("pk_studies")),
    )
    op.create_index(
        "ix_studies_collecting",
        "studies",
        ["quiet_until"],
        unique=False,
        postgresql_where=sa.text("state = 'COLLECTING'"),
    )
    op.create_index(
        "ix_studies_held",
        "studies",
        ["last_received_at"],
        unique=False,
        postgresql_where=sa.text("state = 'HELD'"),
    )
    op.create_index("ix_studies_last_received_at", "studies", ["last_received_at"], unique=False)
    op.create_table(
        "workers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("process_id", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_workers")),
    )
    op.create_table(
        "instances",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("sop_instance_uid", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("study_instance_uid", sa.Text(), nullable=False),
        sa.Column("series_instance_uid", sa.Text(), nullable=False),
        sa.Column("sop_class_uid", sa.Text(), nullable=False),
        sa.Column("transfer_syntax_uid", sa.Text(), nullable=False),
        sa.Column("reception", sa.Text(), nullable=False),
        sa.Column("candidate", sa.Boolean(), nullable=False),
        sa.Column("eligible", sa.Boolean(), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("acquisition", sa.Text(), nullable=False),
        sa.Column("patient_key", sa.Text(), nullable=False),
        sa.Column("issuer_key", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("spool_path", sa.Text(), nullable=False),
        sa.Column("calling_ae_title", sa.Text(), nullable=False),
        sa.Column("called_ae_title", sa.Text(), nullable=False),
        sa.Column("peer_address", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "reception IN ('FILM', 'NOT_READ', 'OWN_RESULT', 'IDENTICAL', 'REENCODED', "
            "'CORRECTED', 'QUARANTINED')",
            name=op.f("ck_instances_reception"),
        ),
        sa.ForeignKeyConstraint(
            ["study_instance_uid"],
            ["studies.study_instance_uid"],
            name=op.f("fk_instances_study_instance_uid_studies"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instances")),
        sa.UniqueConstraint(
            "sop_instance_uid", "version", name=op.f("uq_instances_sop_instance_uid_version")
        ),
    )
    op.create_index("ix_instances_spool_path", "instances", ["spool_path"], unique=False)
    op.create_index(
        "ix_instances_study_instance_uid", "instances", ["study_instance_uid"], unique=False
    )
    op.create_index(
        "uq_instances_current",
        "instances",
        ["sop_instance_uid"],
        unique=True,
        postgresql_where=sa.text("current"),
    )
    op.create_table(
        "jobs",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("study_instance_uid", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("charged", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lapses", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("delivery_attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("encoded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason_code", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("replaces_job_id", sa.Uuid(), nullable=True),
        sa.Column("bundle", sa.Text(), nullable=True),
        sa.Column("stage_seconds", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("summary", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint(
            "cause IN ('NEW_STUDY', 'NEW_ACQUISITION', 'CORRECTED_HEADER', 'REPLAY')",
            name=op.f("ck_jobs_cause"),
        ),
        sa.CheckConstraint(
            "state IN ('QUEUED', 'RUNNING', 'ENCODED', 'SENDING', 'SENT', 'DELIVERED', 'SKIPPED', "
            "'FAILED', 'SHADOW', 'SUPERSEDED', 'WITHDRAWN')",
            name=op.f("ck_jobs_state"),
        ),
        sa.ForeignKeyConstraint(
            ["replaces_job_id"], ["jobs.job_id"], name=op.f("fk_jobs_replaces_job_id_jobs")
        ),
        sa.ForeignKeyConstraint(
            ["study_instance_uid"],
            ["studies.study_instance_uid"],
            name=op.f("fk_jobs_study_instance_uid_studies"),
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_jobs")),
        sa.UniqueConstraint(
            "study_instance_uid", "revision", name=op.f("uq_jobs_study_instance_uid_revision")
        ),
    )
    op.create_index("ix_jobs_changed_at", "jobs", ["changed_at"], unique=False)
    op.create_index(
        "ix_jobs_deliverable",
        "jobs",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('ENCODED', 'SENDING', 'SENT')"),
    )
    op.create_index(
        "ix_jobs_leased",
        "jobs",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("lease_until IS NOT NULL"),
    )
    op.create_index(
        "ix_jobs_queued",
        "jobs",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("state = 'QUEUED'"),
    )
    op.create_index(
        "uq_jobs_unsent",
        "jobs",
        ["study_instance_uid"],
        unique=True,
        postgresql_where=sa.text("state IN ('QUEUED', 'RUNNING', 'ENCODED')"),
    )
    op.create_table(
        "results",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("study_instance_uid", sa.Text(), nullable=False),
        sa.Column("series_instance_uid", sa.Text(), nullable=False),
        sa.Column("sop_class_uid", sa.Text(), nullable=False),
        sa.Column("sop_instance_uid", sa.Text(), nullable=False),
        sa.Column("transfer_syntax_uid", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('anatomy', 'findings', 'pictures', 'boxes', 'text')",
            name=op.f("ck_results_kind"),
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.job_id"], name=op.f("fk_results_job_id_jobs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_results")),
        sa.UniqueConstraint("job_id", "kind", "number", name=op.f("uq_results_job_id_kind_number")),
        sa.UniqueConstraint("sop_instance_uid", name=op.f("uq_results_sop_instance_uid")),
    )
    op.create_index(
        "ix_results_series_instance_uid", "results", ["series_instance_uid"], unique=False
    )
    op.create_table(
        "deliveries",
        sa.Column("result_id", sa.BigInteger(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error_comment", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("not_taken", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("proven_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["result_id"], ["results.id"], name=op.f("fk_deliveries_result_id_results")
        ),
        sa.PrimaryKeyConstraint("result_id", "destination", name=op.f("pk_deliveries")),
    )
