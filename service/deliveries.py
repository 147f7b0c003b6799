"""Claim what has to be sent, and write down what the archive answered, object by object."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from dicom.status import is_stored
from dicom.values import InstanceRef, KeptResult, ResultKind
from service import audit, consignments, lifecycle
from service.consignments import Outbox
from service.db.outbox_tables import DeliveryRow
from service.db.tables import JobRow, ResultRow
from service.values import EventType, Fence, Job

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from sqlalchemy.orm import Session

    from dicom.values import StoreOutcome

ORDER = list(ResultKind)
"""Masks and pictures first, the SRs last: no SR points at nothing."""


def claim(
    session: "Session", owner: str, now: "datetime", lease: "timedelta", outbox: Outbox
) -> tuple[Job, Fence, tuple[KeptResult, ...]] | None:
    """Take the consignment that waits longest, with its results in sending order.

    None when nothing is due.
    """
    claimed = consignments.claim(session, owner, now, lease, outbox)
    if claimed is None:
        return None
    job, fence = claimed
    return job, fence, kept(session, job.job_id, outbox.root)


def kept(session: "Session", job_id: "UUID", root: Path) -> tuple[KeptResult, ...]:
    """Return the results of a job in sending order, their paths under ``root``."""
    rows = session.scalars(select(ResultRow).where(ResultRow.job_id == job_id)).all()
    found = [
        KeptResult(
            ref=InstanceRef(
                row.study_instance_uid,
                row.series_instance_uid,
                row.sop_class_uid,
                row.sop_instance_uid,
            ),
            kind=ResultKind(row.kind),
            number=row.number,
            transfer_syntax_uid=row.transfer_syntax_uid,
            path=root / row.path,
            sha256=row.sha256,
        )
        for row in rows
    ]
    return tuple(sorted(found, key=lambda result: (ORDER.index(result.kind), result.number)))


def record(
    session: "Session",
    fence: Fence,
    destination: str,
    outcomes: "Sequence[StoreOutcome]",
    now: "datetime",
) -> None:
    """Write down every answer, each with its audit event; an object already stored stays so.

    Raises
    ------
    FenceLost
        If somebody else works on the job now.
    """
    row, _ = consignments.fenced(session, fence)
    ids = _result_ids(session, fence.job_id)
    for outcome in outcomes:
        stored = is_stored(outcome.status)
        answer = insert(DeliveryRow).values(
            result_id=ids[outcome.sop_instance_uid],
            destination=destination,
            status=outcome.status,
            error_comment=(outcome.error_comment or "").replace("\x00", "") or None,
            attempts=1,
            not_taken=not outcome.taken,
            tried_at=now,
            sent_at=now if stored else None,
        )
        session.execute(
            answer.on_conflict_do_update(
                index_elements=[DeliveryRow.result_id, DeliveryRow.destination],
                set_={
                    "status": answer.excluded.status,
                    "error_comment": answer.excluded.error_comment,
                    "not_taken": answer.excluded.not_taken,
                    "tried_at": now,
                    "attempts": DeliveryRow.attempts + 1,
                    "sent_at": func.coalesce(answer.excluded.sent_at, DeliveryRow.sent_at),
                    "proven_at": None,  # what was sent again is proven again
                },
            )
        )
        _tell(session, row, (fence.owner, destination, outcome), now)


def prove(
    session: "Session",
    fence: Fence,
    destination: str,
    sop_instance_uids: "Collection[str]",
    now: "datetime",
) -> frozenset[str]:
    """Note that the archive says it has these; return those it still owes.

    An object that was never offered is not owed. Nothing is moved: the caller decides.
    """
    consignments.fenced(session, fence)
    ids = _result_ids(session, fence.job_id)
    session.execute(
        update(DeliveryRow)
        .where(
            DeliveryRow.result_id.in_([ids[uid] for uid in sop_instance_uids if uid in ids]),
            DeliveryRow.destination == destination,
        )
        .values(proven_at=now)
    )
    owed = session.scalars(
        select(ResultRow.sop_instance_uid)
        .outerjoin(
            DeliveryRow,
            (DeliveryRow.result_id == ResultRow.id) & (DeliveryRow.destination == destination),
        )
        .where(
            ResultRow.job_id == fence.job_id,
            DeliveryRow.proven_at.is_(None),
            DeliveryRow.not_taken.is_not(True),
        )
    )
    return frozenset(owed)


def _result_ids(session: "Session", job_id: "UUID") -> "Mapping[str, int]":
    rows = session.execute(
        select(ResultRow.sop_instance_uid, ResultRow.id).where(ResultRow.job_id == job_id)
    )
    return dict(rows.all())


def _tell(
    session: "Session", row: JobRow, what: "tuple[str, str, StoreOutcome]", now: "datetime"
) -> None:
    owner, destination, outcome = what
    if not outcome.taken:
        event_type = EventType.OBJECT_NOT_TAKEN
    elif is_stored(outcome.status):
        event_type = EventType.OBJECT_SENT
    else:
        event_type = EventType.SENDING_FAILED
    # Without the Error Comment: an archive may quote the patient in it.
    status = None if outcome.status is None else f"0x{outcome.status:04X}"
    detail = {"destination": destination, "status": status}
    event = lifecycle.about(row, event_type, owner, detail, outcome.sop_instance_uid)
    audit.record(session, event, now)
