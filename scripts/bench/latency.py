"""From the end of the quiet period to the text SR being findable, by stage, study after study."""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Any

from pydicom.uid import EnhancedSRStorage

from dicom import film
from scripts import storescu
from scripts.bench import loads
from scripts.bench.system import System
from scripts.demo.films import example
from scripts.ledger import Event, Ledger

LIMIT_S = 120.0
LOOK_EVERY_S = 0.04
STAGES = (
    ("closed", "study_closed"),
    ("claimed", "job_claimed"),
    ("encoded", "results_encoded"),
    ("sent", "object_sent"),
    ("proven", "delivery_proven"),
)
"""Milestones of a study and the audit event that marks each; the last of a kind counts."""


def measure(system: System, studies: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Return the median seconds of every stage over ``studies`` studies, one at a time.

    Three films take turns: the real chest, in which much is found, and two simulated ones.

    Raises
    ------
    TimeoutError
        If a study does not arrive in the archive in time.
    """
    ledger = Ledger(system.installation.database_url())
    taken: dict[str, list[dict[str, float]]] = {}
    try:
        with _films() as films:
            for load in films.values():  # the first of each loads the network and warms caches
                _study(system, ledger, load)
            for number, name in zip(range(studies), cycle(films), strict=False):
                row = _study(system, ledger, films[name])
                taken.setdefault(name, []).append(row)
                say(f"latency {number + 1}/{studies}: {name}: {row['findable']:.2f} s")
    finally:
        ledger.close()
    rows = [row for name in taken for row in taken[name]]
    return {
        "studies": studies,
        "quiet_period_s": system.quiet_period_s,
        "median_s": _over(statistics.median, rows),
        "worst_s": _over(max, rows),
        "films": {name: _over(statistics.median, own) for name, own in taken.items()},
    }


@contextlib.contextmanager
def _films() -> Iterator[dict[str, loads.Load]]:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(loads.folder())
        sources = {"real chest": loads.real_chest()}
        for key, name in (("finding", "simulated, mass"), ("normal", "simulated, no finding")):
            sources[name] = folder / f"{key}.dcm"
            sources[name].write_bytes(film.encode(example(key, "bench")))
        yield {
            name: stack.enter_context(loads.copies(1, source)) for name, source in sources.items()
        }


def _over(
    choose: Callable[[list[float]], float], rows: Sequence[dict[str, float]]
) -> dict[str, float]:
    return {name: round(choose([row[name] for row in rows]), 3) for name in rows[0]}


def _study(system: System, ledger: Ledger, load: loads.Load) -> dict[str, float]:
    """Send one film; return the seconds since the quiet period ended, by milestone."""
    load.renew()
    storescu.send(load.files, system.listener, "BENCH")
    (study,) = load.study_instance_uids
    findable = _wait_until_findable(system, study)
    standing = ledger.standing(study)
    while standing is None or standing.job_state != "DELIVERED":
        time.sleep(LOOK_EVERY_S)
        standing = ledger.standing(study)
    events = ledger.events(study)
    end = standing.quiet_until
    network = float(standing.stage_seconds.get("network", 0.0))
    found = {"findable": (findable - end).total_seconds(), "network": network}
    found["objects"] = float(sum(one.event_type == "object_sent" for one in events))
    found["not_network"] = found["findable"] - network
    for name, event_type in STAGES:
        found[name] = (_last(events, event_type) - end).total_seconds()
    return found


def _last(events: Sequence[Event], event_type: str) -> datetime:
    return max(one.at for one in events if one.event_type == event_type)


def _wait_until_findable(system: System, study: str) -> datetime:
    """Return when the archive first answered that it has a text SR of the study."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        if system.archive.find("Instance", StudyInstanceUID=study, SOPClassUID=EnhancedSRStorage):
            return datetime.now(UTC)
        time.sleep(LOOK_EVERY_S)
    raise TimeoutError(f"no text SR within {LIMIT_S:.0f} s; logs in {_logs(system)}")


def _logs(system: System) -> Path:
    return system.installation.home / "logs"
