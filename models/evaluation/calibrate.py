"""Step 5b: calibrate on validation films and write limits and scaling into the bundle.

``python -m models.evaluation.calibrate --bundle DIR --bases DIR --real ROOT --version 0.4.0``

Only simulated validation films and real validation patients are looked at, never the test part.
Chances of signs are calibrated on simulated films, where prevalence is known; on real films they
are not.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.anatomy.heads import MASKS, OBSERVATIONS, QUALITIES, REGIONS, SIGNS
from models.anatomy.reading import sigmoid
from models.anatomy.session import NETWORK_FILE
from models.bundles import load
from models.evaluation import limits, platt, served
from models.evaluation.examiner import Examiner
from models.evaluation.exams import OPEN, PRESENT, Exam
from models.evaluation.label_rows import VIEWS
from models.evaluation.looking import ListeningEye, Looked, look
from models.training import cache, measures, real
from models.training.export import settle
from models.values import ChestImage
from models.vocabulary import AnatomicStructure as A
from models.vocabulary import MaskName, Sign

if TYPE_CHECKING:
    from models.training.measures import Numbers
    from models.training.real import RealFilm

FILMS = 600
SEED = 55_011
BATCH = 16
SHARES = (0.0, 0.25, 0.5)  # what the look at the mirrored patient may weigh
HIDES_THE_HEART = (Sign.PLEURAL_EFFUSION, Sign.CONSOLIDATION, Sign.ATELECTASIS,
                   Sign.PULMONARY_EDEMA, Sign.MEDIASTINAL_SHIFT)  # fmt: skip
ORGANS = (MaskName.RIGHT_LUNG, MaskName.LEFT_LUNG, MaskName.HEART)
SENTENCES = (
    "Trained on films simulated from one CT and on {films} real films; for demonstration only.",
    "Of simulated findings drafts call present, and possible: {sensitivity}; less on real films.",
    "Small nodules, and findings behind the heart or below the diaphragm, are often missed.",
    "Probabilities are not calibrated on real films.",
)


@dataclass(frozen=True, slots=True, eq=False)
class Tuning:
    """Validation films, simulated and real, and where they are looked at."""

    folder: Path
    exams: list[Exam]
    films: "list[RealFilm]"

    def eye(self) -> ListeningEye:
        """Return the bundle's eye as it is now."""
        return ListeningEye(load(self.folder))

    def simulated(self) -> Looked:
        """Look at the simulated films."""
        return look(self.eye(), [exam.film for exam in self.exams])

    def observed(self) -> Looked:
        """Look at the real films."""
        return look(self.eye(), [film.pixels for film in self.films])

    def calm(self) -> list[list[int]]:
        """Return the places of real films labelled No Finding, by view."""
        return [
            [i for i, f in enumerate(self.films) if f.calm and f.view == view] for view in VIEWS
        ]

    def labelled(self, place: int) -> list[list[int]]:
        """Return the places of real films whose labels name an observation, by view."""
        named = [i for i, f in enumerate(self.films) if f.labelled and f.truth()[place]]
        return [[i for i in named if self.films[i].view == view] for view in VIEWS]

    def plain(self) -> "Numbers":
        """Mark simulated films without any sign."""
        return np.asarray([bool((exam.signs != PRESENT).all()) for exam in self.exams])


def ratio(boxes: "Numbers") -> "Numbers":
    """Cardiothoracic ratio of boxes ``(n, 36, 4)``: heart width over width of both lungs."""
    heart = boxes[:, REGIONS.index(A.CARDIAC_SILHOUETTE)]
    right, left = (boxes[:, REGIONS.index(name)] for name in (A.RIGHT_LUNG, A.LEFT_LUNG))
    return np.asarray((heart[:, 2] - heart[:, 0]) / np.maximum(left[:, 2] - right[:, 0], 1e-3))


