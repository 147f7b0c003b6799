"""``carina destinations``: where drafts go, and the switches of each destination."""

import dataclasses
import getpass
from datetime import UTC, datetime
from typing import Annotated

import typer

from service import destinations, terminal
from service.destinations import Standing, Switch
from service.inquiry import ask
from service.settings import load

Name = Annotated[str, typer.Argument(metavar="NAME", help="As `carina destinations list` names it")]


def list_all(
    *, as_json: Annotated[bool, typer.Option("--json", help="For programs")] = False
) -> None:
    """Show every destination: its address, its switch, what waits for it, what it has proven."""
    now = datetime.now(UTC)
    found = ask(lambda session: destinations.standings(session, load().archives))
    if as_json:
        terminal.as_json([dataclasses.asdict(one) for one in found])
        return
    headings = ("name", "address", "proof", "is", "waiting", "unproven", "failed", "oldest", "last")
    terminal.table(headings, [_line(one, now) for one in found])
    for one in found:
        if one.reason:
            terminal.say(f"{one.name}: {one.reason}")
        if one.resting_since is not None:
            since = terminal.ago(one.resting_since, now)
            terminal.say(
                f"{one.name}: rests since {since}, one draft is tried until it gets through"
            )
        if one.not_retired:
            terminal.say(f"{one.name}: old objects of {one.not_retired} drafts did not go")


def suspend(name: Name) -> None:
    """Send nothing there until it is resumed; other destinations go on, nothing is lost."""
    _switch(name, Switch.SUSPENDED)


def drain(name: Name) -> None:
    """Let go out what is ready now and hold back what comes later, until it is resumed."""
    _switch(name, Switch.DRAINING)


def resume(name: Name) -> None:
    """Send there again, what waited first."""
    _switch(name, Switch.OPEN)


def _switch(name: str, to: Switch) -> None:
    who = (getpass.getuser(), datetime.now(UTC))
    known = {one.name for one in load().archives}
    ask(lambda session: destinations.switch(session, name, to, who, known))
    terminal.say(f"{name}: {to}")


def _line(one: Standing, now: datetime) -> tuple[object, ...]:
    drains = one.switch is Switch.DRAINING
    return (
        one.name,
        one.address or "not configured any more",
        one.proof or "-",
        f"{one.switch}, {one.to_drain} to go" if drains else one.switch,
        one.waiting,
        one.unproven,
        one.failed or "-",
        "-" if one.oldest is None else terminal.ago(one.oldest, now),
        "-" if one.last_delivered is None else terminal.ago(one.last_delivered, now),
    )
