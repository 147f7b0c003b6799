"""The partitions of the audit trail: the next ones made ahead, the names of all."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.orm import Session

PARENT: Final = "audit_events"
PREFIX: Final = "audit_events_0"
"""What the name of every partition begins with, and of no other table."""

_ALL: Final = text(
    "SELECT c.relname,"
    " coalesce(substring(pg_get_expr(c.relpartbound, c.oid) FROM 'FROM \\(''(\\d+)''\\)'), '0')"
    " AS first,"
    " substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \\(''(\\d+)''\\)') AS ends"
    " FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid"
    " WHERE i.inhparent = to_regclass('audit_events') ORDER BY c.relname"
)


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition: events from number ``first`` on, up to and without ``ends``."""

    name: str
    first: int
    ends: int


def all_of(session: "Session | Connection") -> tuple[Partition, ...]:
    """Return every partition of the audit trail, oldest first."""
    return tuple(
        Partition(str(row.relname), int(row.first), int(row.ends)) for row in session.execute(_ALL)
    )


def make_ahead(session: "Session") -> int:
    """Make the empty partitions that the next events will need; return how many were made.

    The service's role may do this by a function of the owner's, which can do nothing else.
    """
    return int(session.execute(text("SELECT carina_make_partitions()")).scalar_one())
