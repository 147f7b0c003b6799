"""Makes the exams of one part out of its projections and scenes, by the simulator of training.

Everything is drawn from one seed, film by film; the *same* film can be made again with its
findings at another contrast, or with a flat finding instead, so that controls compare like with
like.
"""

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from models.anatomy.heads import SIGNS
from models.anatomy.network import INPUT_SIDE
from models.evaluation.exams import ABSENT, OPEN, PRESENT, SIGN_PLANES, Exam, Order
from models.simulate import film, flat_findings
from models.training.cache import LEFT_LUNG, PLANES, RIGHT_LUNG, Bases
from models.training.sample import SCOPE_IN
from models.training.samples import Simulator
from models.training.windows import PIXEL_MM
from models.vocabulary import Side, Sign

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.simulate.flat_findings import FlatFinding
    from models.training.measures import Numbers
    from models.training.sample import Sample

SEED = 20_261_122
BUSY_SHARE = 2 / 3  # of the exams have a scene with findings
FLAT: "dict[Sign, tuple[Callable[..., FlatFinding], float, float]]" = {
    Sign.PLEURAL_EFFUSION: (flat_findings.effusion, 25.0, 120.0),
    Sign.CONSOLIDATION: (flat_findings.opacity, 45.0, 120.0),
    Sign.MASS: (flat_findings.mass, 32.0, 70.0),
}
"""The second insertion method: maker, smallest and largest extent in mm."""


@dataclass(frozen=True, slots=True, eq=False)
class Examiner:
    """Makes exams of one part's bases.

    ``tones`` are of real training films; with ``held_out`` half of the films have the detector
    tone that is kept for tests (:data:`models.simulate.film.HELD_OUT_TONE`).
    """

    bases: Bases
    tones: film.Tones | None = None
    held_out: bool = False

    def orders(self, count: int, *, seed: int = SEED, mirrored: float = 0.15) -> list[Order]:
        """Draw ``count`` orders: bases in turn, a third of the films with the empty scene."""
        rng = np.random.default_rng(seed)
        scenes = self.bases.added.shape[1]
        found = []
        for number in range(count):
            busy = scenes > 1 and rng.random() < BUSY_SHARE
            scene = int(rng.integers(1, scenes)) if busy else 0
            base = number % len(self.bases)
            found.append(Order(number, base, scene, bool(rng.random() < mirrored)))
        return found

    def exams(self, orders: list[Order], *, seed: int = SEED) -> list[Exam]:
        """Make films; those on which the plate missed too much of the chest are left out."""
        made = [self.exam(order, seed=seed) for order in orders]
        return [exam for exam in made if exam.complete]

    def exam(self, order: Order, *, seed: int = SEED) -> Exam:
        """Make one film; all but the findings depends on seed and number alone."""
        scene = self._scene(order, np.random.default_rng((seed, order.number, 7)))
        rng = np.random.default_rng((seed, order.number))
        simulator = Simulator(scene, self.tones)
        if self.held_out and rng.random() < 0.5:  # noqa: PLR2004
            simulator.tone = film.HELD_OUT_TONE
        sample = simulator.scene(rng, 0, 0, mirror=1.0 if order.mirrored else 0.0)
        return _exam(order, sample, scene)

    def _scene(self, order: Order, rng: np.random.Generator) -> Bases:
        """Return the base with the one scene that the order wants, and nothing else."""
        base, scene = order.base, order.scene
        whole = slice(base, base + 1)
        per_scene = {"added", "planes", "signs", "sides", "sizes", "reach", "touches"}
        rows = {}
        for field in fields(Bases):
            array = getattr(self.bases, field.name)[whole]
            cut = array[:, scene : scene + 1] if field.name in per_scene else array
            rows[field.name] = np.array(cut)
        one = Bases(**rows)
        if order.flat is not None:
            one = _flat(one, order.flat, rng)
        return replace(one, added=one.added.astype(np.float32) * np.float32(order.contrast))


def _flat(one: Bases, sign: Sign, rng: np.random.Generator) -> Bases:
    """Insert a finding by the second method into an empty scene."""
    maps, bits = one.maps[0].astype(np.float32), one.fields[0]
    lungs = flat_findings.Lungs(
        maps[2], maps[3], (bits & RIGHT_LUNG) > 0, (bits & LEFT_LUNG) > 0, PIXEL_MM
    )
    make, smallest, largest = FLAT[sign]
    side = Side.RIGHT if rng.random() < 0.5 else Side.LEFT  # noqa: PLR2004
    made = make(rng, lungs, side, float(rng.uniform(smallest, largest)))
    place = SIGNS.index(sign)
    one.added[0, 0, 0] += made.added_mm.astype(one.added.dtype)
    one.planes[0, 0] |= made.mask.astype(np.uint8) << PLANES.index(SIGN_PLANES[sign])
    one.signs[0, 0, place] = PRESENT if made.mask.any() else OPEN
    one.sizes[0, 0, place] = made.size_mm
    one.reach[0, 0, place] = _outline(made.mask)
    return one


def _exam(order: Order, sample: "Sample", scene: Bases) -> Exam:
    """Put the truth of a sample into the exam's form."""
    low = sample.boxes[:, :2] - sample.boxes[:, 2:] / 2
    corners = INPUT_SIDE * np.concatenate([low, low + sample.boxes[:, 2:]], axis=1)
    states = [
        np.where(known > 0, np.where(truth > 0, PRESENT, ABSENT), OPEN)
        for truth, known in (
            (sample.signs, sample.signs_known), (sample.findings, sample.findings_known),
        )
    ]  # fmt: skip
    return Exam(
        order=order, film=sample.film, boxes=corners, visible=sample.present > 0,
        signs=states[0], observations=states[1], sizes=scene.sizes[0, 0].astype(np.float32),
        contrast=_contrasts(scene), attributes=sample.attributes > 0,
        masks=sample.masks > 0.5, region_masks=sample.region_masks > 0.5,  # noqa: PLR2004
        quality=sample.quality > 0, complete=sample.scope == SCOPE_IN,
    )  # fmt: skip


def _contrasts(scene: Bases) -> "Numbers":
    """Mean absolute change under the mask that belongs to each sign, mm of water; 0 without."""
    total = np.abs(scene.added[0, 0].astype(np.float32).sum(axis=0))
    found = np.zeros(len(SIGNS), np.float32)
    for sign, name in SIGN_PLANES.items():
        plane = (scene.planes[0, 0] >> PLANES.index(name)) & 1 > 0
        if scene.signs[0, 0, SIGNS.index(sign)] == PRESENT and plane.any():
            found[SIGNS.index(sign)] = float(total[plane].mean())
    return found


def _outline(mask: "Numbers") -> "Numbers":
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return np.full(4, np.nan, np.float32)
    return np.asarray((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1), np.float32)
