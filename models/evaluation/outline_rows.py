"""Row 1b: the masks of the 36 regions on simulated films, beside their own boxes filled."""

from typing import TYPE_CHECKING

import numpy as np

from models.anatomy.heads import PLACE_SIDE, REGIONS
from models.anatomy.network import INPUT_SIDE
from models.evaluation.region_rows import GROUP, SMALL_ROWS
from models.evaluation.rows import Findings, Row, by_film, counted, mean, of_rows, rounded
from models.training import measures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.evaluation.exams import Exam
    from models.evaluation.looking import Looked
    from models.training.measures import Numbers


def outlines(exams: "Sequence[Exam]", seen: "Looked") -> Findings:
    """Return mean overlaps over visible regions: all, large and small ones; and by region.

    A mask is cut to the box that was found, as it is served; the baseline is that box, filled.
    """
    own, filled = _overlaps(exams, seen)
    people = [exam.patient for exam in exams]
    found = Findings()
    for words, which in (
        ("masks of all 36 regions", np.ones(len(REGIONS), bool)),
        ("masks of 25 large regions", ~SMALL_ROWS),
        ("masks of 11 small regions", SMALL_ROWS),
    ):
        films = by_film(own[:, which])
        plain = mean(by_film(filled[:, which]))
        found.rows.append(
            Row(GROUP, f"{words}: mean IoU", mean(films), None,
                measures.interval(of_rows(films), people), counted(people, "bases"),
                f"own box filled {plain:.3f}", f"on a grid of {PLACE_SIDE} x {PLACE_SIDE}")
        )  # fmt: skip
    found.tables["region_masks"] = {
        name.value: {
            "iou": rounded(mean(own[:, i])), "own_box_filled": rounded(mean(filled[:, i])),
            "films": int(np.isfinite(own[:, i]).sum()),
        }
        for i, name in enumerate(REGIONS)
    }  # fmt: skip
    return found


def _overlaps(exams: "Sequence[Exam]", seen: "Looked") -> "tuple[Numbers, Numbers]":
    """Overlaps ``(n, 36)`` of masks, and of the found boxes filled; NaN where nothing is to see."""
    rows = [_of_film(exam, seen.boxes[i], seen.region_masks[i]) for i, exam in enumerate(exams)]
    own, filled = (np.stack(part) for part in zip(*rows, strict=True))
    return own, filled


def _of_film(exam: "Exam", boxes: "Numbers", masks: "Numbers") -> "tuple[Numbers, Numbers]":
    boxed, truth = _inside(boxes), exam.region_masks
    known = exam.visible & truth.any(axis=(1, 2))
    return tuple(
        np.where(known, measures.shared(drawn, truth), np.nan) for drawn in (masks & boxed, boxed)
    )  # type: ignore[return-value]


def _inside(boxes: "Numbers") -> "Numbers":
    """Fill boxes ``(36, 4)``, corners in px of the square: ``(36, 80, 80)`` bool."""
    centres = (np.arange(PLACE_SIDE) + 0.5) * INPUT_SIDE / PLACE_SIDE
    x0, y0, x1, y1 = (boxes[:, axis, None] for axis in range(4))
    across, down = (centres > x0) & (centres < x1), (centres > y0) & (centres < y1)
    return np.asarray(down[:, :, None] & across[:, None, :])
