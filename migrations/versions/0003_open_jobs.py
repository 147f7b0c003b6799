"""Find the jobs that are still open, the longest waiting first, without reading ended ones."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_index(
        "ix_jobs_open",
        "jobs",
        ["queued_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('QUEUED', 'RUNNING', 'ENCODED', 'SENDING', 'SENT')"),
    )
