"""Row 3: signs, their places, masks, retrieval and calibration on simulated films."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.anatomy import retrieval
from models.anatomy.heads import MASKS, REGIONS, SIGNS
from models.evaluation.exams import ABSENT, PRESENT
from models.evaluation.rows import Findings, Reach, Row, counted, mean, of_rows, rounded
from models.training import measures
from models.vocabulary import MaskName, Sign

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.evaluation.exams import Exam
    from models.evaluation.looking import Looked
    from models.training.measures import Numbers

WORST_ECE = 0.05
GROUP = "simulated findings"
FEWEST = 8  # positives, and negatives, below which no AUROC is given
HIGH, FAIR = Reach(0.90), Reach(0.75)
ASKED: tuple[tuple[str, Sign, float, Reach], ...] = (
    ("pleural effusion", Sign.PLEURAL_EFFUSION, 0.0, HIGH),
    ("pneumothorax > 2 cm", Sign.PNEUMOTHORAX, 20.0, HIGH),
    ("mass > 3 cm", Sign.MASS, 30.0, HIGH),
    ("cardiomegaly", Sign.ENLARGED_CARDIAC_SILHOUETTE, 0.0, HIGH),
    ("endotracheal tube", Sign.ENDOTRACHEAL_TUBE, 0.0, HIGH),
    ("enteric tube", Sign.ENTERIC_TUBE, 0.0, HIGH),
    ("chest tube", Sign.CHEST_TUBE, 0.0, HIGH),
    ("nodule", Sign.NODULE, 0.0, FAIR),
    ("rib fracture", Sign.RIB_FRACTURE, 0.0, FAIR),
    ("clavicle fracture", Sign.CLAVICLE_FRACTURE, 0.0, FAIR),
    ("interstitial pattern", Sign.INTERSTITIAL_PATTERN, 0.0, FAIR),
)
FINDING_MASKS = (MaskName.PLEURAL_EFFUSION, MaskName.LUNG_OPACITY, MaskName.MASS,
                 MaskName.PNEUMOTHORAX, MaskName.DEVICE)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Signs:
    """Truth and answers of ``n`` films, ``(n, 20)`` each; truth 1, 0 or -1 (open)."""

    truth: "Numbers"
    logits: "Numbers"
    sizes: "Numbers"
    contrast: "Numbers"
    people: "Sequence[str]"

    def rows(self, sign: Sign, more_than_mm: float = 0.0) -> "Numbers":
        """Return films on which the sign is known, without positives up to a size."""
        place = SIGNS.index(sign)
        truth = self.truth[:, place]
        large = self.sizes[:, place] > more_than_mm
        return np.flatnonzero(
            (truth == ABSENT) | ((truth == PRESENT) & (large | (not more_than_mm)))
        )

    def auroc(self, sign: Sign, rows: "Numbers") -> float:
        """Return the AUROC on some rows; NaN with too few of either kind."""
        place = SIGNS.index(sign)
        labels = self.truth[rows, place] == PRESENT
        if min(labels.sum(), (~labels).sum()) < FEWEST:
            return float("nan")
        return measures.auroc(labels, self.logits[rows, place])


def gather(exams: "Sequence[Exam]", seen: "Looked") -> Signs:
    """Put truth and answers side by side."""
    return Signs(
        np.stack([e.signs for e in exams]), seen.signs, np.stack([e.sizes for e in exams]),
        np.stack([e.contrast for e in exams]), [e.patient for e in exams],
    )  # fmt: skip


def aurocs(signs: Signs) -> Findings:
    """Return the rows of the issue's table, the worst sign, strata, and ROC curves."""
    found = Findings([_row(signs, *asked) for asked in ASKED])
    each = {sign: signs.auroc(sign, signs.rows(sign)) for sign in Sign}
    known = {sign: value for sign, value in each.items() if np.isfinite(value)}
    if known:
        worst = min(known, key=lambda sign: known[sign])
        note = f"{worst.value}; {len(known)} of {len(each)} signs had enough films"
        found.rows.append(
            Row(GROUP, "AUROC of the worst sign", known[worst], FAIR, None,
                counted(signs.people, "bases"), "0.5 by chance", note)
        )  # fmt: skip
        found.rows.append(Row(GROUP, "AUROC, mean over signs", mean(list(known.values()))))
    found.tables["signs"] = {sign.value: _strata(signs, sign) for sign in Sign}
    found.curves["roc"] = {sign.value: _curve(signs, sign) for sign in known}
    return found