def heart_error(exams: list[Exam], seen: Looked) -> dict[str, float]:
    """Measured minus true ratio on usual films whose heart borders nothing hides."""
    lungs = [REGIONS.index(A.RIGHT_LUNG), REGIONS.index(A.LEFT_LUNG)]
    hiding = [SIGNS.index(sign) for sign in HIDES_THE_HEART]
    usual = np.asarray([
        not e.order.mirrored and bool(e.visible[lungs].all())
        and not bool((e.signs[hiding] == PRESENT).any())
        for e in exams
    ])  # fmt: skip
    truth = np.stack([exam.boxes for exam in exams])
    errors = (ratio(seen.boxes) - ratio(truth))[usual]
    return {
        "bias": round(float(np.mean(errors)), 4),
        "sd": round(float(np.std(errors)), 4),
    }


def scale(given: Tuning) -> None:
    """Fit Platt's scaling per sign and fold it into the network."""
    network = given.folder / NETWORK_FILE
    held = platt.read(network)
    slopes, offsets = (np.ones(len(SIGNS)), np.zeros(len(SIGNS))) if held is None else held
    logits = (given.simulated().signs - offsets) / slopes
    truth = np.stack([exam.signs for exam in given.exams])
    fitted = []
    for place in range(len(SIGNS)):
        known = truth[:, place] != OPEN
        labels = truth[known, place] == PRESENT
        enough = labels.sum() >= limits.FEWEST
        fitted.append(measures.platt(labels, logits[known, place]) if enough else (1.0, 0.0))
    new = np.asarray(fitted)
    platt.fold(network, new[:, 0], new[:, 1])
    settle(given.folder, {})


def levels(given: Tuning, made: Looked, calm: Looked) -> None:
    """Choose each mask's level and fold it into the network, so that masks begin at one half.

    ``made`` are the answers on the simulated films, ``calm`` those on real ones without a finding.
    """
    network = given.folder / NETWORK_FILE
    held = platt.read(network, platt.MASKS)
    offsets = np.zeros((len(MASKS), 1, 1)) if held is None else held[1].copy()
    for place in range(len(MASKS)):
        truth = np.stack([exam.masks[place] for exam in given.exams])
        shown = truth.any(axis=(1, 2))
        if shown.sum() >= limits.FEWEST:
            empty = calm.masks[:, place] if MASKS[place] not in ORGANS else None
            level = limits.of_mask(made.masks[shown, place], truth[shown], empty)
            offsets[place] -= np.log(level / (1 - level))
    platt.fold(network, np.ones_like(offsets), offsets, platt.MASKS)
    settle(given.folder, {})


def sides(given: Tuning) -> dict[str, float]:
    """Choose the weight of the mirrored look and the limits on evidence."""
    settled: dict[str, float] = dict(load(given.folder).operating)
    scores = {}
    for share in SHARES:
        settle(given.folder, {"operating": {**settled, "mirror_share": share}})
        scores[share] = _overlap(given, given.simulated())
    settled["mirror_share"] = max(SHARES, key=lambda share: scores[share])
    settle(given.folder, {"operating": settled})
    made, seen = given.simulated(), given.observed()
    mirrored = np.asarray([exam.order.mirrored for exam in given.exams])
    return {**settled, **limits.of_sides(made.evidence, mirrored, seen.evidence)}


def scope(given: Tuning) -> dict[str, float]:
    """Choose the operating point of the scope head."""
    eye = given.eye()
    margins, spreads = [], []
    for start in range(0, len(given.films), BATCH):
        some = given.films[start : start + BATCH]
        images = [ChestImage(f.name, f.pixels.astype(np.float32)) for f in some]
        for outputs, _ in eye.outputs(images):
            logits = outputs["scope"]
            margins.append(float(logits[0] - np.logaddexp.reduce(logits[1:])))
            spreads.append(float(outputs["spread"].mean()))
    return limits.of_scope(np.asarray(margins), np.asarray(spreads))


