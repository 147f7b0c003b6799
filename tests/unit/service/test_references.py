from sqlalchemy import Table, UniqueConstraint

from service.db import belonging
from service.db.base import Base


def _leads_an_index(table: Table, columns: list[str]) -> bool:
    unique = [one for one in table.constraints if isinstance(one, UniqueConstraint)]
    orders = [list(one.columns) for one in (table.primary_key, *table.indexes, *unique)]
    return any([column.name for column in one][: len(columns)] == columns for one in orders)


def test_what_refers_to_a_row_that_is_purged_is_found_by_an_index() -> None:
    """Postgres looks for what still refers to a deleted row; without an index it reads a table."""
    without = [
        f"{table.name} {constraint.column_keys}"
        for table in Base.metadata.tables.values()
        for constraint in table.foreign_key_constraints
        if belonging.is_of_a_study(constraint.referred_table.name)
        and not _leads_an_index(table, list(constraint.column_keys))
    ]
    assert without == []
