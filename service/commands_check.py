"""``carina check`` and ``carina db roles``: look before starting; change nothing."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from service import terminal

if TYPE_CHECKING:
    from service.checks import Check

NOT_WELL = 1


def check(*, as_json: Annotated[bool, typer.Option("--json", help="For programs")] = False) -> None:
    """Look at settings and variables, certificates, database, roles, broker, archives and disk.

    Exit code 1 if anything is not as it should be, 3 if the settings are wrong.
    """
    from service import checks, checks_security, reading, settings_unknown  # noqa: PLC0415  (psycopg and pynetdicom only where needed)
    from service.settings import load  # noqa: PLC0415

    settings = load()
    reading.lanes(settings)  # a fault in these rules is one of the settings
    found: list[Check] = [
        checks.variables(settings_unknown.in_words(os.environ)),
        checks_security.certificates(settings),
        *checks_security.database(settings),
        checks.broker(settings),
        checks.pacs(settings),
        checks.disk(settings),
    ]
    if as_json:
        terminal.as_json({one.name: {"well": one.is_well, "words": one.words} for one in found})
    else:
        rows = [(one.name, "well" if one.is_well else "NOT WELL", one.words) for one in found]
        terminal.table(("what", "is", "because"), rows)
    if not all(one.is_well for one in found):
        raise typer.Exit(NOT_WELL)


def db_roles(
    *, sql: Annotated[bool, typer.Option("--sql", help="Print the script that makes them")] = False
) -> None:
    """Look whether the service's role could change the audit trail; exit code 1 if it could.

    With --sql: print what a database administrator runs once, before `carina db upgrade`.
    """
    from service.db import roles  # noqa: PLC0415
    from service.db.engine import Database  # noqa: PLC0415
    from service.settings import load  # noqa: PLC0415

    if sql:
        terminal.say(roles.SCRIPT.rstrip())
        return
    url = load().database_url.get_secret_value()
    if not url:
        terminal.fault("CARINA_DATABASE_URL is not set")
        raise typer.Exit(NOT_WELL)
    database = Database(url, application_name="carina-roles")
    try:
        with database.begin() as session:
            role = roles.current(session)
    finally:
        database.dispose()
    for fault in role.faults:
        terminal.fault(fault)
    if role.faults:
        raise typer.Exit(NOT_WELL)
    terminal.say(f"{role.name} can read and add to the audit trail, and can change none of it.")
