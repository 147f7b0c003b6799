"""Which processes of older versions can live with which tables: the rule of a rolling upgrade.

Expand, deploy, contract: a migration adds; the new processes replace the old ones one by one; what
nobody uses any more goes in a later migration. ``OLDEST_BESIDE`` says for each migration which
roles cannot go on with the code of before. ``carina db upgrade`` refuses while one of those runs.
What it leaves behind with the tables tells a process of an older version, started later, whether
it may still begin.
"""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from service.errors import UpgradeRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection

OLDEST_BESIDE: "Final[Mapping[str, Mapping[str, str]]]" = {
    "0001": {},
    "0002": {},
    "0003": {},
    # An older deliverer claims whole jobs and knows nothing of their parts.
    "0004": {"deliver": "0004"},
    # Jobs that an older sweep opens are routine; an older worker claims by time alone.
    "0005": {},
    "0006": {},
    # The cause WITHDRAWAL: whoever turns rows of jobs into values must know it.
    "0007": {"deliver": "0007", "sweep": "0007", "work": "0007"},
    # Events go into the table as before; it makes its own partitions ahead.
    "0008": {},
    # What an older deliverer consigns is routine; it claims by time alone.
    "0009": {},
    "0010": {},
}
"""By revision and role, the oldest code that can live with the tables, by the head it came with."""

SILENT_AFTER_S: Final = 40  # four beats, as for whoever misses a process
COMMENTED: Final = "alembic_version"


@dataclass(frozen=True, slots=True)
class Running:
    """A process that has given a sign of life; ``knows`` is the head that its code came with."""

    name: str
    role: str
    knows: str


def floors(revisions: "Iterable[str]") -> dict[str, str]:
    """Return, by role, the oldest code that can live with tables that went through these."""
    found: dict[str, str] = {}
    for revision in revisions:
        for role, oldest in OLDEST_BESIDE.get(revision, {}).items():
            found[role] = max(oldest, found.get(role, ""))
    return found


def standing_in_the_way(running: "Iterable[Running]", pending: "Iterable[str]") -> list[Running]:
    """Return the processes that could not live with the tables after the pending migrations."""
    needed = floors(pending)
    return [one for one in running if one.knows < needed.get(one.role, "")]


def refuse_if_lived_in(connection: "Connection", found: str, pending: "Iterable[str]") -> None:
    """Refuse an upgrade that a running process would not survive.

    Raises
    ------
    UpgradeRefused
        Naming every process that has to be stopped first.
    """
    blocking = standing_in_the_way(_running(connection, found), pending)
    if blocking:
        names = "; ".join(f"{one.name} knows tables up to {one.knows}" for one in blocking)
        raise UpgradeRefused(
            f"stop these first, they cannot live with the new tables: {names}."
            " One that was killed counts for 40 s"
        )


def leave_floors(connection: "Connection", revisions: "Iterable[str]") -> None:
    """Write with the tables which older processes they take; no table of its own is worth it."""
    said = json.dumps(floors(revisions), sort_keys=True)
    connection.execute(text(f"COMMENT ON TABLE {COMMENTED} IS '{said}'"))


def is_welcome(connection: "Connection", role: str | None, knows: str) -> bool:
    """Return whether newer tables still take a process of this role; None: one of every role."""
    said = connection.scalar(text(f"SELECT obj_description('{COMMENTED}'::regclass)"))
    if said is None:
        return False
    needed: dict[str, str] = json.loads(said)
    wanted = needed.values() if role is None else [needed.get(role, "")]
    return all(knows >= oldest for oldest in wanted)


def _running(connection: "Connection", found: str) -> "list[Running]":
    """Return who runs; a process that does not say what it knows began with these tables."""
    if connection.scalar(text("SELECT to_regclass('workers')")) is None:
        return []
    rows = connection.execute(
        text(
            "SELECT name, role, coalesce(detail ->> 'schema', :found) FROM workers"
            " WHERE seen_at > now() - make_interval(secs => :silent) ORDER BY name"
        ),
        {"found": found, "silent": SILENT_AFTER_S},
    )
    return [Running(*row) for row in rows]
