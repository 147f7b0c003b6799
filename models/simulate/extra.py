"""More tubes and lines in a chest that is projected already: curves need no new projection.

A cached base holds a few scenes, so that each of its tubes would be learnt by heart; drawn anew
for each film (some 30 ms), every tube is another one.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.simulate import devices
from models.vocabulary import Sign

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from models.simulate.devices import Device
    from models.simulate.pose import Pose
    from models.simulate.projector import Detector, Projector

# How often a film that gets tubes shows each: the same in both views, which so give nothing away.
SHARES = {
    Sign.ENDOTRACHEAL_TUBE: 0.30,
    Sign.ENTERIC_TUBE: 0.32,
    Sign.CHEST_TUBE: 0.32,
    Sign.CENTRAL_VENOUS_LINE: 0.26,
    Sign.PACEMAKER: 0.08,
}


@dataclass(frozen=True, slots=True, eq=False)
class ExtraDevices:
    """Draws tubes and lines; ``stand`` gives the patient and pose of a cached base by its index."""

    stand: "Callable[[int], tuple[Projector, Pose]]"
    film: "Detector"

    def draw(self, rng: "np.random.Generator", index: int) -> "list[Device]":
        """Draw some devices into base ``index``; none at times."""
        projector, pose = self.stand(index)
        wanted = [sign for sign, share in SHARES.items() if rng.random() < share]
        return devices.draw(rng, projector, pose, self.film, wanted)
