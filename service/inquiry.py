"""One question to the database of the installation, asked by a command."""

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import make_url

from service.db.engine import Database
from service.embedded import credentials
from service.errors import SettingsInvalid
from service.installation import is_embedded
from service.settings import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.orm import Session

    from service.settings import Settings


OWNER = "carina_owner"
"""Who owns the tables of an embedded server."""


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


def owner_url(settings: "Settings") -> str:
    """Return the URL of the role that owns the tables, also of our embedded server.

    Without either it is the service's own: it may own them too.
    """
    url = settings.database_url.get_secret_value()
    if given := settings.database_owner_url.get_secret_value():
        return given
    if (settings.home / credentials.FILE).exists() and is_embedded(settings.home, "postgres", url):
        password = credentials.load_or_make(settings.home).owner_password
        owner = make_url(url).set(username=OWNER, password=password)
        return owner.render_as_string(hide_password=False)
    return url


def ask(question: "Callable[[Session], Any]") -> Any:  # noqa: ANN401  (what the question returns)
    """Ask in one transaction of its own and return the answer."""
    with opened() as database, database.begin() as session:
        return question(session)
