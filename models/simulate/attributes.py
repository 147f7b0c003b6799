"""What is true of a film that was taken: each sign's state, side, severity, box and regions."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.simulate import truth
from models.simulate.pose import Projection
from models.simulate.scenes import SMALLEST_PX, Scene
from models.vocabulary import AnatomicStructure, Presence, Quality, Side, Sign

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.simulate.regions import Box
    from models.simulate.studio import Taken

ENLARGED_FROM, NORMAL_UP_TO = 0.50, 0.46  # cardiothoracic ratio; between them nobody can say
ROTATED_DEGREES = 7.0
LOW_DOMES_MM = 14.0  # height of both domes above the CT's from which a breath was shallow
STATES = {truth.PRESENT: Presence.PRESENT, truth.ABSENT: Presence.ABSENT,
          truth.OPEN: Presence.UNCERTAIN}  # fmt: skip
SMALL, MODERATE, LARGE = "small", "moderate", "large"
# Sizes (as the findings' makers mean them) from which a finding is moderate, and large.
GRADES: dict[Sign, tuple[float, float]] = {
    Sign.PLEURAL_EFFUSION: (40.0, 85.0),
    Sign.PNEUMOTHORAX: (20.0, 40.0),
    Sign.CONSOLIDATION: (70.0, 100.0),
    Sign.ATELECTASIS: (35.0, 60.0),
    Sign.MASS: (45.0, 60.0),
    Sign.NODULE: (12.0, 20.0),
    Sign.INTERSTITIAL_PATTERN: (0.55, 0.8),
    Sign.PULMONARY_EDEMA: (0.55, 0.8),
    Sign.SUBDIAPHRAGMATIC_AIR: (10.0, 18.0),
    Sign.MEDIASTINAL_SHIFT: (20.0, 32.0),
    Sign.MEDIASTINAL_WIDENING: (45.0, 65.0),
    Sign.ELEVATED_HEMIDIAPHRAGM: (45.0, 60.0),
    Sign.ENLARGED_CARDIAC_SILHOUETTE: (0.55, 0.60),
}


@dataclass(frozen=True, slots=True, eq=False)
class SignTruth:
    """One sign on one film.

    ``sides`` holds none, one or both; ``size`` is in mm, except a share of strength for edema and
    interstitial patterns, a percentage for widening and the ratio for the heart; ``box`` and
    ``mask`` are None where the sign has no place of its own; ``regions`` are those it touches.
    """

    sign: Sign
    state: Presence
    sides: tuple[Side, ...]
    size: float
    box: "Box | None"
    mask: "NDArray[np.bool_] | None"
    regions: tuple[AnatomicStructure, ...]

    @property
    def severity(self) -> str | None:
        """Small, moderate or large; None for what has no size, such as a tube."""
        if self.state is not Presence.PRESENT or self.sign not in GRADES:
            return None
        moderate, large = GRADES[self.sign]
        return LARGE if self.size >= large else MODERATE if self.size >= moderate else SMALL


def signs(taken: "Taken") -> tuple[SignTruth, ...]:
    """Return the truth of all signs, in the order of the vocabulary; none for a lateral."""
    if taken.wish.projection in {Projection.LATERAL, Projection.OBLIQUE}:
        return ()
    boxes = np.full((len(AnatomicStructure), 4), np.nan, np.float32)
    for place, name in enumerate(AnatomicStructure):
        boxes[place] = taken.boxes.get(name, (np.nan,) * 4)
    whole = Scene([*taken.scene.found, *taken.devices], taken.scene.unsure)
    answers = truth.of_scene(whole, truth.of_the_body(taken.stance, boxes, taken.fields), boxes)
    return tuple(_one(taken, whole, answers, sign) for sign in Sign)


def quality(taken: "Taken") -> dict[Quality, bool]:
    """Say how a frontal film was taken."""
    if taken.wish.projection in {Projection.LATERAL, Projection.OBLIQUE}:
        return {}
    lungs = taken.fields.right_lung | taken.fields.left_lung
    edges = (lungs[:2].any(), lungs[-2:].any(), lungs[:, :2].any(), lungs[:, -2:].any())
    return {
        Quality.ROTATED: abs(taken.stance.yaw) >= ROTATED_DEGREES,
        Quality.LOW_INSPIRATION: min(taken.stance.domes_mm) >= LOW_DOMES_MM,
        Quality.CUT_OFF: any(bool(edge) for edge in edges),
    }


def _one(taken: "Taken", whole: Scene, answers: truth.Answers, sign: Sign) -> SignTruth:
    place = truth.SIGNS.index(sign)
    state = STATES[int(answers.signs[place])]
    size = float(answers.sizes[place])
    if sign is Sign.ENLARGED_CARDIAC_SILHOUETTE:
        state, size = _heart(taken, state)
    if state is not Presence.PRESENT:
        return SignTruth(sign, state, (), 0.0, None, None, ())
    bits = int(answers.sides[place])
    sides = tuple(side for side, bit in truth.BITS.items() if bits & bit)
    masks = [one.mask for one in whole.found
             if one.sign is sign and one.mask.sum() >= SMALLEST_PX]  # fmt: skip
    mask = np.any(masks, axis=0) if masks else None
    touched = tuple(name for name, hit in zip(truth.REGIONS, answers.touches[place], strict=True)
                    if hit)  # fmt: skip
    box: Box | None = None
    if mask is not None:
        x0, y0, x1, y1 = (float(v) for v in answers.reach[place])
        box = (x0, y0, x1, y1)
    elif sign is Sign.ENLARGED_CARDIAC_SILHOUETTE:
        touched = (AnatomicStructure.CARDIAC_SILHOUETTE,)
        box = taken.boxes.get(AnatomicStructure.CARDIAC_SILHOUETTE)
        sides = ()
    one_sided = sides if len(sides) == 1 or sign not in MIDLINE else ()
    return SignTruth(sign, state, one_sided, size, box, mask, touched)


MIDLINE = frozenset({Sign.MEDIASTINAL_WIDENING, Sign.ENDOTRACHEAL_TUBE, Sign.ENTERIC_TUBE})


def _heart(taken: "Taken", state: Presence) -> tuple[Presence, float]:
    """Judge the heart by its ratio, unless a white lung hides its border."""
    hidden = Sign.ENLARGED_CARDIAC_SILHOUETTE in taken.scene.unsure
    ratio = taken.cardiothoracic_ratio
    if hidden or np.isnan(ratio):
        return Presence.UNCERTAIN, 0.0
    if ratio >= ENLARGED_FROM:
        return Presence.PRESENT, ratio
    return (Presence.ABSENT if ratio <= NORMAL_UP_TO else state), ratio