def places(exams: "Sequence[Exam]", seen: "Looked") -> Findings:
    """Return how well signs are told per region: mean AUROC over pairs, and the right region."""
    truth = np.stack([exam.attributes for exam in exams])
    known = np.stack([exam.signs for exam in exams]) != -1
    pairs = []
    for region in range(len(REGIONS)):
        for sign in range(len(SIGNS)):
            labels = truth[known[:, sign], region, sign]
            if min(labels.sum(), (~labels).sum()) >= FEWEST:
                pairs.append(measures.auroc(labels, seen.attributes[known[:, sign], region, sign]))
    pointed = [
        bool(truth[film, int(np.argmax(seen.attributes[film, :, sign])), sign])
        for film, sign in zip(*np.nonzero(truth.any(axis=1) & known), strict=True)
    ]
    chance = mean(truth.mean(axis=1)[truth.any(axis=1)])
    return Findings([
        Row(GROUP, "signs by region: mean AUROC", mean(pairs), None, None,
            f"{len(pairs)} pairs of region and sign"),
        Row(GROUP, "signs by region: most likely region has the sign", mean(pointed), None, None,
            f"{len(pointed)} signs", f"{chance:.3f} by chance"),
    ])  # fmt: skip


def masks(exams: "Sequence[Exam]", seen: "Looked", may: "Numbers") -> Findings:
    """Return overlap of masks with the truth on films that show the finding, and false masks.

    ``may`` ``(n, 8)`` says whose masks are shown to a reader, see :mod:`models.evaluation.shown`.
    """
    found, worth, served = Findings(), [], []
    table = {}
    for name in (*MASKS,):
        place = MASKS.index(name)
        truth = np.stack([exam.masks[place] for exam in exams])
        drawn = seen.masks[:, place] >= 128  # noqa: PLR2004 - half of uint8
        shown = truth.any(axis=(1, 2))
        ious = np.where(shown, measures.shared(drawn, truth), np.nan)
        people = [exam.patient for exam in exams]
        table[name.value] = {
            "iou": rounded(mean(ious)), "films": int(shown.sum()),
            "drawn_without": rounded(mean(np.asarray(drawn[~shown].any(axis=(1, 2))))),
            "shown_without": rounded(mean((drawn.any(axis=(1, 2)) & may[:, place])[~shown])),
        }  # fmt: skip
        if name in FINDING_MASKS and shown.sum() >= FEWEST:
            worth.append(mean(ious))
            served.append(mean(ious * may[:, place]))
            found.rows.append(
                Row(GROUP, f"mask IoU where present: {name.value}", mean(ious), Reach(0.5),
                    measures.interval(of_rows(ious), people), f"{int(shown.sum())} films")
            )  # fmt: skip
    if worth:
        found.rows += [
            Row(GROUP, "mask IoU, mean over findings", mean(worth), Reach(0.5)),
            Row(GROUP, "mask IoU, mean over findings, as shown", mean(served),
                note="nothing where the finding is not called, or left possible in a draft"),
        ]  # fmt: skip
    found.tables["masks"] = table
    return found


def retrieved(exams: "Sequence[Exam]", seen: "Looked", known: retrieval.SubDatabases) -> Findings:
    """Return R@1: whether the retrieved set of signs is a region's own; all, and with a sign."""
    hits: list[list[bool]] = []
    for exam, embedding in zip(exams, seen.embedding, strict=True):
        if (exam.signs == -1).any():
            continue
        likely, near = known.nearest(embedding), known.nearest(embedding, likeness_alone=True)
        for place, (one, other) in enumerate(zip(likely, near, strict=True)):
            signs = {s for s, has in zip(SIGNS, exam.attributes[place], strict=True) if has}
            hits.append([set(one.signs) == signs, set(other.signs) == signs, bool(signs)])
    likeliest, nearest, busy = np.asarray(hits, bool).reshape(-1, 3).T
    cases = f"{len(hits)} regions; {int(busy.sum())} with a sign"
    alone = "nearest alone, whatever is frequent: "
    return Findings([
        Row(GROUP, "retrieval R@1, all regions", mean(likeliest), None, None, cases,
            f"{1 - mean(busy):.3f} by always saying healthy; {alone}{mean(nearest):.3f}"),
        Row(GROUP, "retrieval R@1, regions with a sign", mean(likeliest[busy]), None, None, cases,
            f"0 by always saying healthy; {alone}{mean(nearest[busy]):.3f}"),
    ])  # fmt: skip


