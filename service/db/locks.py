"""Advisory locks: work that exactly one process does at a time, whoever it is.

They belong to a connection of their own, so a process that dies lets go at once.
"""

import contextlib
from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from service.db.engine import Database

SWEEP = 0x43_41_52_01
SEALER = 0x43_41_52_02


@contextlib.contextmanager
def held(database: "Database", lock: int) -> "Iterator[Connection | None]":
    """Give the connection that holds the lock, or None when somebody else holds it."""
    with database.engine.connect() as connection:
        taken = connection.execute(
            text("SELECT pg_try_advisory_lock(:lock)"), {"lock": lock}
        ).scalar_one()
        connection.commit()
        if not taken:
            yield None
            return
        try:
            yield connection
        finally:
            # Also after an error; a broken connection has let go by itself.
            if not connection.invalidated:
                connection.rollback()
                connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": lock})
                connection.commit()
