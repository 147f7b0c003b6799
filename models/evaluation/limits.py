"""Rules by which limits are chosen on validation films; each is a plain function of scores."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.training import measures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.training.measures import Numbers

FALSE_PRESENT_PLAIN, FALSE_PRESENT_OTHER, FALSE_PRESENT_REAL = 0.02, 0.10, 0.03
FALSE_SIGN_PLAIN, FALSE_SIGN_REAL = 0.01, 0.03  # there are twenty of them
SUSPECTED_MOST = 0.6  # share of calm real films on which a finding may be suspected
MISSED_AS_ABSENT = 0.08  # share of findings that may be called absent
SUSPECTED_FEW, MISSED_MOST = 0.25, 0.12  # for fewer suspicions on calm films, more may be missed
HIGHEST, LOWEST_CERTAIN = 0.98, 0.97
FEWEST = 8  # positives below which a sign can neither be called nor excluded
FALSE_REFUSALS = 0.01
HALF, CLEARLY = 0.5, 0.01
FALSE_AREA = 0.0025  # share of calm real films that a mask of a finding may cover
MASK_LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
SURE_RIGHT, SURE_COVERAGE, SURE_LEAST = 0.995, 0.97, 1.2  # the last in log odds
DECLARED_LEAST = 4.3  # log odds: a mirrored film is rarer than one in seventy


@dataclass(frozen=True, slots=True, eq=False)
class RealScores:
    """Scores of a finding on the real films of one view: calm ones, and those labelled with it."""

    calm: "Numbers"
    labelled: "Numbers"


def of_finding(
    scores: "Numbers", labels: "Numbers", plain: "Numbers", views: "Sequence[RealScores]"
) -> list[float]:
    """Choose ``[absent_below, present_from]`` for one observation.

    ``scores`` and ``labels`` are of simulated films; ``plain`` marks those without any finding in
    the lungs, on which a false alarm is worst: one finding taken for another still sends a reader
    to the right place. ``views`` are scores of real films; calm ones are labelled *No Finding*
    (which is often not normal, so this errs on the side of silence): the upper limit holds in each
    view. The lower one rises a little where that spares calm films a suspicion, see
    :func:`_spared`. What would be suspected on most of them cannot be excluded either: the lower
    limit is 0 then.
    """
    present = max(
        _quantile(scores[plain & (labels < 0.5)], 1 - FALSE_PRESENT_PLAIN),  # noqa: PLR2004
        _quantile(scores[labels < 0.5], 1 - FALSE_PRESENT_OTHER),  # noqa: PLR2004
        *(_quantile(own.calm, 1 - FALSE_PRESENT_REAL) for own in views),
    )
    found = scores[labels > 0.5]  # noqa: PLR2004
    absent, present = _pair(found, present)
    absent = round(min(max(absent, _spared(found, views)), present, LOWEST_CERTAIN), 4)
    every = np.concatenate([*(own.calm for own in views), np.zeros(0)])
    suspected = float((every >= absent).mean()) if len(every) else 0.0
    return [0.0 if suspected > SUSPECTED_MOST else absent, present]


def of_sign(scores: "Numbers", labels: "Numbers", plain: "Numbers", calm: "Numbers") -> list[float]:
    """Choose the limits of one sign; ``calm`` is empty for what calm films may well show."""
    if (labels > 0.5).sum() < FEWEST:  # noqa: PLR2004
        return [0.0, HIGHEST]
    present = max(
        _quantile(scores[plain & (labels < 0.5)], 1 - FALSE_SIGN_PLAIN),  # noqa: PLR2004
        _quantile(scores[labels < 0.5], 1 - FALSE_PRESENT_OTHER),  # noqa: PLR2004
        _quantile(calm, 1 - FALSE_SIGN_REAL),
    )
    return _pair(scores[labels > 0.5], present)  # noqa: PLR2004


def of_quality(scores: "Numbers", labels: "Numbers") -> list[float]:
    """Choose the limits of one quality: a twentieth of good films may be called bad."""
    if (labels > 0.5).sum() < FEWEST:  # noqa: PLR2004
        return [0.0, HIGHEST]
    return _pair(scores[labels > 0.5], _quantile(scores[labels < 0.5], 0.95))  # noqa: PLR2004


def of_sides(evidence: "Numbers", mirrored: "Numbers", real: "Numbers") -> dict[str, float]:
    """Choose the least evidence for a side to be stated, and to overrule a declared orientation.

    ``evidence`` (log odds for mirrored) and truth of simulated films; ``real`` is the evidence on
    real films, which are shown the usual way but for very few. The limit is the lowest at which
    nearly all are right (never below SURE_LEAST, though all of them were right: doubt is doubt),
    and never so high that more than a few films are left without sides.
    """
    right = np.sign(evidence) == np.where(mirrored, 1.0, -1.0)
    size = np.abs(evidence)
    order = np.argsort(size)
    # Share that is right among films with at least this much evidence.
    share = np.cumsum(right[order][::-1])[::-1] / np.arange(len(order), 0, -1)
    good = np.flatnonzero(share >= SURE_RIGHT)
    least = float(size[order][good[0]]) if len(good) and good[0] > 0 else 0.0
    most = min(_quantile(np.abs(real), 1 - SURE_COVERAGE), _quantile(size, 1 - SURE_COVERAGE))
    declared = max(DECLARED_LEAST, _quantile(real, 0.995))
    least = max(least, SURE_LEAST)
    return {"sides_sure": round(min(least, most), 4), "sides_declared": round(declared, 4)}


def of_scope(margins: "Numbers", spreads: "Numbers") -> dict[str, float]:
    """Choose the operating point of the scope head on real films that must be accepted."""
    limit = float(np.quantile(spreads, 0.995))
    margin = float(np.quantile(margins, FALSE_REFUSALS))
    return {
        # Halfway between certain strangers (about -6) and the doubtful end of real chests.
        "scope_margin": round(min(margin - 0.2, 1.5), 4),
        "spread_limit": round(limit, 5),
        "spread_slope": round(12.0 / limit, 3),
    }


def of_mask(chances: "Numbers", truth: "Numbers", calm: "Numbers | None") -> float:
    """Choose from which chance on a place belongs to a mask: where masks overlap the truth best.

    ``chances`` ``(n, side, side)`` uint8, chance x 255, and ``truth`` bool, of films that show it;
    ``calm`` ``(m, side, side)`` of real films labelled *No Finding*, of which a mask may hardly
    cover anything, None for organs. Whether it would be shown on them is not asked: what it covers
    there it also covers beside a finding elsewhere. One half stays where it may, unless another
    level is clearly better; where every level covers too much the highest is chosen.
    """
    levels = [v for v in MASK_LEVELS if calm is None or _area(calm, v) <= FALSE_AREA]
    scores = {}
    for level in levels or [max(MASK_LEVELS)]:
        drawn = chances >= round(level * 255)
        scores[level] = float(np.mean(measures.shared(drawn, truth)))
    best = max(scores, key=lambda level: scores[level])
    return best if scores[best] > scores.get(HALF, -1.0) + CLEARLY else HALF


def _area(chances: "Numbers", level: float) -> float:
    """Share of films that a mask covers from a level on."""
    return float((chances >= round(level * 255)).mean())


def _spared(found: "Numbers", views: "Sequence[RealScores]") -> float:
    """How far the lower limit may rise so that few calm films are suspected; 0 for not at all.

    Only as far as about MISSED_MOST of the simulated findings are called absent, and about
    MISSED_AS_ABSENT of the real films labelled with it in any view. A view with too few of those
    asks for nothing: what it would risk is not known.
    """
    known = [own for own in views if len(own.labelled) >= FEWEST]
    if not known:
        return 0.0
    wanted = max(_quantile(own.calm, 1 - SUSPECTED_FEW) for own in known)
    missed = [_quantile(own.labelled, MISSED_AS_ABSENT) for own in known]
    return min(wanted, _quantile(found, MISSED_MOST), *missed)


def _pair(found: "Numbers", present: float) -> list[float]:
    absent = min(float(np.quantile(found, MISSED_AS_ABSENT)), present)
    # A head that separates well leaves room for doubt between its two limits.
    present = max(present, min(0.5, float(np.quantile(found, 0.1))))
    return [round(min(absent, LOWEST_CERTAIN), 4), round(min(present, HIGHEST), 4)]


def _quantile(values: "Numbers", share: float) -> float:
    return float(np.quantile(values, share)) if len(values) else 0.0
