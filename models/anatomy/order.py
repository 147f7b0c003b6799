"""Where regions must lie relative to each other in any chest, and what to do when they do not.

Used by the eye, which exchanges what was evidently exchanged and names what it could not put
right, and by the evaluation. Coordinates are of the *reading frame*: the patient's right on the
left, head up, whatever the units.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from models.vocabulary import AnatomicStructure as Region

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

RIGHT, LEFT = "right ", "left "
# From the head down, by the middle of the box; each is checked against the next one.
ZONES: Final = tuple(
    tuple(Region(f"{side}{zone} zone") for zone in ("apical", "upper lung", "mid lung",
                                                    "lower lung"))
    for side in (RIGHT, LEFT)
)  # fmt: skip
ABOVE: Final = (
    (Region.RIGHT_CLAVICLE, Region.RIGHT_HILAR_STRUCTURES),
    (Region.LEFT_CLAVICLE, Region.LEFT_HILAR_STRUCTURES),
    (Region.TRACHEA, Region.CARINA),
    (Region.AORTIC_ARCH, Region.CARDIAC_SILHOUETTE),
    (Region.CARINA, Region.CARDIAC_SILHOUETTE),
    (Region.UPPER_MEDIASTINUM, Region.CARDIAC_SILHOUETTE),
    (Region.RIGHT_HILAR_STRUCTURES, Region.RIGHT_HEMIDIAPHRAGM),
    (Region.LEFT_HILAR_STRUCTURES, Region.LEFT_HEMIDIAPHRAGM),
    (Region.RIGHT_LUNG, Region.ABDOMEN),
    (Region.LEFT_LUNG, Region.ABDOMEN),
)


def other_side(name: str) -> str:
    """Return the name of the same thing on the other side; what has no partner keeps its name."""
    for own, other in ((RIGHT, LEFT), (LEFT, RIGHT)):
        if name.startswith(own):
            partner = other + name.removeprefix(own)
            return partner if partner in {*Region} else name
    return name


PAIRS: Final = tuple(
    (region, Region(other_side(region)))
    for region in Region
    if region.startswith(RIGHT) and other_side(region) != region
)
"""Right and left of the same thing: the right one lies on the patient's right of the left one."""


@dataclass(frozen=True, slots=True)
class Order:
    """What was out of order: ``exchanged`` pairs or zones were put right, ``broken`` ones not.

    Each entry names the regions, ``"right clavicle | left clavicle"``.
    """

    exchanged: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()


def broken(boxes: "NDArray[np.floating]", names: "Sequence[str]") -> tuple[str, ...]:
    """Name every pair that is out of order.

    ``boxes`` ``(n, 4)`` are centre and size in the reading frame, ``names`` their regions; a
    region that is not among them (or whose box is not finite) breaks nothing.
    """
    places = {name: boxes[row] for row, name in enumerate(names) if np.isfinite(boxes[row]).all()}
    across = [(a, b) for a, b in PAIRS if _both(places, a, b) and places[a][0] >= places[b][0]]
    down = [*ABOVE, *(pair for zones in ZONES for pair in pairwise(zones))]
    under = [(a, b) for a, b in down if _both(places, a, b) and places[a][1] >= places[b][1]]
    return tuple(f"{a} | {b}" for a, b in (*across, *under))


def lean(boxes: "NDArray[np.floating]", names: "Sequence[str]") -> float:
    """How far right and left lie as they should: mean over pairs of -1, 0 or 1.

    Positive when the patient's right is on the left of the picture; 0 without any pair.
    """
    rows = {name: row for row, name in enumerate(names)}
    known = [(rows[a], rows[b]) for a, b in PAIRS if a in rows and b in rows]
    signs = [float(np.sign(boxes[b, 0] - boxes[a, 0])) for a, b in known]
    return float(np.mean(signs)) if signs else 0.0


def settle(boxes: "NDArray[np.floating]", names: "Sequence[str]") -> "tuple[list[int], Order]":
    """Say which row each region takes its box from so that as little as possible is out of order.

    Only what looks like an exchange of names is undone: the two sides of a pair, or the zones of
    one lung. Everything else stays where it was seen, and is named.
    """
    rows = {name: row for row, name in enumerate(names)}
    taken = list(range(len(names)))
    exchanged: list[str] = []
    for a, b in PAIRS:
        if a in rows and b in rows and boxes[rows[a], 0] > boxes[rows[b], 0]:
            taken[rows[a]], taken[rows[b]] = rows[b], rows[a]
            exchanged.append(f"{a} | {b}")
    for zones in ZONES:
        own = [rows[zone] for zone in zones if zone in rows]
        now = [taken[row] for row in own]
        sorted_down = sorted(now, key=lambda row: float(boxes[row, 1]))
        if sorted_down != now:
            for row, source in zip(own, sorted_down, strict=True):
                taken[row] = source
            exchanged.append(" | ".join(zones))
    return taken, Order(tuple(exchanged), broken(boxes[taken], names))


def _both(places: "dict[str, NDArray[np.floating]]", first: str, second: str) -> bool:
    return first in places and second in places
