"""What changed between two readings of one study: findings, their boxes, regions, films.

A reading is the summary that a job keeps (:mod:`models.summary`): plain JSON, which is turned into
values here. Boxes are compared by the area they share over the area they cover together.
"""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    Box = Sequence[float]

MOVED_BELOW: Final = 0.75
"""Boxes that share less than this have moved."""

PRESENT: Final = "PRESENT"


class What(StrEnum):
    """What happened to a finding, a region or a film."""

    APPEARED = "appeared"
    VANISHED = "vanished"
    STATE = "changed state"
    MOVED = "moved"


@dataclass(frozen=True, slots=True)
class Change:
    """One change. ``subject`` is "finding", "region" or "film"; ``before`` and ``after`` states.

    ``overlap`` is 0..1 where boxes were compared.
    """

    sop_instance_uid: str
    subject: str
    name: str
    what: What
    before: str = ""
    after: str = ""
    overlap: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two readings of one study; ``changes`` is empty when they say the same."""

    study_instance_uid: str
    before: str
    after: str
    changes: tuple[Change, ...] = ()

    def as_dict(self) -> "dict[str, Any]":
        """Return it as JSON can hold it."""
        names = ("sop_instance_uid", "subject", "name", "what", "before", "after", "overlap")
        return {
            "study_instance_uid": self.study_instance_uid,
            "before": self.before,
            "after": self.after,
            "changes": [{name: getattr(one, name) for name in names} for one in self.changes],
        }


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading: what it is called (revision, network) and its summary."""

    name: str
    summary: "Mapping[str, Any]" = field(default_factory=dict)


def compare(study_instance_uid: str, before: Reading, after: Reading) -> Comparison:
    """Return what ``after`` says otherwise than ``before``."""
    old, new = _films(before.summary), _films(after.summary)
    changes: list[Change] = []
    for uid in sorted(old.keys() | new.keys()):
        if uid in old and uid in new:
            changes += _findings(uid, old[uid], new[uid])
            changes += _regions(uid, old[uid], new[uid])
        else:
            what = What.APPEARED if uid in new else What.VANISHED
            changes.append(Change(uid, "film", "reading", what))
    return Comparison(study_instance_uid, before.name, after.name, tuple(changes))


def totals(comparisons: "Iterable[Comparison]") -> "Counter[str]":
    """Return how often each thing happened, as ``finding name: what``; regions by what only."""
    counted: Counter[str] = Counter()
    for comparison in comparisons:
        for one in comparison.changes:
            name = one.name if one.subject == "finding" else one.subject
            states = f" {one.before} to {one.after}" if one.what is What.STATE else ""
            counted[f"{name}: {one.what}{states}"] += 1
    return counted


def overlap(before: "Sequence[Box]", after: "Sequence[Box]") -> float:
    """Return how well two sets of boxes cover each other: 1 the same, 0 nothing in common.

    Every box is matched with the best of the other set; the worst match counts.
    """
    if not before or not after:
        return 1.0 if len(before) == len(after) else 0.0
    there = [max(_shared(one, other) for other in after) for one in before]
    back = [max(_shared(one, other) for other in before) for one in after]
    return min(*there, *back)


def _shared(one: "Box", other: "Box") -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / (_area(one) + _area(other) - both)


def _area(box: "Box") -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _films(summary: "Mapping[str, Any]") -> "dict[str, Mapping[str, Any]]":
    return {str(film["sop_instance_uid"]): film for film in summary.get("films", ())}


def _findings(uid: str, old: "Mapping[str, Any]", new: "Mapping[str, Any]") -> "Iterator[Change]":
    before, after = _by_name(old), _by_name(new)
    for name in sorted(before.keys() | after.keys()):
        was, now = _state(before.get(name)), _state(after.get(name))
        if was != now:
            what = What.STATE
            if PRESENT in (was, now):
                what = What.APPEARED if now == PRESENT else What.VANISHED
            yield Change(uid, "finding", name, what, was, now)
        elif now == PRESENT:
            shared = overlap(_boxes(before.get(name)), _boxes(after.get(name)))
            if shared < MOVED_BELOW:
                yield Change(uid, "finding", name, What.MOVED, was, now, round(shared, 3))


def _regions(uid: str, old: "Mapping[str, Any]", new: "Mapping[str, Any]") -> "Iterator[Change]":
    before = {one["name"]: one["box"] for one in old.get("regions", ())}
    after = {one["name"]: one["box"] for one in new.get("regions", ())}
    for name in sorted(before.keys() | after.keys()):
        if name in before and name in after:
            shared = _shared(before[name], after[name])
            if shared < MOVED_BELOW:
                yield Change(uid, "region", name, What.MOVED, overlap=round(shared, 3))
        else:
            what = What.APPEARED if name in after else What.VANISHED
            yield Change(uid, "region", name, what)


def _by_name(film: "Mapping[str, Any]") -> "dict[str, list[Mapping[str, Any]]]":
    """Return the findings by name and side: one observation may be there on both sides."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for one in film.get("findings", ()):
        name = f"{one['side']} {one['name']}" if one.get("side") else str(one["name"])
        found.setdefault(name, []).append(one)
    return found


def _state(findings: "Sequence[Mapping[str, Any]] | None") -> str:
    """Return the gravest state; "" where nothing is said, as of a side that is not named."""
    states = [str(one["state"]) for one in findings or ()]
    return PRESENT if PRESENT in states else next(iter(states), "")


def _boxes(findings: "Sequence[Mapping[str, Any]] | None") -> "list[Box]":
    return [box for one in findings or () for box in one.get("boxes", ())]
