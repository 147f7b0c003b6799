"""Keep corrections of patients: messages, merged numbers, the studies they touched."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "patient_salt",
        sa.Column("single", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("salt", sa.Text(), nullable=False),
        sa.CheckConstraint("single", name=op.f("ck_patient_salt_single")),
        sa.PrimaryKeyConstraint("single", name=op.f("pk_patient_salt")),
    )
    op.execute(
        "INSERT INTO patient_salt (salt) SELECT gen_random_uuid()::text || gen_random_uuid()::text"
    )
    _messages()
    _corrections()
    op.create_table(
        "corrected_studies",
        sa.Column("correction_id", sa.Uuid(), nullable=False),
        sa.Column("study_instance_uid", sa.Text(), nullable=False),
        sa.Column("effect", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["correction_id"],
            ["patient_corrections.correction_id"],
            name=op.f("fk_corrected_studies_correction_id_patient_corrections"),
        ),
        sa.ForeignKeyConstraint(
            ["study_instance_uid"],
            ["studies.study_instance_uid"],
            name=op.f("fk_corrected_studies_study_instance_uid_studies"),
        ),
        sa.PrimaryKeyConstraint(
            "correction_id", "study_instance_uid", name=op.f("pk_corrected_studies")
        ),
    )
    op.create_index("ix_corrected_studies_study", "corrected_studies", ["study_instance_uid"])


def downgrade() -> None:
    for table in ("corrected_studies", "patient_corrections", "patient_messages", "patient_salt"):
        op.drop_table(table)


def _messages() -> None:
    op.create_table(
        "patient_messages",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("control_id", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("peer_address", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient_messages")),
        sa.UniqueConstraint(
            "sender",
            "control_id",
            "sha256",
            name=op.f("uq_patient_messages_sender_control_id_sha256"),
        ),
    )


def _corrections() -> None:
    op.create_table(
        "patient_corrections",
        sa.Column("correction_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("prior_key", sa.Text(), nullable=False),
        sa.Column("prior_issuer_key", sa.Text(), nullable=False),
        sa.Column("survivor_key", sa.Text(), nullable=False),
        sa.Column("survivor_issuer_key", sa.Text(), nullable=False),
        sa.Column("study_instance_uid", sa.Text(), nullable=True),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_by", sa.Text(), nullable=True),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "kind IN ('MERGE', 'UPDATE', 'ARCHIVE')", name=op.f("ck_patient_corrections_kind")
        ),
        sa.CheckConstraint(
            "state IN ('ACTIVE', 'UNDONE')", name=op.f("ck_patient_corrections_state")
        ),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["patient_messages.id"],
            name=op.f("fk_patient_corrections_message_id_patient_messages"),
        ),
        sa.PrimaryKeyConstraint("correction_id", name=op.f("pk_patient_corrections")),
        sa.UniqueConstraint("number", name=op.f("uq_patient_corrections_number")),
    )
    for name, column, condition in (
        ("prior", "prior_key", "state = 'ACTIVE'"),
        ("study", "study_instance_uid", "state = 'ACTIVE' AND study_instance_uid IS NOT NULL"),
        ("pending", "number", "applied_at IS NULL"),
    ):
        op.create_index(
            f"ix_patient_corrections_{name}",
            "patient_corrections",
            [column],
            postgresql_where=sa.text(condition),
        )
