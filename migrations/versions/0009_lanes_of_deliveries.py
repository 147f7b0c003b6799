"""Give consignments their lane and destinations a line that can rest; find what did not retire."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

DELIVERABLE = "state IN ('ENCODED', 'SENDING', 'SENT')"


def upgrade() -> None:
    """What is on its way takes over the lane of its job; what has ended stays as it is."""
    op.add_column(
        "consignments",
        sa.Column("lane", sa.SmallInteger(), server_default=sa.text("2"), nullable=False),
    )
    op.add_column(
        "consignments",
        sa.Column(
            "overdue_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
    )
    op.execute(
        "UPDATE consignments SET lane = jobs.lane, overdue_at = jobs.overdue_at FROM jobs"
        " WHERE jobs.job_id = consignments.job_id"
        " AND consignments.state IN ('ENCODED', 'SENDING', 'SENT')"
    )
    _index("ix_consignments_lane", "consignments", ["destination", "lane", "next_attempt_at"])
    _index(
        "ix_consignments_overdue", "consignments", ["destination", "overdue_at", "next_attempt_at"]
    )
    op.drop_index("ix_jobs_unconsigned", table_name="jobs")
    _index("ix_jobs_unconsigned", "jobs", ["lane", "next_attempt_at"], " AND NOT consigned")
    op.create_index(
        "ix_retirements_failed",
        "retirements",
        ["destination"],
        unique=False,
        postgresql_where=sa.text("state = 'FAILED'"),
    )
    op.create_table(
        "lines",
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("turns", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("resting_since", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("destination", name=op.f("pk_lines")),
    )


def downgrade() -> None:
    """Forget the lanes of consignments: they wait by their time again."""
    op.drop_table("lines")
    op.drop_index("ix_retirements_failed", table_name="retirements")
    op.drop_index("ix_jobs_unconsigned", table_name="jobs")
    _index("ix_jobs_unconsigned", "jobs", ["next_attempt_at"], " AND NOT consigned")
    op.drop_index("ix_consignments_overdue", table_name="consignments")
    op.drop_index("ix_consignments_lane", table_name="consignments")
    for column in ("overdue_at", "lane"):
        op.drop_column("consignments", column)


def _index(name: str, table: str, columns: list[str], further: str = "") -> None:
    where = sa.text(DELIVERABLE + further)
    op.create_index(name, table, columns, unique=False, postgresql_where=where)
