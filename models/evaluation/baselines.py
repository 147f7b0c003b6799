"""Simpler ways to guess a label of a real film: its view, the patient's age, its grey levels.

The labelled films were chosen as two groups, with pneumonia and without a finding, which differ in
more than that: what a classifier gets of grey levels alone says how much.
"""

from typing import TYPE_CHECKING

import numpy as np

from models.anatomy.heads import OBSERVATIONS
from models.evaluation.controls import ridge
from models.training import measures
from models.training.batches import place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.training.measures import Numbers
    from models.training.real import RealFilm

LEVELS, WHOLE, FEWEST = 16, (0.0, 0.0, 1.0, 1.0), 8


def grey_levels(train: "Sequence[RealFilm]", films: "Sequence[RealFilm]") -> "Numbers":
    """Score films ``(n, 4)`` by a logistic regression on histograms, fitted on training patients.

    NaN for an observation of which the training films have too few.
    """
    told = [film for film in train if film.labelled]
    known, asked = _histograms(told), _histograms(films)
    middle, spread = known.mean(axis=0), known.std(axis=0) + 1e-6
    truth = np.stack([film.truth() for film in told]) > 0.5  # noqa: PLR2004
    scores = np.full((len(films), len(OBSERVATIONS)), np.nan)
    for column in range(len(OBSERVATIONS)):
        if truth[:, column].sum() >= FEWEST:
            weights = ridge((known - middle) / spread, truth[:, column])
            scores[:, column] = (asked - middle) / spread @ weights[:-1] + weights[-1]
    return scores


def age(films: "Sequence[RealFilm]", yes: "Numbers") -> float:
    """Return AUROC of age alone, in the better direction; films without an age are left out."""
    ages = np.asarray([np.nan if film.age is None else film.age for film in films], float)
    known = np.isfinite(ages)
    value = measures.auroc(yes[known], ages[known])
    return max(value, 1 - value)


def view(films: "Sequence[RealFilm]", yes: "Numbers") -> float:
    """Return AUROC of the view alone over both views, in the better direction."""
    value = measures.auroc(yes, np.asarray([film.view == "AP" for film in films], float))
    return max(value, 1 - value)


def _histograms(films: "Sequence[RealFilm]") -> "Numbers":
    rows = []
    for film in films:
        square = place(film.pixels, WHOLE)[0]
        inside = square[square > 0]
        rows.append(np.histogram(inside, LEVELS, (0.0, 1.0))[0] / max(len(inside), 1))
    return np.stack(rows)
