"""The tables of what is taken back: withdrawals of a study, and what became of old objects."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from service.db.outbox_tables import CommitmentRow as CommitmentRow  # noqa: PLC0414  (for alembic)
from service.db.tables import Base, JobRow, StudyRow, one_of
from service.replaced import RetirementState


class WithdrawalRow(Base):
    """A person's word that the drafts of a study must not be used.

    While ``lifted_at`` is empty nothing in the study is read by itself; a replay lifts it.
    ``notice_job_id`` is the job that sends the notice, empty when nothing had been sent.
    """

    __tablename__ = "withdrawals"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(ForeignKey(StudyRow.study_instance_uid))
    notice_job_id: Mapped[UUID | None]
    withdrawn_at: Mapped[datetime]
    withdrawn_by: Mapped[str]
    reason: Mapped[str]
    lifted_at: Mapped[datetime | None]

    __table_args__ = (
        Index(
            "uq_withdrawals_standing",
            "study_instance_uid",
            unique=True,
            postgresql_where=text("lifted_at IS NULL"),
        ),
    )


class RetirementRow(Base):
    """What becomes of the objects of one job at one archive, once ``successor_job_id`` is there.

    ``attempt`` counts claims and is the fence; ``tries`` counts how often the archive was asked.
    """

    __tablename__ = "retirements"

    job_id: Mapped[UUID] = mapped_column(ForeignKey(JobRow.job_id), primary_key=True)
    destination: Mapped[str] = mapped_column(primary_key=True)
    successor_job_id: Mapped[UUID] = mapped_column(ForeignKey(JobRow.job_id), index=True)
    state: Mapped[str]
    attempt: Mapped[int] = mapped_column(server_default=text("0"))
    tries: Mapped[int] = mapped_column(server_default=text("0"))
    owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    next_attempt_at: Mapped[datetime]
    opened_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    reason: Mapped[str | None]

    __table_args__ = (
        CheckConstraint(one_of("state", RetirementState), name="state"),
        Index(
            "ix_retirements_open",
            "next_attempt_at",
            postgresql_where=text(f"state = '{RetirementState.OPEN}'"),
        ),
        Index(
            "ix_retirements_failed",
            "destination",
            postgresql_where=text(f"state = '{RetirementState.FAILED}'"),
        ),
    )
