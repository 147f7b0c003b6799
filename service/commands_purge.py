"""``carina purge``: let go now of what the settings no longer keep, or say what would go."""

import dataclasses
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from service import retention, terminal
from service.housekeeping import Housekeeper
from service.inquiry import opened
from service.settings import load

if TYPE_CHECKING:
    from service.db.engine import Database
    from service.retention import Place, Rules

AT_ONCE = 100
MEGABYTE = 1_000_000


def purge(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs")] = False,
) -> None:
    """Let go of studies that are old enough and proven everywhere, and of leftovers.

    The sweep does the same by itself, a little every second.
    """
    settings, now = load(), datetime.now(UTC)
    rules = retention.rules_of(settings)
    if rules is None:
        terminal.say("CARINA_KEEP_STUDIES_DAYS is not set: no study is ever let go.")
    if dry_run and rules is None:
        return
    with opened() as database:
        if dry_run and rules is not None:
            told = {"would_go": 0} | _would_go(database, rules, now)
        else:
            told = dataclasses.asdict(Housekeeper(database, settings).run(now))
    if as_json:
        terminal.as_json(told)
        return
    for name, value in told.items():
        terminal.say(f"{name.replace('_', ' ')}: {value}")


def _would_go(database: "Database", rules: "Rules", now: datetime) -> dict[str, int]:
    """Return how many studies would go, and how many stay for which reason."""
    counts: Counter[str] = Counter()
    place: Place | None = None
    while True:
        with database.begin() as session:
            found = retention.candidates(session, rules, now, place, AT_ONCE)
            for one in found:
                why = retention.why_kept(session, one.study_instance_uid, rules, now)
                counts["would_go" if why is None else f"stay: {why}"] += 1
        if not found:
            return dict(counts)
        place = found[-1]
