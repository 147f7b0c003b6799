"""Rows 5 to 7: lungs, drawn boxes, sides and order on real films."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.anatomy.heads import REGIONS
from models.evaluation.looking import look
from models.evaluation.rows import Findings, Reach, Row, counted, mean, of_rows, rounded
from models.training import drawn, measures
from models.vocabulary import AnatomicStructure as A

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.evaluation.looking import ListeningEye, Looked
    from models.training.drawn import Drawn
    from models.training.measures import Numbers
    from models.training.real import RealFilm

LUNGS_GROUP = "real, patients never trained on: V7 boxes"
DRAWN_GROUP = "real, drawn twice by us, not by a radiologist"
RIGHT, LEFT = REGIONS.index(A.RIGHT_LUNG), REGIONS.index(A.LEFT_LUNG)
PASSES = ("test_a", "test_b")
CENTRED = ("right_clavicle", "left_clavicle", "trachea")


@dataclass(frozen=True, slots=True, eq=False)
class RealFilms:
    """Films, and what the eye says of each and of its mirror image, all in px of the small copy.

    ``name`` says which films these are.
    """

    name: str
    films: "Sequence[RealFilm]"
    seen: "Looked"
    flipped: "Looked"

    @property
    def people(self) -> list[str]:
        """Patient of each film."""
        return [film.patient for film in self.films]

    def take(self, rows: "Sequence[int]", name: str) -> "RealFilms":
        """Return some of the films under another name."""
        chosen = list(rows)
        films = [self.films[row] for row in chosen]
        return RealFilms(name, films, self.seen.take(chosen), self.flipped.take(chosen))


def see(eye: "ListeningEye", films: "Sequence[RealFilm]", name: str) -> RealFilms:
    """Look at films and at their mirror images."""
    return RealFilms(
        name, films, look(eye, [f.pixels for f in films]),
        look(eye, [f.pixels[:, ::-1] for f in films]),
    )  # fmt: skip


def side_order(seen: "Looked") -> "Numbers":
    """Return ``(n,)``: 1 where the patient's left lung lies on the right of the display, as usual.

    -1 where it lies on the other side, 0 where both lungs have one centre, NaN without boxes.
    """
    across = seen.boxes[..., 0] + seen.boxes[..., 2]
    return np.asarray(np.sign(across[:, LEFT] - across[:, RIGHT]))


def lung_overlaps(given: RealFilms) -> "Numbers":
    """Return ``(n, 2)``: right and left lung's overlap 0..1 with V7's boxes, by its convention.

    NaN for films without such boxes.
    """
    blank = np.full((2, 4), np.nan, np.float32)
    lungs = [blank if film.lungs is None else film.lungs for film in given.films]
    truth = np.stack([in_px(film, own) for film, own in zip(given.films, lungs, strict=True)])
    known = np.isfinite(truth).all(axis=-1)
    return np.where(known, measures.overlaps(given.seen.v7_lungs, truth), np.nan)


def lungs(given: RealFilms) -> Findings:
    """Row 5: overlap with V7's lung boxes, by its convention, and as drawn."""
    rows = [i for i, film in enumerate(given.films) if film.lungs is not None]
    if not rows:
        return Findings([Row(LUNGS_GROUP, "lung IoU", None, note="no film with lung boxes")])
    boxed = given.take(rows, given.name)
    truth = np.stack([in_px(film, film.lungs) for film in boxed.films])
    as_v7 = lung_overlaps(boxed)
    plain = measures.overlaps(boxed.seen.boxes[:, [RIGHT, LEFT]], truth)
    both, cases = as_v7.mean(axis=1), counted(boxed.people)
    interval = measures.interval(of_rows(both), boxed.people)
    tenth = float(np.quantile(both, 0.1))
    sides = f"right {as_v7[:, 0].mean():.3f}, left {as_v7[:, 1].mean():.3f}"
    apart = f"by our convention {plain.mean():.3f}; two people agree on lung boxes at about 0.89"
    found = [
        Row(LUNGS_GROUP, "lung IoU (v7)", mean(both), Reach(0.80), interval, cases, note=sides),
        Row(LUNGS_GROUP, "lung IoU (v7), 10th percentile", tenth, None, None, cases, note=apart),
    ]
    worst = {film.name: rounded(iou) for film, iou in zip(boxed.films, both, strict=True)}
    return Findings(found, {"lung_iou_by_film": worst})


def by_eye(given: RealFilms) -> Findings:
    """Row 6: hearts, clavicles and tracheas against two independent passes of our own."""
    passes = [_pass(name) for name in PASSES]
    if not all(passes):
        why = "drawn/test_a.csv and test_b.csv are not there"
        return Findings([Row(DRAWN_GROUP, "heart IoU", None, Reach(0.70), note=why)])
    rows = [i for i, f in enumerate(given.films) if all(f.name in one for one in passes)]
    some = given.take(rows, given.name)
    if not rows:
        return Findings([Row(DRAWN_GROUP, "heart IoU", None, Reach(0.70), note="other films")])
    found = Findings([_heart(some, passes), _centres(some, passes, CENTRED[:2], "clavicles"),
                      _centres(some, passes, CENTRED[2:], "trachea")])  # fmt: skip
    agreement = {name: rounded(mean(_self(some, passes, name))) for name in ("heart", *CENTRED)}
    found.tables["drawn_self_agreement_iou"] = agreement
    return found


