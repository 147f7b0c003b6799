"""Everything that belongs to one study, in whatever table: found by the foreign keys."""

from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Table, delete, or_, select

from service.db import patient_tables, withdrawal_tables  # noqa: F401 - known to Base by this
from service.db.tables import Base, StudyRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def delete_rows(session: "Session", study_instance_uid: str) -> None:
    """Delete every row that belongs to a study, in whatever table, those it needs last."""
    for table in reversed(Base.metadata.sorted_tables):
        condition = _of_study(table, study_instance_uid)
        if condition is not None:
            session.execute(delete(table).where(condition))


def is_of_a_study(table_name: str) -> bool:
    """Return whether rows of this table go with a study."""
    table = Base.metadata.tables.get(table_name)
    return table is not None and _of_study(table, "") is not None


def _of_study(table: Table, study_instance_uid: str) -> ColumnElement[bool] | None:
    """Return which rows of a table belong to a study, by its foreign keys; None: none can."""
    if table is StudyRow.__table__:
        return StudyRow.study_instance_uid == study_instance_uid
    ways = []
    for key in sorted(table.foreign_keys, key=lambda one: one.parent.name):
        parent = key.column.table
        found = None if parent is table else _of_study(parent, study_instance_uid)
        if found is not None:
            ways.append(key.parent.in_(select(key.column).where(found)))
    return or_(*ways) if ways else None
