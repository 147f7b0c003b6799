"""Rows 1 and 2: the 36 boxes on simulated films beside a mean box, mirrored, and with odd sides."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.anatomy.heads import REGIONS
from models.anatomy.network import INPUT_SIDE
from models.evaluation.rows import Findings, Reach, Row, by_film, counted, mean, of_rows, rounded
from models.training import measures
from models.vocabulary import AnatomicStructure as A

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.evaluation.exams import Exam
    from models.evaluation.looking import Looked
    from models.training.measures import Numbers

GROUP = "simulated films"
SIDES_GROUP = "simulated, mirrored; white lungs and shifts"
SMALL = (
    A.CARINA, A.CAVOATRIAL_JUNCTION, A.LEFT_HILAR_STRUCTURES, A.RIGHT_HILAR_STRUCTURES,
    A.LEFT_CARDIOPHRENIC_ANGLE, A.LEFT_COSTOPHRENIC_ANGLE, A.RIGHT_CARDIOPHRENIC_ANGLE,
    A.RIGHT_COSTOPHRENIC_ANGLE, A.LEFT_CLAVICLE, A.RIGHT_CLAVICLE, A.AORTIC_ARCH,
)  # fmt: skip
SMALL_ROWS = np.asarray([name in SMALL for name in REGIONS])
LARGE_AT, SMALL_AT = 0.7, 0.5  # overlap from which a box counts as found
THIN = 0.12  # of the film's width: mean boxes narrower or lower than this are strips


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """Overlaps ``(n, 36)`` of the eye and of the mean box, NaN where a region is not visible.

    ``off`` (n, 36) is the distance of centres as a share of the film's width.
    """

    own: "Numbers"
    plain: "Numbers"
    off: "Numbers"
    people: "Sequence[str]"


def compare(exams: "Sequence[Exam]", seen: "Looked", baseline: "Numbers") -> Boxes:
    """Compare the eye's boxes and the mean box ``(36, 4)``, px of the square, with the truth."""
    truth = np.stack([exam.boxes for exam in exams])
    visible = np.stack([exam.visible for exam in exams])
    width = np.asarray([_width(exam) for exam in exams])
    steps = (truth[..., :2] + truth[..., 2:] - seen.boxes[..., :2] - seen.boxes[..., 2:]) / 2
    off = np.hypot(steps[..., 0], steps[..., 1]) / width[:, None]
    # A mirrored film gets the mirrored mean box: the baseline knows the display, and nothing else.
    usual = np.broadcast_to(baseline, truth.shape).copy()
    turned = np.asarray([exam.order.mirrored for exam in exams])
    usual[turned] = np.stack(
        [INPUT_SIDE - usual[turned][..., 2], usual[turned][..., 1],
         INPUT_SIDE - usual[turned][..., 0], usual[turned][..., 3]], axis=-1,
    )  # fmt: skip
    return Boxes(
        np.where(visible, measures.overlaps(seen.boxes, truth), np.nan),
        np.where(visible, measures.overlaps(usual, truth), np.nan),
        np.where(visible, off, np.nan),
        [exam.patient for exam in exams],
    )


def regions(boxes: Boxes, baseline: "Numbers") -> Findings:
    """Row 1: overlaps of large regions, small ones, and skill over the mean box."""
    found = Findings()
    sizes = (baseline[:, 2:] - baseline[:, :2]) / INPUT_SIDE
    broad = ~SMALL_ROWS & (sizes.min(1) >= THIN)
    for words, which, reaches in (
        ("25 large regions", ~SMALL_ROWS, (Reach(0.85), Reach(0.90))),
        (f"{broad.sum()} of them that are no narrow strips", broad, (None, None)),
    ):
        found.rows += [
            _row(boxes, f"{words}: mean IoU", which, None, reaches[0]),
            _row(boxes, f"{words}: R@{LARGE_AT}", which, LARGE_AT, reaches[1]),
        ]
    found.rows.append(
        _row(boxes, f"11 small regions: R@{SMALL_AT}", SMALL_ROWS, SMALL_AT, Reach(0.85))
    )
    off = by_film(100 * boxes.off[:, SMALL_ROWS])
    found.rows.append(
        Row(
            GROUP, "11 small regions: error of the centre, % of the film's width", mean(off),
            Reach(most=3.0), measures.interval(of_rows(off), boxes.people), _cases(boxes),
        )
    )  # fmt: skip
    found.rows.append(_skill(boxes))
    found.tables["regions"] = {name.value: _region(boxes, i) for i, name in enumerate(REGIONS)}
    return found


