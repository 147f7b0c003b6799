"""Where the tips of devices lie, and what a maker of devices hands back."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from models.vocabulary import Side


class Tip(StrEnum):
    """Where the tip of a device lies."""

    TRACHEA = "trachea, 2 to 7 cm above the carina"
    HIGH_TRACHEA = "trachea, more than 7 cm above the carina"
    LOW_TRACHEA = "trachea, less than 2 cm above the carina"
    RIGHT_MAIN_BRONCHUS = "right main bronchus"
    LEFT_MAIN_BRONCHUS = "left main bronchus"
    STOMACH = "stomach"
    DUODENUM = "duodenum"
    OESOPHAGUS = "oesophagus"
    APEX_OF_PLEURA = "pleural space, apex"
    BASE_OF_PLEURA = "pleural space, base"
    CHEST_WALL = "soft tissue of the chest wall"
    SUPERIOR_CAVA = "superior vena cava"
    CAVOATRIAL = "cavoatrial junction"
    RIGHT_ATRIUM = "right atrium"
    RIGHT_VENTRICLE = "right ventricle"
    JUGULAR = "jugular vein"
    OTHER_BRACHIOCEPHALIC = "brachiocephalic vein of the other side"


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """What a maker did: ``tip_mm`` is from the carina, (z, y, x) of the CT."""

    kind: str
    side: "Side | None"
    outer_mm: float
    tip: Tip
    misplaced: bool
    tip_mm: "NDArray[np.float64]"
