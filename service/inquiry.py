"""One question to the database of the installation, asked by a command."""

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from service.db.engine import Database
from service.errors import SettingsInvalid
from service.settings import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.orm import Session


@contextmanager
def opened() -> "Iterator[Database]":
    """Give the database that the settings name, for the length of one command.

    Raises
    ------
    SettingsInvalid
        If they name none.
    """
    url = load().database_url.get_secret_value()
    if not url:
        raise SettingsInvalid(["CARINA_DATABASE_URL: not set; or name the installation by --data"])
    database = Database(url, pool_size=1, application_name="carina-cli")
    try:
        yield database
    finally:
        database.dispose()


def ask(question: "Callable[[Session], Any]") -> Any:  # noqa: ANN401  (what the question returns)
    """Ask in one transaction of its own and return the answer."""
    with opened() as database, database.begin() as session:
        return question(session)
