"""Row 8: text-mined labels within AP and within PA, pneumonia boxes by pointing, false alarms."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.anatomy.heads import MASK_SIDE, MASKS, OBSERVATIONS, SIGNS
from models.evaluation import baselines, served
from models.evaluation.rows import Findings, Reach, Row, counted, mean, of_rows, rounded
from models.training import measures
from models.vocabulary import MaskName, Observation, Sign

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from models.evaluation.real_rows import RealFilms
    from models.training.measures import Numbers
    from models.training.real import RealFilm

GROUP = "real, noisy labels"
POINT_GROUP = "real, pneumonia boxes of NIH"
FEWEST = 8
VIEWS = ("AP", "PA")
WORDS = "text-mined, noisy: agreement, not accuracy"
HALF_GREY = 128
REACHES = {
    Observation.PLEURAL_EFFUSION: Reach(0.75),
    Observation.LUNG_OPACITY: Reach(0.70),
}
HEART = Observation.ENLARGED_CARDIAC_SILHOUETTE
EXTRA = (Sign.PULMONARY_EDEMA, Sign.PNEUMOTHORAX, Sign.MASS, Sign.NODULE, Sign.CONSOLIDATION,
         Sign.ATELECTASIS)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """One label: truth, the eye's scores, and the scores of grey levels alone, film by film."""

    name: str
    truth: "Numbers"
    scores: "Numbers"
    grey: "Numbers"


def labels(given: "RealFilms", states: "Numbers", train: "Sequence[RealFilm]") -> Findings:
    """Return agreement with the labels within each view, the baselines, and false alarms.

    ``states`` ``(n, 4)`` are what drafts say, see :func:`models.evaluation.served.states`;
    ``train`` are films of training patients, for the baseline of grey levels.
    """
    told = [i for i, film in enumerate(given.films) if film.labelled]
    some = given.take(told, given.name)
    found, blank = Findings(), np.full(len(told), np.nan)
    grey = baselines.grey_levels(train, some.films)
    for place, observation in enumerate(OBSERVATIONS):
        truth = np.asarray([film.truth()[place] for film in some.films])
        one = _Asked(observation.value, truth, some.seen.findings[:, place], grey[:, place])
        found.rows += [_within(some, view, one, REACHES.get(observation)) for view in VIEWS]
        found.tables.setdefault("label_baselines", {})[observation.value] = _both_views(some, one)
    for sign in EXTRA:
        place = SIGNS.index(sign)
        truth = np.asarray([film.signs()[0][place] for film in some.films])
        one = _Asked(f"{sign.value} (sign)", truth, some.seen.signs[:, place], blank)
        rows = [_within(some, view, one, None) for view in VIEWS]
        found.rows += [row for row in rows if row.value is not None]
    for view in (None, *VIEWS):
        found.rows += _alarms(some, states[told], view)
    return found


def pointing(given: "RealFilms", boxes: "Mapping[str, Numbers]", trained: set[str]) -> Findings:
    """Return whether the peak of the opacity mask lies in the radiologist's box.

    ``boxes`` maps film names to corners in 0..1; ``trained`` names films of training patients.
    """
    rows = [i for i, film in enumerate(given.films) if film.name in boxes]
    if not rows:
        return Findings([Row(POINT_GROUP, "pointing", None, note="no film with such a box")])
    some = given.take(rows, given.name)
    hits, chance = [], []
    for place, film in enumerate(some.films):
        box = boxes[film.name]
        planes = some.seen.masks[place]
        x, y = _peak(planes[MASKS.index(MaskName.LUNG_OPACITY)], film)
        hits.append(bool(box[0] <= x <= box[2] and box[1] <= y <= box[3]))
        chance.append(_share(planes, film, box))
    known = sum(film.name in trained for film in some.films)
    note = f"{known} of them of patients trained on (labels, not these boxes)"
    values = np.asarray(hits, float)
    row = Row(POINT_GROUP, f"peak of the opacity mask in the box: {given.name}", mean(values), None,
              measures.interval(of_rows(values), some.people), counted(some.people),
              f"{mean(chance):.3f} by chance (share of the lungs)", note)  # fmt: skip
    return Findings([row])


