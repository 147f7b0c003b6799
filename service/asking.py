"""How ``carina status`` learns how things stand, and how it shows it."""

import http.client
import json
import urllib.parse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service import runstate, terminal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.runstate import RunState

PATIENCE_S = 8.0
EXIT_CODE = {"healthy": 0, "degraded": 1, "down": 2}


def status_of(home: Path) -> dict[str, Any]:
    """Return the status of an installation: its web process knows it, else it is looked up here.

    Asking takes a fraction of the time, since nothing has to be loaded.
    """
    state = runstate.read(home)
    told = _told_by_web(state) if state is not None and state.is_live else None
    if told is not None:
        return told
    # Loaded only now: the database, the broker's and the DICOM library take a second.
    from service.settings import load  # noqa: PLC0415
    from service.status import Source  # noqa: PLC0415

    with Source(load()) as source:
        return source.look(datetime.now(UTC)).as_dict()


def show(status: "Mapping[str, Any]") -> None:
    """Print it for people."""
    terminal.say(f"Carina is {status['health']}.")
    for fault in status["faults"]:
        terminal.say(f"  ! {fault}")
    seen, now = status["overview"], datetime.fromisoformat(status["looked_at"])
    parts = [(one["name"], one["state"], _age(one["since"], now)) for one in status["parts"]]
    checks = [
        (one["name"], "well" if one["is_well"] else "not well", one["words"])
        for one in status["checks"]
    ]
    terminal.say("")
    terminal.table(("part", "state", "since"), [*parts, *checks])
    terminal.say("")
    terminal.say(f"Studies, last day: {_counted(seen['studies'])}")
    terminal.say(f"Jobs, last day:    {_counted(seen['jobs'])}")
    terminal.say(f"Network:           {seen['bundle'] or 'nothing read yet'}")
    audit = seen["audit"]
    terminal.say(f"Audit trail:       {audit['sealed']} sealed, {audit['unsealed']} waiting")
    _show_lanes(seen["lanes"], now)
    _show_destinations(seen["destinations"], now)
    if seen["open_jobs"]:
        terminal.say("")
        rows = [
            (
                *(one["job_id"], one["lane"], _age(one["queued_at"], now)),
                *("late" * one["is_late"], one["why"]),
            )
            for one in seen["open_jobs"]
        ]
        terminal.table(("open job", "lane", "age", "late", "why"), rows)


def _show_lanes(lanes: "Sequence[Mapping[str, Any]]", now: datetime) -> None:
    """Show every lane in which something waits or is late; an idle service shows none."""
    rows = [
        (one["lane"], one["waiting"], _age(one["oldest_at"], now), one["late"] or "-")
        for one in lanes
        if one["waiting"] or one["late"]
    ]
    if rows:
        terminal.say("")
        terminal.table(("lane", "wait for a worker", "oldest", "late"), rows)


def _show_destinations(found: "Sequence[Mapping[str, Any]]", now: datetime) -> None:
    """Show every destination: what waits for it, whether it rests, what did not retire there."""
    rows = [
        (
            one["name"],
            # A web process of before this column says nothing of it.
            f"rests since {_age(one['resting_since'], now)}"
            if one.get("resting_since")
            else one["switch"],
            *(one["waiting"], one["unproven"], one.get("not_retired") or "-"),
        )
        for one in found
    ]
    if rows:
        terminal.say("")
        terminal.table(("destination", "is", "waiting", "unproven", "not retired"), rows)


def _told_by_web(state: "RunState") -> dict[str, Any] | None:
    address = urllib.parse.urlsplit(dict(state.addresses).get("Web", ""))
    if not address.hostname:
        return None
    link = http.client.HTTPConnection(address.hostname, address.port, timeout=PATIENCE_S)
    try:
        link.request("GET", "/status.json")
        answer = link.getresponse()
        told: dict[str, Any] = (
            json.loads(answer.read()) if answer.status == http.HTTPStatus.OK else {}
        )
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        link.close()
    # The port may be another installation's by now.
    return told if told.get("installation_id") == state.installation_id else None


def _age(moment: str | None, now: datetime) -> str:
    return terminal.ago(None if moment is None else datetime.fromisoformat(moment), now)


def _counted(counts: "Mapping[str, int]") -> str:
    found = [f"{number} {state.lower()}" for state, number in counts.items() if number]
    return ", ".join(found) or "none"
