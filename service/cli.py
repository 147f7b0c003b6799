"""The command ``carina``: a list of names, each loaded only when it is the one called.

A command is a plain function with typer's annotations, named here as ``module:function``. So
``carina status`` answers at once, the listener's image needs no networks, and no floor imports the
one above it. Every command gets ``--data DIR``, which says which installation is meant.

Exit codes: 0 done; 1 it failed, the fault is named; 2 wrong usage; 3 the settings are wrong.
``carina status``: 0 healthy, 1 degraded, 2 down.
"""

import functools
import importlib
import inspect
import os
import sys
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from dicom.errors import DicomError
from models.errors import ModelError
from service import installation
from service.errors import ServiceError, SettingsInvalid

FAILED = 1
SETTINGS_WRONG = 3

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """One command: where its function is, what the list says of it."""

    target: str
    help: str


COMMANDS: dict[str, Entry] = {
    "up": Entry("service.commands:up", "Start everything in one folder and wait until it is ready"),
    "down": Entry("service.commands:down", "Stop what `carina up` started, in the right order"),
    "status": Entry("service.commands:status", "Health, counts, ages, what is late and why"),
    "check": Entry("service.commands_check:check", "Look at everything before starting"),
    "settings": Entry("service.commands:settings", "The settings in force, secrets masked"),
    "version": Entry("service.commands:version", "The version of Carina"),
    "send": Entry("service.commands_send:send", "Send DICOM files to our own listener"),
    "studies": Entry("service.commands_studies:studies", "The newest studies and where they stand"),
    "show": Entry("service.commands_studies:show", "One study: its state, its draft, its events"),
    "replay": Entry("workers.replaying:replay", "Read studies again, as new jobs or in shadow"),
    "compare": Entry("workers.replaying:compare", "What the newest reading says otherwise"),
    "hurry": Entry("service.commands_lanes:hurry", "Put a study before all others"),
    "redeliver": Entry("service.commands_studies:redeliver", "Send the same results again"),
    "withdraw": Entry("service.commands_withdraw:withdraw", "Take back the drafts of a study"),
    "retire": Entry("service.commands_withdraw:retire", "Let archives act on old objects now"),
    "release": Entry("service.commands_studies:release", "Let a held study go on"),
    "purge": Entry("service.commands_purge:purge", "Let go of what is old and proven everywhere"),
    "destinations list": Entry(
        "service.commands_destinations:list_all", "Where drafts go, what waits, what is proven"
    ),
    "destinations suspend": Entry(
        "service.commands_destinations:suspend", "Send nothing there for now"
    ),
    "destinations drain": Entry(
        "service.commands_destinations:drain", "Let go out what is ready, hold back the rest"
    ),
    "destinations resume": Entry(
        "service.commands_destinations:resume", "Send there again, what waited first"
    ),
    "patients list": Entry("service.commands_patients:list_all", "Merges and corrections, newest"),
    "patients messages": Entry("service.commands_patients:messages", "HL7 messages, newest first"),
    "patients show": Entry("service.commands_patients:show", "What was done to which study"),
    "patients apply": Entry("service.commands_patients:apply", "Bring in a message by hand"),
    "patients undo": Entry("service.commands_patients:undo", "Take a correction back"),
    "patients adopt": Entry("service.commands_patients:adopt", "Believe the archive about a study"),
    "audit list": Entry("service.commands_audit:list_events", "Events of the audit trail"),
    "audit verify": Entry("service.commands_audit:verify", "Prove that nothing was changed"),
    "audit export": Entry("service.commands_audit:export", "Export as PS3.15 A.5 or JSON lines"),
    "audit archive": Entry(
        "service.commands_audit:take_out", "Take old full parts of the trail out into files"
    ),
    "models list": Entry("workers.commands:models_list", "The network bundles in use"),
    "models verify": Entry("workers.commands:models_verify", "Check hashes, load, self-test"),
    "look": Entry("workers.commands:look", "Read one image here and now, without any service"),
    "simulate": Entry("workers.simulating:simulate", "Make simulated radiographs"),
    "listen": Entry("service.commands_run:listen", "Process: the DICOM listener"),
    "work": Entry("workers.commands:work", "Process: a worker with the networks"),
    "deliver": Entry("workers.commands:deliver", "Process: the deliverer to the PACS"),
    "sweep": Entry("service.commands_run:sweep", "Process: closes studies, rings again, seals"),
    "web": Entry("service.commands_run:web", "Process: health and metrics over HTTP"),
    "hl7": Entry("service.commands_run:hl7", "Process: takes HL7 messages about patients"),
    "db upgrade": Entry("service.commands_run:db_upgrade", "Bring the tables to this version"),
    "db roles": Entry("service.commands_check:db_roles", "Could the service change the trail?"),
}

