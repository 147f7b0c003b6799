"""From the end of the quiet period to the text SR being findable, by stage, study after study."""

import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydicom.uid import EnhancedSRStorage

from scripts import storescu
from scripts.bench import loads
from scripts.bench.system import System
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

    Raises
    ------
    TimeoutError
        If a study does not arrive in the archive in time.
    """
    ledger = Ledger(system.installation.database_url())
    try:
        with loads.copies(1) as load:
            _study(system, ledger, load)  # the first one loads the network: not what is asked for
            rows = []
            for number in range(studies):
                rows.append(_study(system, ledger, load))
                say(f"latency {number + 1}/{studies}: {rows[-1]['findable']:.2f} s")
    finally:
        ledger.close()
    names = list(rows[0])
    return {
        "studies": studies,
        "quiet_period_s": system.quiet_period_s,
        "median_s": {name: _rounded(statistics.median, rows, name) for name in names},
        "worst_s": {name: _rounded(max, rows, name) for name in names},
    }


def _rounded(
    choose: Callable[[list[float]], float], rows: Sequence[dict[str, float]], name: str
) -> float:
    return round(choose([row[name] for row in rows]), 3)


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
