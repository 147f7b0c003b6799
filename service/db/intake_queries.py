"""The questions of intake, built once: they are asked for every instance received."""

from typing import TYPE_CHECKING, Final, NamedTuple, cast

from sqlalchemy import ColumnElement, bindparam, exists, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from service.corrected import CorrectionState
from service.db.patient_tables import PatientCorrectionRow, PatientSaltRow
from service.db.tables import InstanceRow, ResultRow, StudyRow
from service.values import StudyState

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from sqlalchemy import Table
    from sqlalchemy.orm import Session

    from dicom.values import InstanceRef
    from service.corrected import PatientNumber

CORRECTIONS_TURN: Final = 0x43_4F_52_52_45_43_54  # "CORRECT"
"""Advisory lock: shared by every intake, held alone while a correction is written down."""


class Known(NamedTuple):
    """What is known of an instance that has come."""

    is_own_result: bool
    is_there: bool  # some version of it
    is_renamed: bool  # something was said of its patient's number


def keyed(content: ColumnElement[str]) -> ColumnElement[str]:
    """Return the key of a text under the salt of this installation."""
    salted = select(PatientSaltRow.salt).scalar_subquery() + "\n" + content
    return func.encode(func.sha256(func.convert_to(salted, "UTF8")), "hex")


_NUMBER: Final = bindparam("patient_id", type_=PatientCorrectionRow.prior_key.type)
_ISSUER: Final = bindparam("issuer", type_=PatientCorrectionRow.prior_key.type)
OF_NUMBER: Final = (
    PatientCorrectionRow.state == CorrectionState.ACTIVE.value,
    PatientCorrectionRow.study_instance_uid.is_(None),
    _NUMBER != "",
    PatientCorrectionRow.prior_key == keyed(_NUMBER),
    or_(
        _ISSUER == "",
        PatientCorrectionRow.prior_issuer_key == "",
        PatientCorrectionRow.prior_issuer_key == keyed(_ISSUER),
    ),
)
"""Conditions on the corrections of one patient's number; :func:`of_number` fills them in."""

_TURN: Final = select(
    func.pg_advisory_xact_lock(func.hashtextextended(bindparam("uid"), 0)),
    func.pg_advisory_xact_lock_shared(CORRECTIONS_TURN),
)
_KNOWN: Final = select(
    exists().where(
        or_(
            ResultRow.sop_instance_uid == bindparam("sop_instance_uid"),
            ResultRow.series_instance_uid == bindparam("series_instance_uid"),
        )
    ),
    exists().where(InstanceRow.sop_instance_uid == bindparam("sop_instance_uid")),
    exists().where(*OF_NUMBER),
)


def of_number(number: "PatientNumber") -> "dict[str, str]":
    """Return the parameters of :data:`OF_NUMBER`."""
    return {"patient_id": number.patient_id, "issuer": number.issuer}


def take_turn(session: "Session", sop_instance_uid: str) -> None:
    """Let equal instances come one after the other, and a correction of a patient before or after.

    It is a statement of its own: what the next one sees begins after the wait.
    """
    session.execute(_TURN, {"uid": sop_instance_uid})


def known(session: "Session", ref: "InstanceRef", number: "PatientNumber") -> Known:
    """Return what is known of an instance, in one question."""
    asked = {
        "sop_instance_uid": ref.sop_instance_uid,
        "series_instance_uid": ref.series_instance_uid,
    }
    return Known(*session.execute(_KNOWN, asked | of_number(number)).one())


def begin_study(
    session: "Session",
    study_instance_uid: str,
    now: "datetime",
    quiet_period: "timedelta",
    **lane: float | str | None,
) -> bool:
    """Make a study that collects, with the columns of its lane; False when it is there already."""
    new = insert(cast("Table", StudyRow.__table__)).values(
        study_instance_uid=study_instance_uid,
        state=StudyState.COLLECTING.value,
        first_received_at=now,
        last_received_at=now,
        quiet_until=now + quiet_period,
        **lane,
    )
    made = new.on_conflict_do_nothing().returning(StudyRow.study_instance_uid)
    return session.execute(made).first() is not None
