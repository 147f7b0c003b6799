"""Row 4: four controls that ask whether a finding was seen, or only the trace of inserting it.

Each is a question about the same network on films made for it. What the controls cannot see: the
body of a film may go with a finding (a lobe that collapses in a chest whose mediastinum was
shifted), and tissue that is really gone changes texture too.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage, optimize

from models.anatomy.heads import MASK_SIDE, MASKS, SIGNS
from models.anatomy.network import INPUT_SIDE
from models.evaluation.examiner import FLAT, Examiner
from models.evaluation.exams import ABSENT, PRESENT, SIGN_PLANES, Exam, Order
from models.evaluation.looking import look
from models.evaluation.rows import Findings, Reach, Row, mean, rounded
from models.training import measures
from models.vocabulary import Sign

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.evaluation.looking import ListeningEye
    from models.training.measures import Numbers

GROUP = "controls, simulated"
INSERTED = (Sign.PLEURAL_EFFUSION, Sign.PNEUMOTHORAX, Sign.CONSOLIDATION, Sign.ATELECTASIS,
            Sign.MASS, Sign.NODULE, Sign.PULMONARY_EDEMA)  # fmt: skip
UNMASKED = (Sign.INTERSTITIAL_PATTERN, Sign.SUBDIAPHRAGMATIC_AIR, Sign.RIB_FRACTURE,
            Sign.CLAVICLE_FRACTURE)  # fmt: skip
DENSE = (Sign.PLEURAL_EFFUSION, Sign.CONSOLIDATION, Sign.MASS)
FEWEST = 8
MARGIN = 5  # px of the mask grid around a finding that are painted over as well
BLOCK, SIGMA, RIDGE = 16, 1.5, 3.0  # of the high-pass classifier
SEEDS = {"null": 31, "painted": 32, "flat": 33, "high": 34}


@dataclass(frozen=True, slots=True, eq=False)
class Arms:
    """Films with and without one sign: scores and the bases they were made of."""

    labels: "Numbers"
    scores: "Numbers"

    @property
    def auroc(self) -> float:
        """NaN with too few of either kind."""
        yes = self.labels > 0.5  # noqa: PLR2004
        if min(yes.sum(), (~yes).sum()) < FEWEST:
            return float("nan")
        return measures.auroc(self.labels, self.scores)


@dataclass(frozen=True, slots=True, eq=False)
class Laboratory:
    """The eye, where films come from, and how many of them each control may use."""

    eye: "ListeningEye"
    examiner: Examiner
    films: int

    def run(self) -> Findings:
        """Return all four controls."""
        found = Findings()
        for control in (self.null, self.painted, self.second_method, self.high_pass):
            found.join(control())
        return found

    def null(self) -> Findings:
        """Insert findings at no contrast: the sign must not be told from films without it."""
        orders = [replace(o, contrast=0.0, mirrored=False) for o in self._orders("null", 2)]
        exams = self.examiner.exams(orders)
        signs = look(self.eye, [exam.film for exam in exams]).signs
        found = _summed(
            "null insertion: mean AUROC of seven signs",
            {sign: _arms(exams, signs, sign).auroc for sign in INSERTED},
            Reach(0.45, 0.55), len(exams),
            "inserting adds its change to the path integrals, so no contrast is no change at all; "
            "what remains is how far the body goes with the finding, and chance",
        )  # fmt: skip
        found.join(_summed(
            "null insertion, within one body: mean AUROC of seven signs",
            {sign: within(exams, signs, sign) for sign in INSERTED}, None, len(exams),
            "films with and without compared only where both show the same patient in the same "
            "pose: what the body tells is left out",
        ))  # fmt: skip
        return found

    def painted(self) -> Findings:
        """Paint over all findings, and over the same places on the same film without them."""
        pairs: list[tuple[Exam, Exam]] = []
        for order in self._orders("painted"):
            shown = self.examiner.exam(replace(order, mirrored=False))
            if order.scene and shown.complete and _all_have_masks(shown):
                pairs.append((shown, self.examiner.exam(replace(order, scene=0, mirrored=False))))
        if not pairs:
            return Findings([Row(GROUP, "findings painted over", None, note="no such film")])
        planes = [_planes(shown) for shown, _ in pairs]
        films = [paint(one.film, plane) for (one, _), plane in zip(pairs, planes, strict=True)]
        films += [paint(one.film, plane) for (_, one), plane in zip(pairs, planes, strict=True)]
        logits = look(self.eye, films).signs
        each = {}
        for sign in INSERTED:
            place = SIGNS.index(sign)
            rows = np.flatnonzero([shown.signs[place] == PRESENT for shown, _ in pairs])
            each[sign] = _against(logits[rows, place], logits[rows + len(pairs), place])
        return _summed(
            "findings painted over: mean AUROC", each, Reach(most=0.60), len(pairs),
            "against the very same films without findings, painted at the same places; the mask of "
            "a finding ends where it is faint, its haze may go on",
        )  # fmt: skip

    def second_method(self) -> Findings:
        """Insert findings flat, by code no stage that teaches signs used: how much is lost."""
        orders = [replace(o, scene=0, mirrored=False) for o in self._orders("flat")]
        calm = self.examiner.exams(orders)
        without = look(self.eye, [exam.film for exam in calm]).signs
        busy = self.examiner.exams([o for o in self._orders("flat") if o.scene])
        solid = look(self.eye, [exam.film for exam in busy]).signs
        drops, words = {}, {}
        for sign in FLAT:
            place = SIGNS.index(sign)
            made = self.examiner.exams([replace(o, flat=sign) for o in orders])
            flat = look(self.eye, [e.film for e in made]).signs[:, place]
            shown = np.asarray([e.signs[place] == PRESENT for e in made])
            deep = np.asarray([e.signs[place] == PRESENT for e in busy], bool)
            first = _against(solid[deep, place], without[:, place])
            second = _against(flat[shown], without[:, place])
            drops[sign] = first - second
            words[sign.value] = {"three_dimensional": rounded(first), "flat": rounded(second)}
        known = {sign: drop for sign, drop in drops.items() if np.isfinite(drop)}
        if not known:
            return Findings([Row(GROUP, "second insertion method", None, note="too few films")])
        worst = max(known, key=lambda sign: known[sign])
        note = ", ".join(f"{sign.value} {drop:+.3f}" for sign, drop in known.items())
        note += "; the first stage of the shipped network, boxes and masks, learnt from flat ones"
        row = Row(GROUP, "second insertion method: largest loss of AUROC", known[worst],
                  Reach(most=0.07), None, f"{len(orders)} films a sign", note=note)  # fmt: skip
        return Findings([row], {"second_method": words})

    def high_pass(self) -> Findings:
        """Let a small classifier see nothing but fine grain: seams would give findings away."""
        drawn = self._orders("high", 3)  # they cost no look
        orders = [replace(order, mirrored=False) for order in drawn]
        exams = self.examiner.exams(orders)
        grain = np.stack([energies(exam.film) for exam in exams])
        half = np.asarray([exam.order.base % 2 == 0 for exam in exams])
        each = {}
        for sign in DENSE:
            truth = np.asarray([exam.signs[SIGNS.index(sign)] for exam in exams])
            labels, known = truth == PRESENT, truth >= 0
            fit, test = half & known, ~half & known
            if min(labels[fit].sum(), labels[test].sum()) < FEWEST:
                continue
            weights = ridge(grain[fit], labels[fit])
            each[sign] = measures.auroc(labels[test], grain[test] @ weights[:-1] + weights[-1])
        return _summed(
            "high-pass classifier: mean AUROC", each, Reach(most=0.60), len(exams),
            "logistic regression on the grain of 196 blocks, other bases for fit and test; air "
            "replaced by fluid truly has less texture, so this is not only seams",
        )  # fmt: skip

    def _orders(self, control: str, times: int = 1) -> "list[Order]":
        return self.examiner.orders(times * self.films, seed=SEEDS[control])


def paint(film: "Numbers", mask: "Numbers") -> "Numbers":
    """Cover a mask ``(160, 160)``, widened, with the mean grey of the film ``(320, 320)``."""
    wide = ndimage.binary_dilation(mask, iterations=MARGIN)
    patch = np.kron(wide, np.ones((INPUT_SIDE // MASK_SIDE,) * 2, bool))
    inside = film[film > 0]
    return np.where(patch & (film > 0), np.float32(inside.mean()), film)


def energies(film: "Numbers") -> "Numbers":
    """Log energy of the fine grain in blocks of 16 px, standardised within the film ``(196,)``."""
    fine = film - ndimage.gaussian_filter(film, SIGMA)
    blocks = fine.reshape(INPUT_SIDE // BLOCK, BLOCK, INPUT_SIDE // BLOCK, BLOCK)
    logs = np.log((blocks**2).mean(axis=(1, 3)).ravel() + 1e-6)
    return np.asarray((logs - logs.mean()) / max(float(logs.std()), 1e-6))


def ridge(given: "Numbers", labels: "Numbers") -> "Numbers":
    """Fit a logistic regression with a ridge; weights, then offset."""
    signs = np.where(labels, 1.0, -1.0)

    def cost(weights: "Numbers") -> "tuple[float, Numbers]":
        margin = signs * (given @ weights[:-1] + weights[-1])
        pull = -signs / (1 + np.exp(np.clip(margin, -30, 30)))
        slope = np.concatenate([given.T @ pull + RIDGE * weights[:-1], [pull.sum()]])
        size = RIDGE / 2 * float(weights[:-1] @ weights[:-1])
        return float(np.logaddexp(0, -margin).sum()) + size, slope

    start = np.zeros(given.shape[1] + 1)
    return np.asarray(optimize.minimize(cost, start, jac=True, method="L-BFGS-B").x)


def _planes(exam: Exam) -> "Numbers":
    """Return where any finding is."""
    return np.asarray(exam.masks[[MASKS.index(name) for name in {*SIGN_PLANES.values()}]].any(0))


def _all_have_masks(exam: Exam) -> bool:
    """Whether every finding that was inserted has a mask to be painted over."""
    return not any(exam.signs[SIGNS.index(sign)] == PRESENT for sign in UNMASKED)


def _arms(exams: "Sequence[Exam]", logits: "Numbers", sign: Sign) -> Arms:
    place = SIGNS.index(sign)
    truth = np.asarray([exam.signs[place] for exam in exams])
    known = truth >= 0
    return Arms((truth[known] == PRESENT).astype(float), logits[known, place])


def within(exams: "Sequence[Exam]", logits: "Numbers", sign: Sign) -> float:
    """Return the AUROC over pairs of films of one base; NaN with too few pairs."""
    place = SIGNS.index(sign)
    truth = np.asarray([exam.signs[place] for exam in exams])
    bases, scores = np.asarray([exam.order.base for exam in exams]), logits[:, place]
    yes, no = np.flatnonzero(truth == PRESENT), np.flatnonzero(truth == ABSENT)
    pairs = bases[yes][:, None] == bases[no]
    if pairs.sum() < FEWEST**2:
        return float("nan")
    ahead = np.sign(scores[yes][:, None] - scores[no]) / 2 + 0.5
    return float(ahead[pairs].mean())


def _against(yes: "Numbers", no: "Numbers") -> float:
    labels = np.concatenate([np.ones(len(yes)), np.zeros(len(no))])
    return Arms(labels, np.concatenate([yes, no])).auroc


def _summed(
    measure: str, each: "dict[Sign, float]", reach: Reach | None, films: int, note: str
) -> Findings:
    """Return one row with the mean over signs; the single ones go into the table."""
    known = {sign: value for sign, value in each.items() if np.isfinite(value)}
    name = measure.split(":", maxsplit=1)[0]
    table = {name: {sign.value: rounded(value) for sign, value in each.items()}}
    if not known:
        return Findings([Row(GROUP, measure, None, reach, note="too few films")], table)
    values = list(known.values())
    spread = f"single signs {min(values):.3f} to {max(values):.3f}; {note}"
    row = Row(GROUP, measure, mean(values), reach, None, f"{films} films", "0.5 by chance", spread)
    return Findings([row], table)
