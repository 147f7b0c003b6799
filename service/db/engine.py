"""The way into the database: one object per process, one transaction per ``with``."""

import contextlib
from typing import TYPE_CHECKING

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from service.errors import DatabaseNotDurable

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECT_TIMEOUT_S = 5
LOCK_TIMEOUT_MS = 10_000
STATEMENT_TIMEOUT_MS = 60_000
MUST_BE_ON = ("fsync", "full_page_writes")


class Database:
    """A pool of connections to one database; make it after a fork, never before.

    ``url`` is ``postgresql+psycopg://…``. Nothing is connected until the first use.
    """

    def __init__(self, url: str, *, pool_size: int = 5, application_name: str = "carina") -> None:
        self.engine: Engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=CONNECT_TIMEOUT_S,
            # A connection that died with its server is replaced before it is handed out.
            pool_pre_ping=True,
            hide_parameters=True,  # no values, so no patient, in an error's text
            connect_args={
                "connect_timeout": CONNECT_TIMEOUT_S,
                "application_name": application_name,
                "options": (
                    f"-c timezone=UTC -c lock_timeout={LOCK_TIMEOUT_MS}"
                    f" -c statement_timeout={STATEMENT_TIMEOUT_MS}"
                    f" -c idle_in_transaction_session_timeout={STATEMENT_TIMEOUT_MS}"
                ),
            },
        )

    @contextlib.contextmanager
    def begin(self) -> "Iterator[Session]":
        """Give one transaction: committed when the block ends, rolled back when it raises."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    def dispose(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def check_durable(database: Database) -> None:
    """Refuse a server on which a committed transaction can be lost.

    Raises
    ------
    DatabaseNotDurable
        Naming the settings: an answered C-STORE success would be a lie.
    """
    with database.begin() as session:
        values = {
            name: session.execute(text(f"SHOW {name}")).scalar_one()
            for name in (*MUST_BE_ON, "synchronous_commit")
        }
    faults = [name for name in MUST_BE_ON if values[name] != "on"]
    if values["synchronous_commit"] == "off":
        faults.append("synchronous_commit")
    if faults:
        raise DatabaseNotDurable(f"Postgres runs with {', '.join(faults)} off")
