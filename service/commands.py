"""``carina up``, ``down``, ``status``, ``settings``, ``version``."""

import os
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from service import runstate, terminal
from service.installation import HOME


def up(
    *,
    detach: Annotated[
        bool,
        typer.Option("--detach/--foreground", help="Leave it running, or stay and watch it"),
    ] = True,
) -> None:
    """Start everything in one folder: Postgres, broker, listener, workers, sweep, web.

    Returns when every part is ready. Run again after a crash it takes over what is left.
    """
    from service import launch, settings_unknown, startup  # noqa: PLC0415  (psycopg takes 0.3 s to load)

    home = Path(os.environ[HOME])
    for line in settings_unknown.in_words(os.environ):
        terminal.fault(line)
    startup.prepare_home(home)
    with runstate.sole(home) as mine:
        if mine and not detach:
            startup.run(home)
            return
    if mine:
        launch.detached(home)
    else:
        launch.say_running(home)


def down() -> None:
    """Stop what `carina up` started: the listener first, the database last."""
    from service import launch  # noqa: PLC0415

    home = Path(os.environ[HOME])
    launch.stop(home)


def status(
    *, as_json: Annotated[bool, typer.Option("--json", help="For programs")] = False
) -> None:
    """Show how things stand. Exit code: 0 healthy, 1 degraded, 2 down."""
    from service import asking  # noqa: PLC0415

    found = asking.status_of(Path(os.environ[HOME]))
    if as_json:
        terminal.as_json(found)
    else:
        asking.show(found)
    raise typer.Exit(asking.EXIT_CODE[found["health"]])


def settings(
    *, as_json: Annotated[bool, typer.Option("--json", help="For programs")] = False
) -> None:
    """Show the settings in force, with passwords masked."""
    from service.settings import load  # noqa: PLC0415
    from service.settings_page import rows_of  # noqa: PLC0415  (pydantic only where needed)

    rows = rows_of(load())
    if as_json:
        terminal.as_json({row.variable: row.value for row in rows})
        return
    terminal.table(
        ("setting", "value", "meaning"), [(row.variable, row.value, row.meaning) for row in rows]
    )


def version() -> None:
    """Show the version of Carina."""
    terminal.say(f"carina {software_version()}")


def software_version() -> str:
    """Return the version of the installed package; "unknown" in a checkout never installed."""
    try:
        return metadata.version("carina")
    except metadata.PackageNotFoundError:
        return "unknown"