def calibration(signs: Signs, tuning: Signs | None) -> Findings:
    """Return the calibration error as served, and after Platt's scaling on validation films."""
    found = Findings()
    served = [(sign, *_told(signs, sign)) for sign in Sign]
    served = [one for one in served if len(one[1])]
    found.rows.append(_ece("ECE as served, pooled over signs", served, Reach(most=0.05)))
    found.rows.append(_worst_ece(served))
    if tuning is not None:
        scaled = []
        for sign, labels, logits in served:
            slope, offset = measures.platt(*_told(tuning, sign))
            scaled.append((sign, labels, slope * logits + offset))
        found.rows.append(_ece("ECE after Platt fitted on validation", scaled, Reach(most=0.05)))
    labels = np.concatenate([one[1] for one in served])
    chances = _chance(np.concatenate([one[2] for one in served]))
    found.curves["reliability"] = measures.reliability(labels, chances).round(4).tolist()
    found.tables["calibration"] = {
        sign.value: rounded(measures.calibration_error(y, _chance(x))) for sign, y, x in served
    }
    return found


def _ece(words: str, told: "Sequence[tuple[Sign, Numbers, Numbers]]", reach: Reach) -> Row:
    errors = [measures.calibration_error(y, _chance(x)) for _, y, x in told]
    labels = np.concatenate([y for _, y, _ in told])
    pooled = measures.calibration_error(labels, _chance(np.concatenate([x for _, _, x in told])))
    note = f"mean of the single signs {mean(errors):.3f}, worst {max(errors):.3f}"
    rate = f"prevalence {mean(labels):.3f}"
    return Row(GROUP, words, pooled, reach, None, f"{len(labels)} answers, {rate}", note=note)


def _worst_ece(told: "Sequence[tuple[Sign, Numbers, Numbers]]") -> Row:
    errors = {sign: measures.calibration_error(y, _chance(x)) for sign, y, x in told}
    worst = max(errors, key=lambda sign: errors[sign])
    high = sum(error > WORST_ECE for error in errors.values())
    note = f"{worst.value}; {high} of {len(errors)} signs are above {WORST_ECE:g}"
    return Row(GROUP, "ECE of the worst sign", errors[worst], Reach(most=WORST_ECE), note=note)


def _told(signs: Signs, sign: Sign) -> "tuple[Numbers, Numbers]":
    rows = signs.rows(sign)
    place = SIGNS.index(sign)
    return (signs.truth[rows, place] == PRESENT).astype(float), signs.logits[rows, place]


def _row(signs: Signs, words: str, sign: Sign, more_than_mm: float, reach: Reach) -> Row:
    rows = signs.rows(sign, more_than_mm)
    labels = signs.truth[rows, SIGNS.index(sign)] == PRESENT
    value = signs.auroc(sign, rows)
    measure = f"AUROC {words}"
    cases = f"{int(labels.sum())} with, {int((~labels).sum())} without"
    if not np.isfinite(value):
        return Row(GROUP, measure, None, reach, cases=cases, note="too few films")
    people = [signs.people[row] for row in rows]
    interval = measures.interval(lambda draw: signs.auroc(sign, rows[draw]), people, 200)
    prevalence = f"prevalence {labels.mean():.2f}"
    return Row(GROUP, measure, value, reach, interval, cases, "0.5 by chance", prevalence)


def _strata(signs: Signs, sign: Sign) -> dict[str, object]:
    """Return AUROC in all, and of the smaller and larger, fainter and stronger half of a sign."""
    place, rows = SIGNS.index(sign), signs.rows(sign)
    with_it = rows[signs.truth[rows, place] == PRESENT]
    without = rows[signs.truth[rows, place] == ABSENT]
    table: dict[str, object] = {
        "with": len(with_it), "without": len(without),
        "auroc": rounded(signs.auroc(sign, rows)),
    }  # fmt: skip
    for name, values in (("size_mm", signs.sizes), ("contrast_mm", signs.contrast)):
        extents = values[with_it, place]
        if len(with_it) < 2 * FEWEST or np.ptp(extents) == 0:
            continue
        middle = float(np.median(extents))
        table[name] = {
            "median": rounded(middle),
            "auroc_up_to": rounded(_half(signs, sign, with_it[extents <= middle], without)),
            "auroc_above": rounded(_half(signs, sign, with_it[extents > middle], without)),
        }
    return table


def _half(signs: Signs, sign: Sign, with_it: "Numbers", without: "Numbers") -> float:
    return signs.auroc(sign, np.concatenate([with_it, without]))


def _curve(signs: Signs, sign: Sign) -> list[list[float]]:
    labels, logits = _told(signs, sign)
    false, true = measures.roc(labels, logits)
    keep = np.unique(np.linspace(0, len(false) - 1, 60).astype(int))
    return [false[keep].round(4).tolist(), true[keep].round(4).tolist()]


def _chance(logits: "Numbers") -> "Numbers":
    return np.asarray(0.5 * (1 + np.tanh(0.5 * np.asarray(logits, np.float64))))
