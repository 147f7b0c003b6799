"""Find what refers to a job: without an index every purge of a study reads all jobs."""

from collections.abc import Sequence

from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Index both references to jobs that had none."""
    op.create_index(op.f("ix_jobs_replaces_job_id"), "jobs", ["replaces_job_id"], unique=False)
    op.create_index(
        op.f("ix_retirements_successor_job_id"), "retirements", ["successor_job_id"], unique=False
    )


def downgrade() -> None:
    """Do without them again."""
    op.drop_index(op.f("ix_retirements_successor_job_id"), table_name="retirements")
    op.drop_index(op.f("ix_jobs_replaces_job_id"), table_name="jobs")
