"""Who may do what in the database: made by the owner, looked at by everybody.

Two roles. The owner makes and changes tables and is known to ``carina db upgrade`` alone. The
service reads and writes; of the audit trail it may read and add, nothing else, and owns no table,
so that it cannot give itself more. Rights are granted by :mod:`service.db.migrate` at each upgrade.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from service.db import partitions
from service.db.migrate import INSERT_ONLY

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

TO_CHANGE = ("UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")

SCRIPT = """\
-- Once, as a superuser, on an empty server. Give both roles passwords of their own afterwards:
--   \\password carina_owner
--   \\password carina
CREATE ROLE carina_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION;
CREATE ROLE carina LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION;
CREATE DATABASE carina OWNER carina_owner;
REVOKE CONNECT, TEMPORARY ON DATABASE carina FROM PUBLIC;
GRANT CONNECT ON DATABASE carina TO carina;
-- Then: CARINA_DATABASE_OWNER_URL for carina_owner and CARINA_DATABASE_URL for carina, and
-- `carina db upgrade`, which makes the tables and grants the service what it needs.
"""


@dataclass(frozen=True, slots=True)
class TableRights:
    """What the connected role may do with one table of the audit trail."""

    table: str
    owns: bool
    may_change: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Role:
    """The connected role, and its hold on the audit trail."""

    name: str
    is_superuser: bool
    may_create_roles: bool
    tables: tuple[TableRights, ...]

    @property
    def faults(self) -> tuple[str, ...]:
        """Say what the role of a service must not be or may not do; empty when all is well."""
        found = []
        if self.is_superuser:
            found.append(f"{self.name} is a superuser")
        if self.may_create_roles:
            found.append(f"{self.name} may make roles")
        for one in self.tables:
            if one.owns:
                found.append(f"{self.name} owns {one.table}")
            elif one.may_change:
                found.append(f"{self.name} may {', '.join(one.may_change)} on {one.table}")
        return tuple(found)


def current(session: "Session") -> Role:
    """Return the role of this connection, as the server sees it.

    What a role may do through another it is a member of counts as its own.
    """
    row = session.execute(
        text("SELECT rolname, rolsuper, rolcreaterole FROM pg_roles WHERE rolname = current_user")
    ).one()
    names = (*INSERT_ONLY, *(partition.name for partition in partitions.all_of(session)))
    tables = tuple(_rights(session, table) for table in names)
    return Role(row.rolname, row.rolsuper, row.rolcreaterole, tables)


def _rights(session: "Session", table: str) -> TableRights:
    owns = session.execute(
        text(
            "SELECT pg_has_role(current_user, relowner, 'MEMBER') FROM pg_class"
            " WHERE oid = to_regclass(:name)"
        ),
        {"name": table},
    ).scalar_one_or_none()
    if owns is None:
        return TableRights(table, owns=False, may_change=())
    may = tuple(
        right
        for right in TO_CHANGE
        if session.execute(
            text(
                "SELECT has_table_privilege(current_user, to_regclass(:name)::oid, :right) OR"
                " (:right IN ('UPDATE', 'REFERENCES') AND has_any_column_privilege("
                "current_user, to_regclass(:name)::oid,"
                " CASE WHEN :right IN ('UPDATE', 'REFERENCES') THEN :right ELSE 'UPDATE' END))"
            ),
            {"name": table, "right": right},
        ).scalar_one()
    )
    return TableRights(table, bool(owns), may)
