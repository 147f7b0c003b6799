"""Plain measures with patient-wise bootstrap intervals; numpy only."""

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

Numbers: TypeAlias = NDArray[Any]

DRAWS = 500
SMALLEST = 5  # fewer positives or negatives than this give no figure


def overlaps(first: Numbers, second: Numbers) -> Numbers:
    """Intersection over union of corner boxes ``(..., 4)``, paired."""
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., 2:], second[..., 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=-1)
    areas = np.prod(first[..., 2:] - first[..., :2], -1) + np.prod(
        second[..., 2:] - second[..., :2], -1
    )
    return np.asarray(np.nan_to_num(shared / np.maximum(areas - shared, 1e-6)))


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