def _within(given: "RealFilms", view: str, asked: _Asked, reach: Reach | None) -> Row:
    """Return AUROC within one view, beside that of age and of grey levels alone within it."""
    rows = np.flatnonzero([film.view == view for film in given.films])
    yes, scores = asked.truth[rows] > 0.5, asked.scores[rows]  # noqa: PLR2004
    measure = f"AUROC {asked.name}, within {view}"
    cases = f"{yes.sum()} with, {(~yes).sum()} without"
    if min(yes.sum(), (~yes).sum()) < FEWEST or not np.isfinite(scores).all():
        return Row(GROUP, measure, None, reach, cases=cases, note="too few films, or no such head")
    people = [given.people[row] for row in rows]
    interval = measures.interval(lambda d: measures.auroc(yes[d], scores[d]), people)
    age = baselines.age([given.films[int(row)] for row in rows], yes)
    simple = f"view only 0.5, age only {age:.3f}"
    if np.isfinite(asked.grey[rows]).all():
        simple += f", grey levels only {measures.auroc(yes, asked.grey[rows]):.3f}"
    return Row(GROUP, measure, measures.auroc(yes, scores), reach, interval, cases, simple, WORDS)


def _both_views(given: "RealFilms", asked: _Asked) -> dict[str, float | None]:
    """Return what the simple ways get over both views."""
    yes = asked.truth > 0.5  # noqa: PLR2004
    grey = asked.grey if np.isfinite(asked.grey).all() else np.zeros(len(yes))
    return {
        "view_only": rounded(baselines.view(given.films, yes)),
        "age_only": rounded(baselines.age(given.films, yes)),
        "grey_levels_only": rounded(measures.auroc(yes, grey)),
    }


def _alarms(given: "RealFilms", states: "Numbers", view: str | None) -> list[Row]:
    """Return the share of films labelled No Finding whose draft calls anything present."""
    rows = [
        i for i, film in enumerate(given.films)
        if film.calm and view in (None, film.view)
    ]  # fmt: skip
    measure = f"No-Finding films called abnormal{f', {view}' if view else ''}"
    if not rows:
        return [Row(GROUP, measure, None, Reach(most=0.20), note="no such film")]
    people = [given.people[row] for row in rows]
    surest = states[rows].max(axis=1)
    others = [place for place, name in enumerate(OBSERVATIONS) if name is not HEART]
    told = (
        (measure, surest == served.PRESENT, Reach(most=0.20),
         "No Finding is often not normal; PRESENT, in the draft, of any of the four it may state"),
        (f"{measure}, or possibly so", surest >= served.POSSIBLE, None,
         "the same, with what the draft calls possible, and hearts whose size it leaves open"),
        (f"{measure}, or possibly so, but for the heart's size",
         states[rows][:, others].max(axis=1) >= served.POSSIBLE, None,
         "a draft that leaves the heart's size open says so, and does not call it possibly large"),
    )  # fmt: skip
    return [
        Row(GROUP, words, mean(called), reach, measures.interval(of_rows(called), people),
            counted(people), note=note)
        for words, called, reach, note in ((w, c.astype(float), r, n) for w, c, r, n in told)
    ]  # fmt: skip


def _frame(film: "RealFilm") -> tuple[float, float, float]:
    """Return left, top and scale of a film in the mask square, px of that square per film px."""
    rows, columns = film.pixels.shape
    scale = MASK_SIDE / max(rows, columns)
    return (MASK_SIDE - columns * scale) / 2, (MASK_SIDE - rows * scale) / 2, scale


def _peak(plane: "Numbers", film: "RealFilm") -> tuple[float, float]:
    """Return where a mask is strongest, in 0..1 of the film."""
    y, x = np.unravel_index(int(np.argmax(plane)), plane.shape)
    left, top, scale = _frame(film)
    rows, columns = film.pixels.shape
    return (float(x) + 0.5 - left) / (columns * scale), (float(y) + 0.5 - top) / (rows * scale)


def _share(planes: "Numbers", film: "RealFilm", box: "Numbers") -> float:
    """Return the box's share of the lungs as the eye outlines them: what blind pointing gets."""
    lungs = planes[[MASKS.index(m) for m in (MaskName.RIGHT_LUNG, MaskName.LEFT_LUNG)]].max(axis=0)
    left, top, scale = _frame(film)
    rows, columns = film.pixels.shape
    x = (np.arange(MASK_SIDE) + 0.5 - left) / (columns * scale)
    y = (np.arange(MASK_SIDE) + 0.5 - top) / (rows * scale)
    inside = ((y >= box[1]) & (y <= box[3]))[:, None] & ((x >= box[0]) & (x <= box[2]))[None, :]
    area = lungs >= HALF_GREY
    return float((area & inside).sum() / max(area.sum(), 1))
