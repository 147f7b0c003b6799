"""Which side is which, when the network's picture of a film and its declared orientation differ.

Displays are almost always as declared. The network may believe that a film is mirrored and put the
right lung on the other side. Only when it is sure, the anatomy wins (a film really mirrored, or
situs inversus); otherwise the declared orientation names the sides. Either way the film is flagged:
its ``mirrored`` is at least one half, so that nobody writes a sentence with a side in silence.
"""

from typing import TYPE_CHECKING

from models.vocabulary import AnatomicStructure, MaskName

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

# 15 % of training films are mirrored, about 1 % in the world: log odds fall by 2.9 from one to the
# other, so this asks for odds of 4 : 1 in the world.
SURE_LOGIT = 4.3


def settle(
    outputs: "dict[str, NDArray[np.float32]]", regions: "Sequence[str]", masks: "Sequence[str]"
) -> "dict[str, NDArray[np.float32]]":
    """Give one film's raw outputs the right names of sides.

    ``boxes`` ``(36, 4)`` are centre and size on the canonical square, where the patient's right
    belongs on the left; ``mirrored`` ``(1,)`` is a logit.
    """
    right = regions.index(AnatomicStructure.RIGHT_LUNG)
    left = regions.index(AnatomicStructure.LEFT_LUNG)
    boxes = outputs["boxes"]
    if boxes[right, 0] < boxes[left, 0] or float(outputs["mirrored"][0]) >= SURE_LOGIT:
        return outputs
    order = [regions.index(other_side(name)) for name in regions]
    planes = [masks.index(other_side(name)) for name in masks]
    return {
        **outputs,
        "boxes": boxes[order],
        "presence": outputs["presence"][order],
        "masks": outputs["masks"][planes],
        "mirrored": outputs["mirrored"].clip(min=0.0),
    }


def other_side(name: str) -> str:
    """Return the name of the same thing on the other side; what has no side keeps its name."""
    for own, other in (("right ", "left "), ("left ", "right ")):
        if name.startswith(own):
            mirrored = other + name.removeprefix(own)
            return mirrored if mirrored in {*AnatomicStructure, *MaskName} else name
    return name