GROUPS = {
    "destinations": "The archives that drafts go to",
    "patients": "Merged and corrected patients",
    "audit": "The audit trail",
    "models": "The network bundles",
    "db": "The database",
}

DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Folder of the installation; else CARINA_HOME, else ./carina-data",
        show_default=False,
    ),
]


def assemble(arguments: list[str]) -> typer.Typer:
    """Return the application, with the one command that ``arguments`` name loaded for real."""
    groups = {"": _group("Reads chest radiographs in the background of a PACS.")}
    for name, entry in COMMANDS.items():
        parent, _, leaf = name.rpartition(" ")
        if parent not in groups:
            groups[parent] = _group(GROUPS[parent])
            groups[""].add_typer(groups[parent], name=parent)
        called = arguments[: len(name.split())] == name.split()
        function = _with_data(load(entry.target)) if called else _unloaded
        groups[parent].command(leaf, short_help=entry.help)(function)
    return groups[""]


def load(target: str) -> Function:
    """Return the function that ``module:function`` names."""
    module, _, name = target.partition(":")
    function: Function = getattr(importlib.import_module(module), name)
    return function


def main() -> None:
    """Run the command line and leave with its exit code."""
    try:
        assemble(sys.argv[1:])()
    except SettingsInvalid as error:
        _complain("the settings are wrong:", *error.faults)
        sys.exit(SETTINGS_WRONG)
    except (ServiceError, DicomError, ModelError) as error:
        _complain(str(error) or type(error).__name__)
        sys.exit(FAILED)
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python must not complain at its exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except OSError as error:
        _complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        sys.exit(FAILED)
    except _database_errors() as error:
        _complain("the database does not answer as it should:", _first_line(error))
        sys.exit(FAILED)


def _group(text: str) -> typer.Typer:
    return typer.Typer(
        help=text,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )


def _unloaded() -> None:
    """Stand in the list of commands for one that is not called this time."""


def _with_data(function: Function) -> Function:
    """Give a command the option ``--data`` and enter the installation before it runs."""
    hints = typing.get_type_hints(function, include_extras=True)
    signature = inspect.signature(function)
    known = [
        one.replace(annotation=hints.get(name, one.annotation))
        for name, one in signature.parameters.items()
    ]
    extra = inspect.Parameter(
        "data", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=DataOption
    )

    @functools.wraps(function)
    def run(*args: Any, data: Path | None = None, **options: Any) -> Any:  # noqa: ANN401
        installation.enter(data)
        return function(*args, **options)

    run.__signature__ = signature.replace(parameters=[*known, extra])  # type: ignore[attr-defined]
    run.__annotations__ = {**hints, "data": DataOption}
    return run


def _database_errors() -> tuple[type[Exception], ...]:
    """Return the errors of the database, if it was loaded at all: its import takes 0.3 s."""
    names = (("sqlalchemy.exc", "SQLAlchemyError"), ("psycopg", "Error"))
    return tuple(getattr(sys.modules[one], name) for one, name in names if one in sys.modules)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _complain(headline: str, *details: str) -> None:
    from service import terminal  # noqa: PLC0415  (rich is loaded only when something is shown)

    terminal.fault("\n  ".join([headline, *details]))
