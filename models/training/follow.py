"""Regions that follow from others by the rules of docs/regions.md, put where those place them.

On real films lungs, domes and hearts are drawn or taught by people's boxes, other regions only by
an earlier network, which believed the lungs to be elsewhere. By definition a zone is a third of its
lung, a border lies along its heart: what follows is moved to where it belongs.
"""

from typing import TYPE_CHECKING, Final

import numpy as np

from models.anatomy.heads import REGIONS
from models.simulate.regions import ZONE_SHARES, heart_parts
from models.vocabulary import AnatomicStructure as A

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHEST_MM: Final = 265.0  # mean inner width of a simulated chest, to turn the rules' mm into shares
SIDES = (
    (A.RIGHT_LUNG, A.RIGHT_HEMIDIAPHRAGM, (A.RIGHT_APICAL_ZONE, A.RIGHT_UPPER_LUNG_ZONE,
     A.RIGHT_MID_LUNG_ZONE, A.RIGHT_LOWER_LUNG_ZONE)),
    (A.LEFT_LUNG, A.LEFT_HEMIDIAPHRAGM, (A.LEFT_APICAL_ZONE, A.LEFT_UPPER_LUNG_ZONE,
     A.LEFT_MID_LUNG_ZONE, A.LEFT_LOWER_LUNG_ZONE)),
)  # fmt: skip
FOLLOWED: Final = (A.RIGHT_LUNG, A.LEFT_LUNG, A.RIGHT_HEMIDIAPHRAGM, A.LEFT_HEMIDIAPHRAGM,
                   A.CARDIAC_SILHOUETTE)  # fmt: skip
OF_HEART: Final = (A.RIGHT_CARDIAC_BORDER, A.LEFT_CARDIAC_BORDER, A.RIGHT_CARDIOPHRENIC_ANGLE,
                   A.LEFT_CARDIOPHRENIC_ANGLE)  # fmt: skip
PLACE = {name: place for place, name in enumerate(REGIONS)}


def follow(boxes: "NDArray[np.float32]", aspect: float) -> "NDArray[np.float32]":
    """Return corners ``(36, 4)``, in 0..1 of a film's width and height, with what follows moved.

    Lungs, summits of the domes and heart stay. ``aspect`` is the film's width over its height.
    Zones keep their sides, cut to the lung; mediastinum and abdomen theirs, widened to the heart.
    """
    moved = boxes.astype(np.float32)  # a copy
    for lung, dome, zones in SIDES:
        _of_lung(moved, PLACE[lung], PLACE[dome], [PLACE[zone] for zone in zones])
    _of_heart(moved, aspect)
    tops = moved[[PLACE[A.RIGHT_HEMIDIAPHRAGM], PLACE[A.LEFT_HEMIDIAPHRAGM]], 1]
    moved[PLACE[A.RIGHT_UPPER_QUADRANT_OF_ABDOMEN], 1] = tops[0]
    moved[PLACE[A.LEFT_UPPER_QUADRANT_OF_ABDOMEN], 1] = tops[1]
    moved[PLACE[A.ABDOMEN], 1] = tops.min()
    return np.clip(moved, 0.0, 1.0)


def _of_lung(boxes: "NDArray[np.float32]", lung: int, dome: int, zones: list[int]) -> None:
    x0, y0, x1, y1 = boxes[lung]
    for zone, (first, last) in zip(zones, ZONE_SHARES, strict=True):
        boxes[zone, 1], boxes[zone, 3] = y0 + first * (y1 - y0), y0 + last * (y1 - y0)
        boxes[zone, 0], boxes[zone, 2] = np.clip(boxes[zone, [0, 2]], x0, x1)
    boxes[dome, 0], boxes[dome, 2], boxes[dome, 3] = x0, x1, max(y1, boxes[dome, 1])


def _of_heart(boxes: "NDArray[np.float32]", aspect: float) -> None:
    """Borders, cardiophrenic angles and mediastinum."""
    even = np.asarray((aspect, 1.0, aspect, 1.0))  # to shares of the height in both directions
    first = {name: tuple((boxes[PLACE[name]] * even).tolist()) for name in FOLLOWED}
    chest = max(first[A.LEFT_LUNG][2] - first[A.RIGHT_LUNG][0], 1e-6)
    for name, box in heart_parts(first[A.CARDIAC_SILHOUETTE], first, CHEST_MM / chest).items():
        boxes[PLACE[name]] = box / even
    x0, _, x1, y1 = boxes[PLACE[A.CARDIAC_SILHOUETTE]]
    apex = boxes[[PLACE[A.RIGHT_LUNG], PLACE[A.LEFT_LUNG]], 1].min()
    boxes[PLACE[A.UPPER_MEDIASTINUM], 1] = apex
    middle = boxes[PLACE[A.MEDIASTINUM]]
    middle[:] = min(middle[0], x0), apex, max(middle[2], x1), y1
