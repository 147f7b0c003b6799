"""Give studies and jobs their lane, and count the turns of claiming."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

QUEUED = "state = 'QUEUED'"


def upgrade() -> None:
    """What is queued becomes routine and overdue, the longest waiting first, as it was before."""
    op.add_column("studies", sa.Column("lane", sa.SmallInteger(), nullable=True))
    op.add_column("studies", sa.Column("lane_rule", sa.Text(), nullable=True))
    op.add_column("studies", sa.Column("lane_cap_s", sa.Float(), nullable=True))
    op.add_column("studies", sa.Column("late_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "jobs",
        sa.Column("lane", sa.SmallInteger(), server_default=sa.text("2"), nullable=False),
    )
    op.add_column(
        "jobs",
        sa.Column(
            "overdue_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
    )
    op.execute("UPDATE jobs SET overdue_at = queued_at WHERE state = 'QUEUED'")
    op.create_index(
        "ix_jobs_lane",
        "jobs",
        ["lane", "next_attempt_at"],
        unique=False,
        postgresql_where=sa.text(QUEUED),
    )
    op.create_index(
        "ix_jobs_overdue",
        "jobs",
        ["overdue_at"],
        unique=False,
        postgresql_where=sa.text(QUEUED),
    )
    op.create_index(
        "ix_studies_late",
        "studies",
        ["late_since"],
        unique=False,
        postgresql_where=sa.text("late_since IS NOT NULL"),
    )
    op.execute("CREATE SEQUENCE claim_turns")


def downgrade() -> None:
    """Forget the lanes; what is queued waits by its time again."""
    op.execute("DROP SEQUENCE claim_turns")
    op.drop_index("ix_studies_late", table_name="studies")
    op.drop_index("ix_jobs_overdue", table_name="jobs")
    op.drop_index("ix_jobs_lane", table_name="jobs")
    op.drop_column("jobs", "overdue_at")
    op.drop_column("jobs", "lane")
    for column in ("late_since", "lane_cap_s", "lane_rule", "lane"):
        op.drop_column("studies", column)
