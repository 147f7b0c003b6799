"""The masks of the 36 regions: what of a region's box belongs to it, on the projection's grid.

Boxes come from :mod:`models.simulate.regions`; a mask is always inside its box.
"""

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from models.simulate.phantom import Landmark, Structure
from models.simulate.regions import HEART_MM, SOLID_MM
from models.vocabulary import AnatomicStructure as A

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.simulate.projector import Shadow
    from models.simulate.regions import Box, Fields

    Mask = NDArray[np.bool_]

CLAVICLE_MM, MARK_MM, SPINE_MM = 2.0, 2.0, 26.0
DOME_MM = 8.0  # half height of the band that stands for a dome
RIGHT_OF_LUNG = (A.RIGHT_LUNG, A.RIGHT_APICAL_ZONE, A.RIGHT_UPPER_LUNG_ZONE, A.RIGHT_MID_LUNG_ZONE,
                 A.RIGHT_LOWER_LUNG_ZONE)  # fmt: skip
LEFT_OF_LUNG = (A.LEFT_LUNG, A.LEFT_APICAL_ZONE, A.LEFT_UPPER_LUNG_ZONE, A.LEFT_MID_LUNG_ZONE,
                A.LEFT_LOWER_LUNG_ZONE)  # fmt: skip
OF_HEART = (A.CARDIAC_SILHOUETTE, A.RIGHT_CARDIAC_BORDER, A.LEFT_CARDIAC_BORDER)
BELLY = (A.ABDOMEN, A.RIGHT_UPPER_QUADRANT_OF_ABDOMEN, A.LEFT_UPPER_QUADRANT_OF_ABDOMEN)
ANGLES = (A.RIGHT_COSTOPHRENIC_ANGLE, A.LEFT_COSTOPHRENIC_ANGLE, A.RIGHT_CARDIOPHRENIC_ANGLE,
          A.LEFT_CARDIOPHRENIC_ANGLE)  # fmt: skip
LABELS = {
    A.AORTIC_ARCH: (Structure.AORTIC_ARCH, SOLID_MM),
    A.DESCENDING_AORTA: (Structure.DESCENDING_AORTA, SOLID_MM),
    A.SUPERIOR_VENA_CAVA: (Structure.SUPERIOR_VENA_CAVA, SOLID_MM),
    A.TRACHEA: (Structure.TRACHEA, SOLID_MM),
    A.RIGHT_CLAVICLE: (Structure.RIGHT_CLAVICLE, CLAVICLE_MM),
    A.LEFT_CLAVICLE: (Structure.LEFT_CLAVICLE, CLAVICLE_MM),
    A.SPINE: (Structure.SPINE, SPINE_MM),
}
MARKS = {
    A.CARINA: (Landmark.CARINA, MARK_MM),
    A.CAVOATRIAL_JUNCTION: (Landmark.CAVOATRIAL_JUNCTION, MARK_MM),
    A.RIGHT_HILAR_STRUCTURES: (Landmark.RIGHT_HILUM, SOLID_MM),
    A.LEFT_HILAR_STRUCTURES: (Landmark.LEFT_HILUM, SOLID_MM),
    A.RIGHT_ATRIUM: (Landmark.RIGHT_ATRIUM, HEART_MM),
}
VESSELS = (Structure.AORTIC_ARCH, Structure.ASCENDING_AORTA, Structure.DESCENDING_AORTA,
           Structure.SUPERIOR_VENA_CAVA, Structure.GREAT_VESSELS, Structure.TRACHEA)  # fmt: skip


def masks(shadow: "Shadow", fields: "Fields", boxes: "dict[A, Box]") -> "dict[A, Mask]":
    """Return the mask of every region that has a box, ``(rows, columns)`` bool."""
    material = _material(shadow, fields)
    return {name: material[name] & _inside(box, fields.body.shape) for name, box in boxes.items()}


def _material(shadow: "Shadow", fields: "Fields") -> "dict[A, Mask]":
    """Return what each region is made of, not yet cut to its box."""
    thick, marks = shadow.structures, shadow.landmarks
    lungs = fields.right_lung | fields.left_lung
    middle = (thick[list(VESSELS)] > SOLID_MM).any(0) | fields.heart
    made: dict[A, Mask] = {
        **dict.fromkeys(RIGHT_OF_LUNG, fields.right_lung),
        **dict.fromkeys(LEFT_OF_LUNG, fields.left_lung),
        **dict.fromkeys(OF_HEART, fields.heart),
        **dict.fromkeys(BELLY, fields.body & ~lungs),
        **dict.fromkeys(ANGLES, fields.body),
        **dict.fromkeys((A.MEDIASTINUM, A.UPPER_MEDIASTINUM), ndimage.binary_fill_holes(middle)),
        **{name: thick[label] > least for name, (label, least) in LABELS.items()},
        **{name: marks[mark] > least for name, (mark, least) in MARKS.items()},
    }
    made[A.RIGHT_HEMIDIAPHRAGM] = _floor(fields.right_lung, fields.pixel_mm)
    made[A.LEFT_HEMIDIAPHRAGM] = _floor(fields.left_lung, fields.pixel_mm)
    return made


def _floor(lung: "Mask", pixel_mm: float) -> "Mask":
    """Return a band along the lower edge of a lung."""
    rows = np.arange(lung.shape[0])[:, None]
    lowest = lung.shape[0] - 1 - np.argmax(lung[::-1], axis=0)
    return np.asarray((np.abs(rows - lowest) <= DOME_MM / pixel_mm) & lung.any(0))


def _inside(box: "Box", shape: tuple[int, ...]) -> "Mask":
    """Return pixels whose centre lies in a box."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    x0, y0, x1, y1 = box
    return (x + 0.5 > x0) & (x + 0.5 < x1) & (y + 0.5 > y0) & (y + 0.5 < y1)
