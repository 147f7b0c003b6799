"""Storage commitment transactions: asked, expired, reported. A report may come twice, or late."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select, update

from service import audit, consignments, lifecycle
from service.db.outbox_tables import CommitmentRow, ConsignmentRow, DeliveryRow
from service.db.tables import JobRow, ResultRow
from service.values import CommitmentState, EventType, Fence

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy.orm import Session

    from dicom.commitment import CommitmentReport

OPEN_FOR_REPORT: Final = (
    CommitmentState.REQUESTED,
    CommitmentState.EXPIRED,
    CommitmentState.REFUSED,  # an archive that broke off may have taken the request all the same
)


@dataclass(frozen=True, slots=True)
class Commitment:
    """The newest transaction of a consignment since it was sent; ``expired`` counts the others."""

    transaction_uid: str
    state: CommitmentState
    requested_at: "datetime"
    failures: "Mapping[str, int]"
    expired: int


def begin(session: "Session", fence: Fence, transaction_uid: str, now: "datetime") -> None:
    """Record a transaction; commit it before the request goes out: its report may be quick.

    Raises
    ------
    FenceLost
        If somebody else serves the destination now.
    """
    consignments.fenced(session, fence)
    session.add(
        CommitmentRow(
            transaction_uid=transaction_uid,
            job_id=fence.job_id,
            destination=fence.destination,
            state=CommitmentState.REQUESTED.value,
            requested_at=now,
            failures={},
        )
    )
    session.flush()


def taken(session: "Session", fence: Fence, transaction_uid: str, now: "datetime") -> None:
    """Leave the event that the archive took the request."""
    job, _ = consignments.fenced(session, fence)
    detail = {"destination": fence.destination, "transaction_uid": transaction_uid}
    event = lifecycle.about(job, EventType.COMMITMENT_REQUESTED, fence.owner, detail)
    audit.record(session, event, now)


def end(session: "Session", transaction_uid: str, state: CommitmentState, now: "datetime") -> None:
    """Note that a transaction expired, was refused or is not offered; a report wins over that."""
    session.execute(
        update(CommitmentRow)
        .where(
            CommitmentRow.transaction_uid == transaction_uid,
            CommitmentRow.state == CommitmentState.REQUESTED,
        )
        .values(state=state.value, answered_at=now)
    )


def newest(session: "Session", fence: Fence, since: "datetime") -> Commitment | None:
    """Return how the newest transaction of a consignment stands; None when there is none."""
    mine = (
        CommitmentRow.job_id == fence.job_id,
        CommitmentRow.destination == fence.destination,
        CommitmentRow.requested_at >= since,
    )
    row = session.scalars(
        select(CommitmentRow)
        .where(*mine)
        .order_by(CommitmentRow.requested_at.desc(), CommitmentRow.transaction_uid)
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    count = select(func.count()).select_from(CommitmentRow)
    expired = session.scalar(count.where(*mine, CommitmentRow.state == CommitmentState.EXPIRED))
    return Commitment(
        transaction_uid=row.transaction_uid,
        state=CommitmentState(row.state),
        requested_at=row.requested_at,
        failures={uid: int(reason) for uid, reason in row.failures.items()},
        expired=expired or 0,
    )


def report(session: "Session", heard: "CommitmentReport", user_id: str, now: "datetime") -> bool:
    """Take a report down and make its consignment due; False when nobody asked for it.

    Twice the same report changes nothing. One that comes after its transaction expired still
    counts, for what has not been sent anew since. Only objects of that job are believed.
    """
    found = session.get(CommitmentRow, heard.transaction_uid)
    if found is None:
        return False
    job = session.get_one(JobRow, found.job_id, with_for_update=True, populate_existing=True)
    session.refresh(found, with_for_update=True)
    if found.state not in OPEN_FOR_REPORT:
        return True
    failures = {uid: code for uid, code in heard.failures.items() if uid not in heard.committed}
    found.failures = failures
    found.answered_at = now
    found.state = (CommitmentState.PARTIAL if failures else CommitmentState.COMMITTED).value
    proven = _prove(session, found, heard, now)
    session.execute(
        update(ConsignmentRow)
        .where(
            ConsignmentRow.job_id == found.job_id,
            ConsignmentRow.destination == found.destination,
        )
        .values(next_attempt_at=now)
    )
    job.next_attempt_at = min(job.next_attempt_at, now)
    session.flush()
    detail = {
        "destination": found.destination,
        "transaction_uid": found.transaction_uid,
        "committed": proven,
        "failures": {uid: f"0x{code:04X}" for uid, code in sorted(failures.items())},
    }
    event = lifecycle.about(job, EventType.COMMITMENT_REPORTED, user_id, detail)
    audit.record(session, event, now)
    return True


def _prove(
    session: "Session", row: CommitmentRow, heard: "CommitmentReport", now: "datetime"
) -> int:
    results = select(ResultRow.id).where(
        ResultRow.job_id == row.job_id,
        ResultRow.sop_instance_uid.in_(heard.committed - heard.failures.keys()),
    )
    proven = session.execute(
        update(DeliveryRow)
        .where(
            DeliveryRow.result_id.in_(results),
            DeliveryRow.destination == row.destination,
            # What has been sent again since is vouched for anew.
            DeliveryRow.tried_at <= row.requested_at,
        )
        .values(proven_at=now)
        .returning(DeliveryRow.result_id)
        .execution_options(synchronize_session=False)
    )
    return len(proven.all())
