"""One line of the big table: what was measured on what, what was to be reached, what came out."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from models.training.measures import Numbers


@dataclass(frozen=True, slots=True)
class Reach:
    """The figure to reach, inclusive on both ends; None is no bound."""

    least: float | None = None
    most: float | None = None

    def met(self, value: float) -> bool:
        """Whether a value lies within."""
        low = self.least is None or value >= self.least
        return low and (self.most is None or value <= self.most)

    def words(self) -> str:
        """Return the bound as a reader writes it."""
        if self.least is not None and self.most is not None:
            return f"{self.least:g} to {self.most:g}"
        return f"≥ {self.least:g}" if self.least is not None else f"≤ {self.most:g}"


@dataclass(frozen=True, slots=True)
class Row:
    """A figure. ``value`` None is not measured, and ``note`` says why.

    ``interval`` is the 95 % bootstrap interval by patient (by base on simulated films);
    ``cases`` says how many films and patients; ``baseline`` what a simpler way gets.
    """

    group: str
    measure: str
    value: float | None
    reach: Reach | None = None
    interval: tuple[float, float] | None = None
    cases: str = ""
    baseline: str = ""
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the figure is reached; None where there is none to reach or none was measured."""
        if self.reach is None or self.value is None or not np.isfinite(self.value):
            return None
        return self.reach.met(self.value)

    def to_json(self) -> dict[str, Any]:
        """Return plain values; numbers to four places."""
        finite = self.value is not None and np.isfinite(self.value)
        return {
            "on": self.group,
            "measure": self.measure,
            "reach": self.reach.words() if self.reach else None,
            "measured": round(float(self.value), 4) if finite and self.value is not None else None,
            "interval": list(self.interval) if self.interval else None,
            "met": self.met,
            "cases": self.cases,
            "baseline": self.baseline,
            "note": self.note,
        }


@dataclass(slots=True)
class Findings:
    """What a chapter of the report brings home: rows, tables of numbers, curves to draw."""

    rows: list[Row] = field(default_factory=list)
    tables: dict[str, Any] = field(default_factory=dict)
    curves: dict[str, Any] = field(default_factory=dict)

    def join(self, other: "Findings") -> None:
        """Take over everything of another chapter."""
        self.rows += other.rows
        self.tables |= other.tables
        self.curves |= other.curves


def missing(group: str, measures: "Sequence[str]", why: str) -> Findings:
    """Say of some figures that they were not measured, and why."""
    return Findings([Row(group, measure, None, note=why) for measure in measures])


def mean(values: "Numbers | Sequence[float]") -> float:
    """Return the mean of what is finite; NaN of nothing."""
    given = np.asarray(values, np.float64)
    given = given[np.isfinite(given)]
    return float(given.mean()) if given.size else float("nan")


def by_film(values: "Numbers") -> "Numbers":
    """Return the mean of each row of ``(n, k)`` over what is finite; NaN where nothing is."""
    known = np.isfinite(values)
    sums = np.where(known, values, 0.0).sum(axis=1)
    return np.where(known.any(axis=1), sums / np.maximum(known.sum(axis=1), 1), np.nan)


def rounded(value: float) -> float | None:
    """Return four places for JSON, which knows no NaN."""
    return round(float(value), 4) if np.isfinite(value) else None


def counted(people: "Sequence[str]", of: str = "patients") -> str:
    """Return how many films of how many patients."""
    return f"{len(people)} films of {len(set(people))} {of}"


def of_rows(values: "Numbers") -> "Callable[[Numbers], float]":
    """Return a statistic: the mean of these values over the rows it is given."""
    return lambda rows: mean(values[rows])
