"""Real films by hospital, view, sex and age: whether the eye sees some people worse than others."""

from typing import TYPE_CHECKING, Any

import numpy as np

from models.evaluation import served
from models.evaluation.looking import HALF
from models.evaluation.real_rows import lung_overlaps, side_order
from models.evaluation.rows import Findings, mean, rounded

if TYPE_CHECKING:
    from models.evaluation.real_rows import RealFilms
    from models.training.measures import Numbers
    from models.training.real import RealFilm

TABLE = "real films by group"
OLD, YOUNG = 65, 45


def of(film: "RealFilm") -> tuple[str, ...]:
    """Return the groups that a film belongs to."""
    hospital = "NIH" if film.name.rsplit("/", 1)[-1].startswith("nih") else "Hannover and others"
    sex = {"M": "men", "F": "women"}.get(film.sex, "sex not told")
    if film.age is None:
        age = "age not told"
    else:
        age = f"{OLD} years or more" if film.age >= OLD else f"{YOUNG} to {OLD - 1} years"
        age = f"18 to {YOUNG - 1} years" if film.age < YOUNG else age
    return "all", hospital, film.view or "view not told", sex, age


def table(given: "RealFilms", states: "Numbers") -> Findings:
    """Return per group: films, patients, refusals, sides, lungs, and calm films called abnormal.

    ``states`` ``(n, 4)`` are what drafts say.
    """
    rows: dict[str, list[int]] = {}
    for place, film in enumerate(given.films):
        for group in of(film):
            rows.setdefault(group, []).append(place)
    told = {group: _told(given, states, np.asarray(rows[group])) for group in sorted(rows)}
    return Findings(tables={TABLE: told})


def _told(given: "RealFilms", states: "Numbers", rows: "Numbers") -> dict[str, Any]:
    some = given.take(rows.tolist(), given.name)
    calm = rows[[film.calm for film in some.films]]
    return {
        "films": len(rows),
        "patients": len(set(some.people)),
        "refused": rounded(mean((some.seen.in_scope < HALF).astype(float))),
        "right_side_right": rounded(mean((side_order(some.seen) > 0).astype(float))),
        "lung_iou": rounded(mean(lung_overlaps(some).mean(axis=1))),
        "lung_films": sum(film.lungs is not None for film in some.films),
        "no_finding_called_abnormal": (
            rounded(mean((states[calm].max(axis=1) == served.PRESENT).astype(float)))
            if len(calm) else None
        ),
        "no_finding_films": len(calm),
    }  # fmt: skip
