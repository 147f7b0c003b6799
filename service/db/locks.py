"""Locks: work that exactly one process does at a time, whoever it is, and the row of a study.

Advisory ones belong to a connection of their own, so a process that dies lets go at once.
"""

import contextlib
from typing import TYPE_CHECKING

from sqlalchemy import text

from service.db.tables import StudyRow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection
    from sqlalchemy.orm import Session

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


def study(session: "Session", study_instance_uid: str) -> StudyRow | None:
    """Return a study's row, locked as one whose key stays (FOR NO KEY UPDATE); None: none there.

    Whoever changes a job twice in one transaction has Postgres look whether its study is there
    still. A lock on the key too would make that wait, for one who may wait for that very job.
    """
    return session.get(
        StudyRow, study_instance_uid, with_for_update={"key_share": True}, populate_existing=True
    )
