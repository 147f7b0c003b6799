"""The tables of corrections of patients: what was told, what it means, which studies it touched.

No number or name of a patient stands here. Messages and identities lie in files beside the spool;
the keys are hashes under a salt of the installation, so that a correction can be found by the
number it takes away, and no list of numbers made elsewhere says whose it is.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from service.corrected import CorrectionKind, CorrectionState
from service.db.tables import Base, StudyRow, one_of


class PatientSaltRow(Base):
    """The one salt of this installation's patient keys; made by the migration."""

    __tablename__ = "patient_salt"

    single: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    salt: Mapped[str]

    __table_args__ = (CheckConstraint("single", name="single"),)


class PatientMessageRow(Base):
    """One HL7 v2 message as it was taken, and how it was answered.

    ``sender`` is MSH-3 and MSH-4, ``control_id`` MSH-10, ``path`` relative to the folder of
    corrections. A message that says the same under the same id is the same message.
    """

    __tablename__ = "patient_messages"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    sender: Mapped[str]
    control_id: Mapped[str]
    event: Mapped[str]
    sha256: Mapped[str]
    path: Mapped[str]
    peer_address: Mapped[str]
    received_at: Mapped[datetime]
    answer: Mapped[str]
    reason: Mapped[str] = mapped_column(Text, server_default=text("''"))

    __table_args__ = (UniqueConstraint("sender", "control_id", "sha256"),)


class PatientCorrectionRow(Base):
    """One patient number that gave way to another, or whose demographics were corrected.

    ``path`` names the file with both, relative to the folder of corrections. Until ``applied_at``
    is set, studies that were there before may still bear the old identity.
    """

    __tablename__ = "patient_corrections"

    correction_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)
    message_id: Mapped[int | None] = mapped_column(ForeignKey(PatientMessageRow.id))
    kind: Mapped[str]
    state: Mapped[str]
    prior_key: Mapped[str]
    prior_issuer_key: Mapped[str]
    survivor_key: Mapped[str]
    survivor_issuer_key: Mapped[str]
    study_instance_uid: Mapped[str | None]
    path: Mapped[str]
    made_by: Mapped[str]
    made_at: Mapped[datetime]
    applied_at: Mapped[datetime | None]
    undone_by: Mapped[str | None]
    undone_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint(one_of("kind", CorrectionKind), name="kind"),
        CheckConstraint(one_of("state", CorrectionState), name="state"),
        Index(
            "ix_patient_corrections_prior",
            "prior_key",
            postgresql_where=text(f"state = '{CorrectionState.ACTIVE}'"),
        ),
        Index(
            "ix_patient_corrections_study",
            "study_instance_uid",
            postgresql_where=text(
                f"state = '{CorrectionState.ACTIVE}' AND study_instance_uid IS NOT NULL"
            ),
        ),
        Index(
            "ix_patient_corrections_pending",
            "number",
            postgresql_where=text("applied_at IS NULL"),
        ),
    )


class CorrectedStudyRow(Base):
    """What one correction did to one study; ``effect`` is in words."""

    __tablename__ = "corrected_studies"

    correction_id: Mapped[UUID] = mapped_column(
        ForeignKey(PatientCorrectionRow.correction_id), primary_key=True
    )
    study_instance_uid: Mapped[str] = mapped_column(
        ForeignKey(StudyRow.study_instance_uid), primary_key=True
    )
    effect: Mapped[str]
    changed_at: Mapped[datetime]

    __table_args__ = (Index("ix_corrected_studies_study", "study_instance_uid"),)
