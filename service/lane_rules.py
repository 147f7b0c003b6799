"""Which lane a study belongs to: rules as data, the first that matches decides.

A rule names a lane and what must be so: patterns with ``*`` and ``?``, in any case, for the
calling AE title and for what the header says of station, department, location, priority, modality.
All conditions of a rule must hold, and of each condition one of its patterns.
"""

import fnmatch
import tomllib
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from dicom.values import Origin
from service.errors import SettingsInvalid
from service.values import Lane

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from dicom.values import ReceivedInstance

VARIABLE: Final = "CARINA_LANE_RULES"
CALLER: Final = "calling_ae_title"
CONDITIONS: Final = (
    CALLER,
    *(one.name for one in fields(Origin) if one.name != "study_date"),
)
OLD: Final = "acquired long ago"
NO_RULE: Final = ""


@dataclass(frozen=True, slots=True)
class LaneRule:
    """One rule; ``conditions`` maps a name of ``CONDITIONS`` to its patterns, in capitals."""

    lane: Lane
    name: str
    conditions: "Mapping[str, tuple[str, ...]]"

    def matches(self, said: "Mapping[str, str]") -> bool:
        """Return whether every condition holds; what the header does not say matches nothing."""
        return all(
            said[name] != "" and any(fnmatch.fnmatchcase(said[name], one) for one in patterns)
            for name, patterns in self.conditions.items()
        )


SHIPPED: Final = (
    LaneRule(Lane.STAT, "priority stat", {"requested_procedure_priority": ("STAT",)}),
    LaneRule(Lane.URGENT, "priority high", {"requested_procedure_priority": ("HIGH",)}),
)
"""The defined terms of Requested Procedure Priority (0040,1003) that mean haste."""

CAPS: Final = {
    Lane.STAT: timedelta(minutes=1),
    Lane.URGENT: timedelta(minutes=5),
    Lane.ROUTINE: timedelta(minutes=30),
    Lane.BACKFILL: timedelta(hours=6),
}
"""How long a study of each lane waits before it is overdue."""


@dataclass(frozen=True, slots=True)
class Placement:
    """The lane of an instance, and the name of the rule that gave it, "" for none."""

    lane: Lane
    rule: str
    cap: timedelta


@dataclass(frozen=True, slots=True)
class LaneRules:
    """The rules of a site and what follows from a lane.

    ``backfill_after`` is the age of an old study, None: none is old. ``stat_quiet_period`` is for
    how long a STAT study collects, None: as long as any other.
    """

    rules: tuple[LaneRule, ...] = SHIPPED
    caps: "Mapping[Lane, timedelta]" = field(default_factory=lambda: CAPS)
    backfill_after: timedelta | None = timedelta(days=30)
    stat_quiet_period: timedelta | None = None

    def place(self, received: "ReceivedInstance", now: "datetime") -> Placement:
        """Return the lane of an instance: by the first rule, else old, else routine."""
        origin = received.header.origin
        said = {name: str(getattr(origin, name, "")).upper() for name in CONDITIONS}
        said[CALLER] = received.peer.calling_ae_title.strip().upper()
        for rule in self.rules:
            if rule.matches(said):
                return self._placement(rule.lane, rule.name)
        day = origin.study_date
        if self.backfill_after and day and now.date() - day > self.backfill_after:
            return self._placement(Lane.BACKFILL, OLD)
        return self._placement(Lane.ROUTINE, NO_RULE)

    def quiet_period(self, lane: Lane, usual: timedelta) -> timedelta:
        """Return for how long a study of this lane collects; STAT never longer than usual."""
        if lane is not Lane.STAT or self.stat_quiet_period is None:
            return usual
        return min(self.stat_quiet_period, usual)

    def _placement(self, lane: Lane, rule: str) -> Placement:
        return Placement(lane, rule, self.caps[lane])


def load(path: "Path | None") -> tuple[LaneRule, ...]:
    """Return the rules of a TOML file of ``[[rule]]`` tables, the shipped ones without a file.

    Raises
    ------
    SettingsInvalid
        Naming every fault of the file.
    """
    if path is None:
        return SHIPPED
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsInvalid([f"{VARIABLE}: {error}"]) from None
    return parse(content)


def parse(content: "Mapping[str, Any]") -> tuple[LaneRule, ...]:
    """Return the rules of a parsed file; raises :class:`SettingsInvalid` as :func:`load`."""
    faults = [f"{VARIABLE}: unknown table {name!r}" for name in content if name != "rule"]
    tables = content.get("rule", [])
    if not isinstance(tables, list):
        raise SettingsInvalid([*faults, f"{VARIABLE}: rules are written [[rule]]"])
    rules = []
    for number, table in enumerate(tables, 1):
        wrong = _faults_of(table)
        faults += [f"{VARIABLE}: rule {number}: {one}" for one in wrong]
        if not wrong:
            rules.append(_rule(table, number))
    if faults:
        raise SettingsInvalid(faults)
    return tuple(rules)


def _faults_of(table: "Mapping[str, Any]") -> list[str]:
    lanes = [str(lane) for lane in Lane]
    faults = []
    if table.get("lane") not in lanes:
        faults.append(f"lane must be one of {', '.join(lanes)}")
    conditions = {name: value for name, value in table.items() if name not in {"lane", "name"}}
    if not conditions:
        faults.append("it has no condition")
    for name, value in conditions.items():
        if name not in CONDITIONS:
            faults.append(f"unknown condition {name!r}; known are {', '.join(CONDITIONS)}")
        elif not all(isinstance(one, str) and one for one in _patterns(value)):
            faults.append(f"{name} must be a text or a list of texts")
    return faults


def _rule(table: "Mapping[str, Any]", number: int) -> LaneRule:
    return LaneRule(
        lane=Lane[str(table["lane"]).upper()],
        name=str(table.get("name", f"rule {number}")),
        conditions={
            name: tuple(one.upper() for one in _patterns(value))
            for name, value in table.items()
            if name in CONDITIONS
        },
    )


def _patterns(value: object) -> "list[Any]":
    return value if isinstance(value, list) else [value]