def mirrored(usual: Boxes, turned: Boxes) -> Row:
    """Row 2a: the same films shown mirrored."""
    own, other = by_film(usual.own), by_film(turned.own)
    return Row(
        SIDES_GROUP, "mean IoU: same films usual minus mirrored, absolute",
        abs(mean(own) - mean(other)), Reach(most=0.02),
        measures.interval(lambda rows: abs(mean(own[rows]) - mean(other[rows])), usual.people),
        _cases(usual), note=f"{mean(own):.3f} usual, {mean(other):.3f} mirrored",
    )  # fmt: skip


def sides(exams: "Sequence[Exam]", seen: "Looked", measure: str) -> list[Row]:
    """Row 2b: sides right where the eye is sure, and how often it is sure."""
    if not exams:
        return [Row(SIDES_GROUP, measure, None, note="no such film in this part")]
    right = np.asarray([e.order.mirrored for e in exams]) == seen.mirrored
    people = [exam.patient for exam in exams]
    among = np.where(seen.sure, right, np.nan).astype(float)
    cases, sure = counted(people, "bases"), seen.sure.astype(float)
    every = f"{mean(right):.3f} without the right to be unsure"
    return [
        Row(SIDES_GROUP, f"{measure}: sides right where sure", mean(among), Reach(0.99),
            measures.interval(of_rows(among), people), cases, "0.5 by chance", every),
        Row(SIDES_GROUP, f"{measure}: share of films where sure", mean(sure), Reach(0.95),
            measures.interval(of_rows(sure), people), cases),
    ]  # fmt: skip


def _row(
    boxes: Boxes, measure: str, which: "Numbers", at: float | None, reach: Reach | None
) -> Row:
    """Mean over films of the mean over regions, of the overlap or of reaching a bound."""
    own, plain = boxes.own[:, which], boxes.plain[:, which]
    if at is not None:
        own, plain = (np.where(np.isfinite(v), v >= at, np.nan) for v in (own, plain))
    films = by_film(own)
    return Row(
        GROUP, measure, mean(films), reach, measures.interval(of_rows(films), boxes.people),
        _cases(boxes), f"mean box {mean(by_film(plain)):.3f}",
    )  # fmt: skip


def _skill(boxes: Boxes) -> Row:
    own, plain = by_film(boxes.own), by_film(boxes.plain)

    def skill(rows: "Numbers") -> float:
        base = mean(plain[rows])
        return (mean(own[rows]) - base) / (1 - base)

    everything = np.arange(len(own))
    return Row(
        GROUP, "all 36 regions: skill over the mean box", skill(everything), Reach(0.6),
        measures.interval(skill, boxes.people), _cases(boxes),
        f"mean IoU {mean(own):.3f}, mean box {mean(plain):.3f}",
    )  # fmt: skip


def _region(boxes: Boxes, place: int) -> dict[str, float | int | None]:
    own = boxes.own[:, place]
    known = np.isfinite(own)
    return {
        "iou": rounded(mean(own)),
        "mean_box": rounded(mean(boxes.plain[:, place])),
        "r_at_0.5": rounded(mean(own[known] >= SMALL_AT)),
        "r_at_0.7": rounded(mean(own[known] >= LARGE_AT)),
        "centre_error_percent": rounded(100 * mean(boxes.off[:, place])),
        "films": int(known.sum()),
    }


def _width(exam: "Exam") -> float:
    """Columns of the film inside the square, px."""
    return max(float(np.any(exam.film, axis=0).sum()), 1.0)


def _cases(boxes: Boxes) -> str:
    return counted(boxes.people, "bases")