def settings(given: Tuning, heads: frozenset[str]) -> dict[str, Any]:
    """Return everything the manifest needs, from validation films."""
    if "signs" in heads:
        scale(given)
    operating = {**sides(given), **scope(given)}
    settle(given.folder, {"operating": operating})
    made, seen, calm = given.simulated(), given.observed(), given.calm()
    if "masks" in heads:  # nothing below looks at masks
        levels(given, made, seen.take([row for rows in calm for row in rows]))
    plain = given.plain()
    found: dict[str, Any] = {
        "operating": operating,
        "cardiothoracic": heart_error(given.exams, made),
        "thresholds": {},
    }
    truth = np.stack([exam.observations for exam in given.exams])
    for place, name in enumerate(OBSERVATIONS):
        known = truth[:, place] != OPEN
        found["thresholds"][name.value] = limits.of_finding(
            made.findings[known, place], truth[known, place] == PRESENT, plain[known],
            [limits.RealScores(seen.findings[quiet, place], seen.findings[told, place])
             for quiet, told in zip(calm, given.labelled(place), strict=True)],
        )  # fmt: skip
    if "signs" in heads:
        found["sign_thresholds"] = _sign_limits(given, made, [seen.signs[rows] for rows in calm])
    if "quality" in heads:
        truth = np.stack([exam.quality for exam in given.exams])
        found["quality_thresholds"] = {
            name.value: limits.of_quality(made.quality[:, place], truth[:, place])
            for place, name in enumerate(QUALITIES)
        }
    return found


def _sign_limits(given: Tuning, made: Looked, calm: "list[Numbers]") -> dict[str, list[float]]:
    truth, chances = np.stack([e.signs for e in given.exams]), sigmoid(made.signs)
    plain, found = given.plain(), {}
    for place, sign in enumerate(SIGNS):
        known = truth[:, place] != OPEN
        # Calm films of patients in bed may well show a tube, so that this errs towards silence.
        quiet = sigmoid(np.concatenate([rows[:, place] for rows in calm]))
        found[sign.value] = limits.of_sign(
            chances[known, place], truth[known, place] == PRESENT, plain[known], quiet
        )
    return found


def _overlap(given: Tuning, seen: Looked) -> float:
    truth = np.stack([exam.boxes for exam in given.exams])
    visible = np.stack([exam.visible for exam in given.exams])
    return float(measures.overlaps(seen.boxes, truth)[visible].mean())


def sensitivity(given: Tuning) -> str:
    """Say what share of simulated findings drafts call present, and possible, in words."""
    told = np.stack([exam.observations for exam in given.exams])
    said = served.states(given.eye(), [exam.film for exam in given.exams])
    parts = []
    for place, name in enumerate(OBSERVATIONS):
        own = said[told[:, place] == PRESENT, place]
        present, possible = (
            float((own == served.PRESENT).mean()),
            float((own == served.POSSIBLE).mean()),
        )
        parts.append(f"{name.value} {present:.0%} and {possible:.0%}")
    return ", ".join(parts)


def main() -> None:
    """Choose and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("bundle", "bases", "real"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--films", type=int, default=FILMS)
    chosen = parser.parse_args()
    small = chosen.bases / "small"
    train = real.load(chosen.real, "train", small)
    examiner = Examiner(cache.load(chosen.bases, "valid"), real.tones(train))
    exams = examiner.exams(examiner.orders(chosen.films, seed=SEED), seed=SEED)
    given = Tuning(chosen.bundle, exams, real.load(chosen.real, "valid", small))
    found = {**settings(given, load(chosen.bundle).heads), "version": chosen.version}
    settle(chosen.bundle, found)
    words = sensitivity(given)  # of drafts, so that everything they follow must be settled
    found["limits"] = [line.format(films=len(train), sensitivity=words) for line in SENTENCES]
    settle(chosen.bundle, found)
    print(json.dumps(found, indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
