"""A simulated film with its whole truth, as the exams of the eye report hold it."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from models.anatomy.heads import SIGNS
from models.anatomy.network import INPUT_SIDE
from models.vocabulary import MaskName, Sign

if TYPE_CHECKING:
    from models.training.measures import Numbers

PRESENT, ABSENT, OPEN = 1, 0, -1
SHIFT = SIGNS.index(Sign.MEDIASTINAL_SHIFT)
WHITE_MM = 240.0  # scenes record a white lung with this extent or more
SIGN_PLANES = {
    Sign.PLEURAL_EFFUSION: MaskName.PLEURAL_EFFUSION,
    Sign.PNEUMOTHORAX: MaskName.PNEUMOTHORAX,
    Sign.CONSOLIDATION: MaskName.LUNG_OPACITY,
    Sign.ATELECTASIS: MaskName.LUNG_OPACITY,
    Sign.PULMONARY_EDEMA: MaskName.LUNG_OPACITY,
    Sign.MASS: MaskName.MASS,
    Sign.NODULE: MaskName.MASS,
    Sign.ENDOTRACHEAL_TUBE: MaskName.DEVICE,
    Sign.ENTERIC_TUBE: MaskName.DEVICE,
    Sign.CHEST_TUBE: MaskName.DEVICE,
    Sign.CENTRAL_VENOUS_LINE: MaskName.DEVICE,
    Sign.PACEMAKER: MaskName.DEVICE,
}


@dataclass(frozen=True, slots=True)
class Order:
    """What film to make: of which base and scene, how strong its findings are.

    ``contrast`` scales what the scene's findings add; 0 runs the same code and changes nothing.
    ``flat`` asks for a finding by the second method instead of a scene.
    """

    number: int
    base: int
    scene: int
    mirrored: bool = False
    contrast: float = 1.0
    flat: Sign | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Exam:
    """One film ``(320, 320)`` in 0..1 with its truth.

    ``boxes`` (36, 4) corners in px of the square, ``visible`` (36,) bool; ``signs`` (20,) 1, 0, or
    -1 where nobody could tell, ``observations`` (4,) likewise; ``sizes`` (20,) mm as the finding's
    maker means them; ``contrast`` (20,) mean change in mm of water under the sign's mask;
    ``attributes`` (36, 20) bool; ``masks`` (8, 160, 160) bool; ``region_masks`` (36, 80, 80) bool;
    ``quality`` (3,) bool. Not ``complete`` is a film whose plate missed too much of the chest.
    """

    order: Order
    film: "Numbers"
    boxes: "Numbers"
    visible: "Numbers"
    signs: "Numbers"
    observations: "Numbers"
    sizes: "Numbers"
    contrast: "Numbers"
    attributes: "Numbers"
    masks: "Numbers"
    region_masks: "Numbers"
    quality: "Numbers"
    complete: bool

    @property
    def patient(self) -> str:
        """One base stands for one patient."""
        return str(self.order.base)

    @property
    def white(self) -> bool:
        """Whether a whole lung is white."""
        return bool(self.sizes.max() >= WHITE_MM)

    @property
    def shifted(self) -> bool:
        """Whether the mediastinum is evidently shifted."""
        return bool(self.signs[SHIFT] == PRESENT)


def mirror(exam: Exam) -> Exam:
    """Return the same film shown mirrored: everything moves with the pixels, names stay."""
    boxes = exam.boxes.copy()
    boxes[:, [0, 2]] = INPUT_SIDE - exam.boxes[:, [2, 0]]
    return replace(
        exam, order=replace(exam.order, mirrored=not exam.order.mirrored), boxes=boxes,
        film=np.ascontiguousarray(exam.film[:, ::-1]),
        masks=np.ascontiguousarray(exam.masks[:, :, ::-1]),
        region_masks=np.ascontiguousarray(exam.region_masks[:, :, ::-1]),
    )  # fmt: skip
