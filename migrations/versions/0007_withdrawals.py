"""Keep withdrawals, and what becomes of objects that were replaced or withdrawn."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

CAUSES = ("NEW_STUDY", "NEW_ACQUISITION", "CORRECTED_HEADER", "REPLAY")
WITHDRAWAL = "WITHDRAWAL"
CHECKED = (("jobs", "cause"), ("studies", "next_cause"))


def upgrade() -> None:
    """Nothing that was sent before is rejected or deleted by this: no row is made for it."""
    op.create_table(
        "withdrawals",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("study_instance_uid", sa.Text(), nullable=False),
        sa.Column("notice_job_id", sa.Uuid(), nullable=True),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["study_instance_uid"],
            ["studies.study_instance_uid"],
            name=op.f("fk_withdrawals_study_instance_uid_studies"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_withdrawals")),
    )
    op.create_index(
        "uq_withdrawals_standing",
        "withdrawals",
        ["study_instance_uid"],
        unique=True,
        postgresql_where=sa.text("lifted_at IS NULL"),
    )
    _retirements()
    _allow((*CAUSES, WITHDRAWAL))


def _allow(causes: Sequence[str]) -> None:
    words = ", ".join(repr(one) for one in causes)
    for table, column in CHECKED:
        name = op.f(f"ck_{table}_{column}")
        op.drop_constraint(name, table)
        op.create_check_constraint(name, table, f"{column} IN ({words})")


def _retirements() -> None:
    op.create_table(
        "retirements",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("successor_job_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('OPEN', 'LEFT', 'REJECTED', 'DELETED', 'FAILED')",
            name=op.f("ck_retirements_state"),
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.job_id"], name=op.f("fk_retirements_job_id_jobs")
        ),
        sa.ForeignKeyConstraint(
            ["successor_job_id"],
            ["jobs.job_id"],
            name=op.f("fk_retirements_successor_job_id_jobs"),
        ),
        sa.PrimaryKeyConstraint("job_id", "destination", name=op.f("pk_retirements")),
    )
    op.create_index(
        "ix_retirements_open",
        "retirements",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("state = 'OPEN'"),
    )


def downgrade() -> None:
    """Notices of withdrawal stay as jobs of a person's asking; what they replaced is forgotten."""
    op.execute("UPDATE jobs SET cause = 'REPLAY' WHERE cause = 'WITHDRAWAL'")
    _allow(CAUSES)
    op.drop_table("retirements")
    op.drop_table("withdrawals")
