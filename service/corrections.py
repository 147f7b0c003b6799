"""Corrections of patients: keep them, find who a number is now, take them back.

A correction holds from the moment its transaction commits: intake and the encoding of drafts ask
:func:`known_as` each time. What was there before is brought up to date by
:mod:`service.correcting`, which may be interrupted and goes on later.
"""

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog
from sqlalchemy import func, literal, select

from service import corrected, patients
from service.corrected import Change, CorrectionKind, CorrectionState, Identity, PatientNumber
from service.db import intake_queries
from service.db.patient_tables import PatientCorrectionRow
from service.errors import CorrectionRefused
from service.files import private_folder, write_private

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path
    from uuid import UUID

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

    from dicom.values import PatientIdentity

LONGEST_CHAIN: Final = 64
IDENTITIES: Final = "identities"
ITSELF: Final = "the number is merged into itself"
CIRCLE: Final = "the merge would make a circle with merges that hold already"
ELSEWHERE: Final = "the number has been merged into another patient already"

_ACTIVE: Final = (
    select(PatientCorrectionRow)
    .where(*intake_queries.OF_NUMBER)
    .order_by(PatientCorrectionRow.number)
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a correction comes from: a message or a person, and for which study if only one."""

    made_by: str
    message_id: int | None = None
    study_instance_uid: str | None = None


def keep(
    session: "Session", change: Change, origin: Origin, root: "Path", now: "datetime"
) -> "UUID | None":
    """Write a correction down; None when it says nothing new.

    On return its file is on the disk; it holds from the commit on. Intake waits that long, so no
    film slips in between under the old number.

    Raises
    ------
    CorrectionRefused
        If it contradicts what holds already. Nothing has been written then.
    """
    if origin.study_instance_uid is None:  # of one study alone, intake need not know
        session.execute(select(func.pg_advisory_xact_lock(intake_queries.CORRECTIONS_TURN)))
    if change.kind is CorrectionKind.MERGE and not _is_news(session, change, root):
        return None
    if change.kind is CorrectionKind.UPDATE:
        known = known_as(session, change.prior, root)
        if known is not None and change.survivor.over(known) == known:
            return None
    correction_id = uuid.uuid4()
    relative = f"{IDENTITIES}/{correction_id}.json"
    path = root / relative
    private_folder(path.parent)
    write_private(path, corrected.to_json(change))
    row = PatientCorrectionRow(
        correction_id=correction_id,
        message_id=origin.message_id,
        kind=change.kind.value,
        state=CorrectionState.ACTIVE.value,
        prior_key=_keyed(change.prior.patient_id),
        prior_issuer_key=_keyed(change.prior.issuer),
        survivor_key=_keyed(change.survivor.number.patient_id),
        survivor_issuer_key=_keyed(change.survivor.number.issuer),
        study_instance_uid=origin.study_instance_uid,
        path=relative,
        made_by=origin.made_by,
        made_at=now,
    )
    session.add(row)
    session.flush()
    return correction_id


def known_as(session: "Session", number: PatientNumber, root: "Path") -> Identity | None:
    """Return who the bearer of a number is now; None when nothing was said of the number.

    Merges are followed to their end; of several corrections of one number the last holds.
    """
    found: Identity | None = None
    for _ in range(LONGEST_CHAIN):
        rows = _active(session, number)
        merges = _unambiguous([row for row in rows if row.kind == CorrectionKind.MERGE])
        updates = [row for row in rows if row.kind == CorrectionKind.UPDATE]
        told = merges[-1:] or updates[-1:]
        if not told:
            return found
        survivor = read(root, told[0]).survivor
        found = survivor if found is None else survivor.over(found)
        if not merges:
            return found
        number = survivor.number
    raise CorrectionRefused(CIRCLE)


def of_study(
    session: "Session", study_instance_uid: str, number: PatientNumber, root: "Path"
) -> Identity | None:
    """Return who the patient of one study is now.

    What the archive said of this very study holds before what was said of the number.
    """
    row = session.scalars(
        select(PatientCorrectionRow)
        .where(
            PatientCorrectionRow.study_instance_uid == study_instance_uid,
            PatientCorrectionRow.state == CorrectionState.ACTIVE,
        )
        .order_by(PatientCorrectionRow.number.desc())
        .limit(1)
    ).one_or_none()
    known = known_as(session, number, root)
    if row is None:
        return known
    told = read(root, row).survivor
    return told if known is None else told.over(known)


def number_of(patient: "PatientIdentity") -> PatientNumber:
    """Return the number of a header's patient."""
    return PatientNumber(patient.patient_id.strip(), patient.issuer_of_patient_id.strip())


def as_known(session: "Session", patient: "PatientIdentity", root: "Path") -> "PatientIdentity":
    """Return a header's patient under the identity that holds now."""
    known = known_as(session, number_of(patient), root)
    return patient if known is None else patients.renamed(patient, known)


def read(root: "Path", row: PatientCorrectionRow) -> Change:
    """Return what a correction says.

    Raises
    ------
    OSError
        If its file cannot be read.
    """
    return corrected.from_file(root / row.path)


def _is_news(session: "Session", change: Change, root: "Path") -> bool:
    prior, survivor = change.prior, change.survivor.number
    if prior == survivor:
        raise CorrectionRefused(ITSELF)
    target = known_as(session, survivor, root)
    end = survivor if target is None else target.number
    if _is_same(end, prior):
        raise CorrectionRefused(CIRCLE)
    merges = [row for row in _active(session, prior) if row.kind == CorrectionKind.MERGE]
    if not merges:
        return True
    now_known = known_as(session, prior, root)
    if now_known is None or not _is_same(now_known.number, end):
        raise CorrectionRefused(ELSEWHERE)
    if any(read(root, row) == change for row in merges):
        return False
    for row in merges:
        if _is_same(read(root, row).survivor.number, survivor):
            row.state = CorrectionState.UNDONE.value  # the new one says the same, and more
            return True
    return False


def _is_same(one: PatientNumber, other: PatientNumber) -> bool:
    return one.patient_id == other.patient_id and (
        one.issuer == other.issuer or not (one.issuer and other.issuer)
    )


def _active(session: "Session", number: PatientNumber) -> "Sequence[PatientCorrectionRow]":
    return session.scalars(_ACTIVE, intake_queries.of_number(number)).all()


def _unambiguous(rows: "Sequence[PatientCorrectionRow]") -> "Sequence[PatientCorrectionRow]":
    """Return the merges that surely mean this number.

    One number of two issuers may have become two patients; a film that names no issuer may be of
    either, and is left as it is.
    """
    if len({(row.survivor_key, row.survivor_issuer_key) for row in rows}) > 1:
        log.warning("merge_not_clear", corrections=[str(row.correction_id) for row in rows])
        return ()
    return rows


def _keyed(text: str) -> "ColumnElement[str]":
    """Return the key of a text under the salt of this installation, "" for no text."""
    return intake_queries.keyed(literal(text)) if text else literal("")
