"""The tables of sending: consignments of jobs to destinations, switches, lines, commitments."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, SmallInteger, func, text
from sqlalchemy.orm import Mapped, mapped_column

from service.db.tables import DELIVERABLE, Base, JobRow, ResultRow, one_of
from service.values import CommitmentState, JobState, Lane


class ConsignmentRow(Base):
    """The results of one job on their way to one destination: each has its own queue and fence.

    ``state`` is in the words of a job's, from ENCODED on; ``attempt`` counts claims and is the
    fence; ``tries`` counts sendings and questions since the last redelivery. ``lane`` and
    ``overdue_at`` are those of the job: :mod:`service.delivery_order` goes by them.
    """

    __tablename__ = "consignments"

    job_id: Mapped[UUID] = mapped_column(ForeignKey(JobRow.job_id), primary_key=True)
    destination: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    attempt: Mapped[int] = mapped_column(server_default=text("0"))
    tries: Mapped[int] = mapped_column(server_default=text("0"))
    owner: Mapped[str | None]
    claimed_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    next_attempt_at: Mapped[datetime]
    opened_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    reason_code: Mapped[str | None]
    reason: Mapped[str | None]
    lane: Mapped[int] = mapped_column(SmallInteger, server_default=text(str(int(Lane.ROUTINE))))
    overdue_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (
        CheckConstraint(one_of("state", JobState), name="state"),
        Index(
            "ix_consignments_open",
            "next_attempt_at",
            postgresql_where=text(one_of("state", DELIVERABLE)),
        ),
        Index(
            "ix_consignments_lane",
            "destination",
            "lane",
            "next_attempt_at",
            postgresql_where=text(one_of("state", DELIVERABLE)),
        ),
        Index(
            "ix_consignments_overdue",
            "destination",
            "overdue_at",
            "next_attempt_at",
            postgresql_where=text(one_of("state", DELIVERABLE)),
        ),
        Index(
            "ix_consignments_leased",
            "lease_until",
            postgresql_where=text("lease_until IS NOT NULL"),
        ),
    )


class DeliveryRow(Base):
    """What one destination answered for one result; ``not_taken``: it was never offered."""

    __tablename__ = "deliveries"

    result_id: Mapped[int] = mapped_column(ForeignKey(ResultRow.id), primary_key=True)
    destination: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[int | None]
    error_comment: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    not_taken: Mapped[bool] = mapped_column(server_default=text("false"))
    tried_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    proven_at: Mapped[datetime | None]


class DestinationRow(Base):
    """What an operator decided about one destination; without a row it is open.

    ``held_since``: nothing that was consigned later is sent. ``drains``: what was consigned before
    still goes out.
    """

    __tablename__ = "destinations"

    name: Mapped[str] = mapped_column(primary_key=True)
    held_since: Mapped[datetime | None]
    drains: Mapped[bool] = mapped_column(server_default=text("false"))
    changed_at: Mapped[datetime]
    changed_by: Mapped[str]


class LineRow(Base):
    """What deliverers know together of one destination; a row is made by the first delivery.

    ``turns`` counts the claims that found something. ``resting_since``: the line kept breaking,
    and nothing has gone through since then.
    """

    __tablename__ = "lines"

    destination: Mapped[str] = mapped_column(primary_key=True)
    turns: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    resting_since: Mapped[datetime | None]


class CommitmentRow(Base):
    """One storage commitment transaction (PS3.4 annex J); ``failures``: reason by SOP instance."""

    __tablename__ = "commitments"

    transaction_uid: Mapped[str] = mapped_column(primary_key=True)
    job_id: Mapped[UUID] = mapped_column(ForeignKey(JobRow.job_id))
    destination: Mapped[str]
    state: Mapped[str]
    requested_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]
    failures: Mapped[dict[str, Any]]

    __table_args__ = (
        CheckConstraint(one_of("state", CommitmentState), name="state"),
        Index("ix_commitments_job_id", "job_id", "destination"),
    )
