"""Plain measures with patient-wise bootstrap intervals; numpy only."""

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Numbers: TypeAlias = NDArray[Any]

DRAWS = 500
SMALLEST = 5  # fewer positives or negatives than this give no figure
SMALLEST_SLOPE, PLATT_STEPS = 0.02, 60


def overlaps(first: Numbers, second: Numbers) -> Numbers:
    """Intersection over union of corner boxes ``(..., 4)``, paired."""
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., 2:], second[..., 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=-1)
    areas = np.prod(first[..., 2:] - first[..., :2], -1) + np.prod(
        second[..., 2:] - second[..., :2], -1
    )
    return np.asarray(np.nan_to_num(shared / np.maximum(areas - shared, 1e-6)))


def shared(first: Numbers, second: Numbers) -> Numbers:
    """Intersection over union of masks ``(..., rows, columns)`` bool, paired; 0 of empty ones."""
    both, either = (f(first, second).sum(axis=(-2, -1)) for f in (np.logical_and, np.logical_or))
    return np.asarray(both / np.maximum(either, 1))


def auroc(labels: Numbers, scores: Numbers) -> float:
    """Area under the ROC curve by ranks, ties shared; NaN without both classes."""
    labels = np.asarray(labels) > 0.5  # noqa: PLR2004
    positives, negatives = int(labels.sum()), int((~labels).sum())
    if not positives or not negatives:
        return float("nan")
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    total = float(ranks[labels].sum()) - positives * (positives + 1) / 2
    return total / (positives * negatives)


def binary(
    labels: Numbers,
    scores: Numbers,
    limits: tuple[float, float],
    people: "Sequence[str] | None" = None,
) -> dict[str, Any]:
    """AUROC, and what the two limits do: share called present, uncertain, absent, per truth."""
    labels, scores = np.asarray(labels) > 0.5, np.asarray(scores)  # noqa: PLR2004
    positives, negatives = int(labels.sum()), int((~labels).sum())
    result: dict[str, Any] = {"positives": positives, "negatives": negatives}
    if positives < SMALLEST or negatives < SMALLEST:
        return result
    absent_below, present_from = limits
    result |= {
        "auroc": round(auroc(labels, scores), 4),
        "sensitivity_present": round(float((scores[labels] >= present_from).mean()), 4),
        "specificity_present": round(float((scores[~labels] < present_from).mean()), 4),
        "missed_as_absent": round(float((scores[labels] < absent_below).mean()), 4),
        "rightly_absent": round(float((scores[~labels] < absent_below).mean()), 4),
    }
    if people is not None:
        result["auroc_interval"] = _bootstrap_auroc(labels, scores, people)
    return result


def bootstrap_mean(values: Numbers, people: "Sequence[str]") -> list[float]:
    """95 % interval of a mean, drawing patients."""
    groups = _groups(people)
    rng = np.random.default_rng(0)
    means = [
        float(np.mean(values[np.concatenate([groups[i] for i in draw])]))
        for draw in rng.integers(len(groups), size=(DRAWS, len(groups)))
    ]
    return [round(float(q), 4) for q in np.quantile(means, (0.025, 0.975))]


def _bootstrap_auroc(labels: Numbers, scores: Numbers, people: "Sequence[str]") -> list[float]:
    groups = _groups(people)
    rng = np.random.default_rng(0)
    areas = []
    for draw in rng.integers(len(groups), size=(DRAWS, len(groups))):
        rows = np.concatenate([groups[i] for i in draw])
        areas.append(auroc(labels[rows], scores[rows]))
    return [round(float(q), 4) for q in np.nanquantile(areas, (0.025, 0.975))]


def _groups(people: "Sequence[str]") -> list[Numbers]:
    """Rows of each patient."""
    rows: dict[str, list[int]] = {}
    for row, person in enumerate(people):
        rows.setdefault(person, []).append(row)
    return [np.asarray(group) for group in rows.values()]


def interval(
    statistic: "Callable[[Numbers], float]", people: "Sequence[str]", draws: int = DRAWS
) -> tuple[float, float] | None:
    """95 % interval of a statistic of row numbers, drawing patients; None for a single patient."""
    groups = _groups(people)
    if len(groups) < 2:  # noqa: PLR2004
        return None
    rng = np.random.default_rng(0)
    found = [
        statistic(np.concatenate([groups[i] for i in draw]))
        for draw in rng.integers(len(groups), size=(draws, len(groups)))
    ]
    if not np.isfinite(found).any():
        return None
    low, high = np.nanquantile(found, (0.025, 0.975))
    return round(float(low), 4), round(float(high), 4)


def roc(labels: Numbers, scores: Numbers) -> tuple[Numbers, Numbers]:
    """Return false and true positive rates over all limits, from (0, 0) to (1, 1)."""
    labels = np.asarray(labels)[np.argsort(-np.asarray(scores), kind="stable")] > 0.5  # noqa: PLR2004
    true = np.cumsum(labels) / max(int(labels.sum()), 1)
    false = np.cumsum(~labels) / max(int((~labels).sum()), 1)
    return np.concatenate([[0.0], false]), np.concatenate([[0.0], true])


def reliability(labels: Numbers, chances: Numbers, bins: int = 10) -> Numbers:
    """Return per bin of equal width: mean chance, share that is true, count ``(bins, 3)``."""
    places = np.minimum((np.asarray(chances) * bins).astype(int), bins - 1)
    rows = np.zeros((bins, 3))
    for number in range(bins):
        inside = places == number
        if inside.any():
            rows[number] = chances[inside].mean(), np.mean(labels[inside]), inside.sum()
    return rows


def calibration_error(labels: Numbers, chances: Numbers, bins: int = 10) -> float:
    """Return the expected calibration error: mean gap over the bins, weighted by their counts."""
    rows = reliability(labels, chances, bins)
    return float(np.sum(np.abs(rows[:, 0] - rows[:, 1]) * rows[:, 2]) / max(rows[:, 2].sum(), 1))


def platt(labels: Numbers, logits: Numbers) -> tuple[float, float]:
    """Slope and offset that make chances of logits, by Newton's steps with Platt's soft targets.

    The slope never falls below SMALLEST_SLOPE: calibrating may flatten an order, not reverse it.
    """
    labels = np.asarray(labels) > 0.5  # noqa: PLR2004
    yes, no = int(labels.sum()), int((~labels).sum())
    goal = np.where(labels, (yes + 1) / (yes + 2), 1 / (no + 2))
    given = np.stack([np.asarray(logits, np.float64), np.ones(len(logits))], 1)
    found = np.asarray((1.0, 0.0))
    for _ in range(PLATT_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(given @ found, -30, 30)))
        slope = given.T @ (chance - goal) + np.asarray((1e-3, 0)) * found
        bend = (given * (chance * (1 - chance))[:, None]).T @ given + 1e-3 * np.eye(2)
        found = found - np.clip(np.linalg.solve(bend, slope), -1, 1)
    if found[0] < SMALLEST_SLOPE:
        rate = float(goal.mean())
        middle = SMALLEST_SLOPE * float(np.mean(logits))
        return SMALLEST_SLOPE, float(np.log(rate / (1 - rate))) - middle
    return float(found[0]), float(found[1])