def sides(given: RealFilms) -> Findings:
    """Row 7: film and mirror image agree on the sides; no region is out of order."""
    order = side_order(given.seen)
    # Names move with the pixels, so the order of the lungs must turn with the film.
    agree = (order == -side_order(given.flipped)).astype(float)
    usual = (order > 0).astype(float)
    calm = (given.seen.broken == 0).astype(float)
    put_right = (given.seen.exchanged > 0).astype(float)
    group, cases = f"real, all adult films: {given.name}", counted(given.people)
    flips = given.seen.mirrored.astype(float)
    sure = f"sure of the sides on {mean(given.seen.sure):.3f}; called mirrored {mean(flips):.3f}"
    wrong = [f.name for f, ok in zip(given.films, usual, strict=True) if not ok]
    return Findings(
        [
            Row(group, "film and mirror image agree on sides", mean(agree), Reach(0.99),
                measures.interval(of_rows(agree), given.people), cases,
                note="by construction where the network sees both alike"),
            Row(group, "patient's right on the left of the display", mean(usual), None,
                measures.interval(of_rows(usual), given.people), cases, note=sure),
            Row(group, "films with no region out of order", mean(calm), Reach(0.98),
                measures.interval(of_rows(calm), given.people), cases,
                note=f"after names were exchanged on {mean(put_right):.3f} of the films"),
        ],
        {f"sides_unusual ({given.name})": wrong},
    )  # fmt: skip


def _pass(name: str) -> "dict[str, Drawn]":
    return drawn.load(name) if (drawn.FOLDER / f"{name}.csv").is_file() else {}


def _heart(given: RealFilms, passes: "list[dict[str, Drawn]]") -> Row:
    """Heart against each pass, and against the mean of both, which is the row's figure."""
    first, second = (_drawn(given, one, "heart") for one in passes)
    own = given.seen.boxes[:, REGIONS.index(A.CARDIAC_SILHOUETTE)]
    single = [mean(_paired(own, one)) for one in (first, second)]
    middle = _paired(own, (first + second) / 2)
    note = (f"against single passes {single[0]:.3f} and {single[1]:.3f}; "
            f"the passes agree with each other at {mean(_paired(first, second)):.3f}")  # fmt: skip
    return Row(DRAWN_GROUP, "heart IoU, against the mean of both passes", mean(middle), Reach(0.70),
               measures.interval(of_rows(middle), given.people), counted(given.people),
               note=note)  # fmt: skip


def _centres(
    given: RealFilms, passes: "list[dict[str, Drawn]]", names: "Sequence[str]", word: str
) -> Row:
    """Share of drawn boxes that hold the centre of the eye's box, over both passes."""
    inside, each, agree = [], [], []
    for name in names:
        own = given.seen.boxes[:, REGIONS.index(drawn.SAME[name])]
        centre = (own[:, :2] + own[:, 2:]) / 2
        held = [_holds(_drawn(given, one, name), centre) for one in passes]
        inside.append(_mean_of(held))
        each.append([mean(one) for one in held])
        first, second = (_drawn(given, one, name) for one in passes)
        agree.append(mean(_holds(first, (second[:, :2] + second[:, 2:]) / 2)))
    films = _mean_of(inside)
    single = np.mean(each, axis=0)
    note = (f"single passes {single[0]:.3f} and {single[1]:.3f}; the second pass's centre lies in "
            f"the first one's box on {mean(agree):.3f}")  # fmt: skip
    return Row(DRAWN_GROUP, f"{word}: centre in the drawn box", mean(films), Reach(0.80),
               measures.interval(of_rows(films), given.people), counted(given.people),
               note=note)  # fmt: skip


def _self(given: RealFilms, passes: "list[dict[str, Drawn]]", name: str) -> "Numbers":
    first, second = (_drawn(given, one, name) for one in passes)
    return _paired(first, second)


def _drawn(given: RealFilms, shapes: "dict[str, Drawn]", name: str) -> "Numbers":
    """Return corners in px, NaN where nothing was drawn."""
    blank = (np.nan,) * 4
    rows = [shapes[film.name].shapes.get(name, blank) for film in given.films]
    return np.stack([in_px(f, np.asarray(r)) for f, r in zip(given.films, rows, strict=True)])


def _paired(first: "Numbers", second: "Numbers") -> "Numbers":
    """Return overlaps, NaN where either box is missing."""
    known = np.isfinite(first).all(axis=-1) & np.isfinite(second).all(axis=-1)
    return np.where(known, measures.overlaps(first, second), np.nan)


def _holds(boxes: "Numbers", points: "Numbers") -> "Numbers":
    """Return 1 where a box holds its point, 0 where not, NaN where there is no box or point."""
    known = np.isfinite(boxes).all(axis=-1) & np.isfinite(points).all(axis=-1)
    inside = ((points >= boxes[:, :2]) & (points <= boxes[:, 2:])).all(axis=-1)
    return np.where(known, inside.astype(float), np.nan)


def _mean_of(columns: "Sequence[Numbers]") -> "Numbers":
    """Return the mean over columns of what is finite, film by film."""
    return np.asarray([mean(row) for row in np.stack(columns, axis=1)])


def in_px(film: "RealFilm", corners: "Numbers | None") -> "Numbers":
    """Return corners in 0..1 of a film as px of its small copy."""
    rows, columns = film.pixels.shape
    assert corners is not None
    return np.asarray(corners * np.asarray((columns, rows, columns, rows)), np.float32)
