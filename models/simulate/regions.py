"""The 36 boxes of a projected phantom, by the written rules of docs/regions.md.

Works on the whole projection; boxes are ``(x_min, y_min, x_max, y_max)`` in pixels of that grid,
``(0, 0)`` the top-left corner of its first pixel, right and left the patient's.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from models.simulate.phantom import Landmark, Structure
from models.vocabulary import AnatomicStructure as A

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.simulate.projector import Shadow

    Box = tuple[float, float, float, float]

LUNG_MM = 22.0  # lung along the ray from which the eye calls it lung
SOLID_MM = 6.0
HEART_MM = 14.0
EDGE_MM = 12.0  # half width of a border strip
ANGLE_MM = 17.0  # half width of an angle's box
PAD_MM = 6.0  # above the summit of a dome
ZONE_SHARES = ((0.0, 0.16), (0.0, 1 / 3), (1 / 3, 2 / 3), (2 / 3, 1.0))  # of a lung's height
SMOOTH_COLUMNS, FEWEST_COLUMNS = 7, 4  # of the lung's lower edge, to find the dome's summit
CORNER_SLOPE = 0.7  # how many rows higher a corner may lie for each column further out


@dataclass(frozen=True, slots=True, eq=False)
class Fields:
    """Masks as a reader sees them, ``(rows, columns)`` bool, and the size of a pixel in mm."""

    right_lung: "NDArray[np.bool_]"
    left_lung: "NDArray[np.bool_]"
    heart: "NDArray[np.bool_]"
    body: "NDArray[np.bool_]"
    pixel_mm: float


def visible_fields(shadow: "Shadow", pixel_mm: float) -> Fields:
    """Lung and heart as drawn on films: not what lies hidden behind the dome of the diaphragm."""
    thick = shadow.structures
    water = shadow.soft
    abdomen = thick[Structure.ABDOMEN]
    lungs = []
    for name in (Structure.RIGHT_LUNG, Structure.LEFT_LUNG):
        lung = thick[name]
        # Behind the dome the ray crosses a thin recess and much liver; at the angle the reverse.
        seen = (lung > LUNG_MM) & (lung > 1.6 * abdomen)
        lungs.append(_largest(ndimage.binary_opening(seen, iterations=2)))
    beside_dome = abdomen < 0.45 * np.maximum(water, 1.0)
    heart = _largest(
        ndimage.binary_opening((thick[Structure.HEART] > HEART_MM) & beside_dome, iterations=4)
    )
    return Fields(lungs[0], lungs[1], heart, water > 25.0, pixel_mm)  # noqa: PLR2004 - mm of water


def cardiothoracic_ratio(fields: Fields) -> float:
    """Greatest width of the heart over the greatest width of the chest inside the ribs."""
    heart = np.flatnonzero(fields.heart.any(0))
    lungs = np.flatnonzero((fields.right_lung | fields.left_lung).any(0))
    if not len(heart) or not len(lungs):
        return float("nan")
    return float((heart[-1] - heart[0] + 1) / (lungs[-1] - lungs[0] + 1))


def boxes(shadow: "Shadow", fields: Fields) -> "dict[A, Box]":
    """Return the boxes that exist; a region whose rule finds nothing is left out."""
    found: dict[A, Box] = {}
    right, left, heart = (
        _box(mask) for mask in (fields.right_lung, fields.left_lung, fields.heart)
    )
    if right is None or left is None or heart is None:
        return found
    found[A.RIGHT_LUNG], found[A.LEFT_LUNG], found[A.CARDIAC_SILHOUETTE] = right, left, heart
    found |= _direct(shadow)
    found |= _lung_parts(fields)
    found |= heart_parts(heart, found, fields.pixel_mm)
    found |= _trunk(shadow, fields, found)
    return found


def _direct(shadow: "Shadow") -> "dict[A, Box]":
    """Regions that are the outline of a label."""
    thick, marks = shadow.structures, shadow.landmarks
    masks = {
        A.AORTIC_ARCH: thick[Structure.AORTIC_ARCH] > SOLID_MM,
        A.DESCENDING_AORTA: thick[Structure.DESCENDING_AORTA] > SOLID_MM,
        A.RIGHT_CLAVICLE: thick[Structure.RIGHT_CLAVICLE] > 2.0,  # noqa: PLR2004
        A.LEFT_CLAVICLE: thick[Structure.LEFT_CLAVICLE] > 2.0,  # noqa: PLR2004
        A.SUPERIOR_VENA_CAVA: thick[Structure.SUPERIOR_VENA_CAVA] > SOLID_MM,
        A.TRACHEA: thick[Structure.TRACHEA] > SOLID_MM,
        A.CARINA: marks[Landmark.CARINA] > 2.0,  # noqa: PLR2004
        A.CAVOATRIAL_JUNCTION: marks[Landmark.CAVOATRIAL_JUNCTION] > 2.0,  # noqa: PLR2004
        A.RIGHT_HILAR_STRUCTURES: marks[Landmark.RIGHT_HILUM] > SOLID_MM,
        A.LEFT_HILAR_STRUCTURES: marks[Landmark.LEFT_HILUM] > SOLID_MM,
        A.RIGHT_ATRIUM: marks[Landmark.RIGHT_ATRIUM] > HEART_MM,
    }
    drawn = {name: _box(_largest(mask)) for name, mask in masks.items()}
    return {name: box for name, box in drawn.items() if box is not None}


def _lung_parts(fields: Fields) -> "dict[A, Box]":
    """Zones by thirds of the lung's height, the dome, and the costophrenic angle."""
    names = (
        (fields.right_lung, -1, A.RIGHT_APICAL_ZONE, A.RIGHT_UPPER_LUNG_ZONE,
         A.RIGHT_MID_LUNG_ZONE, A.RIGHT_LOWER_LUNG_ZONE, A.RIGHT_HEMIDIAPHRAGM,
         A.RIGHT_COSTOPHRENIC_ANGLE),
        (fields.left_lung, 1, A.LEFT_APICAL_ZONE, A.LEFT_UPPER_LUNG_ZONE,
         A.LEFT_MID_LUNG_ZONE, A.LEFT_LOWER_LUNG_ZONE, A.LEFT_HEMIDIAPHRAGM,
         A.LEFT_COSTOPHRENIC_ANGLE),
    )  # fmt: skip
    found: dict[A, Box] = {}
    for mask, outward, apex, upper, mid, lower, dome, angle in names:
        rows = np.flatnonzero(mask.any(1))
        top, height = rows[0], rows[-1] + 1 - rows[0]
        for name, (start, stop) in zip((apex, upper, mid, lower), ZONE_SHARES, strict=True):
            band = np.zeros_like(mask)
            first, last = top + round(start * height), top + round(stop * height)
            band[first:last] = mask[first:last]
            box = _box(band)
            if box is not None:
                found[name] = box
        summit, corner = _floor(mask, fields.heart, outward)
        x_min, _, x_max, bottom = _box(mask) or (0.0, 0.0, 1.0, 1.0)
        pad = PAD_MM / fields.pixel_mm
        found[dome] = (x_min, summit - pad, x_max, max(bottom, summit + pad))
        half = ANGLE_MM / fields.pixel_mm
        found[angle] = (corner[0] - half, corner[1] - 1.4 * half, corner[0] + half,
                        corner[1] + 0.6 * half)  # fmt: skip
    return found


def _floor(
    mask: "NDArray[np.bool_]", heart: "NDArray[np.bool_]", outward: int
) -> "tuple[float, tuple[float, float]]":
    """Row of the dome's summit, and the outer lower corner ``(x, y)`` of a visible lung.

    Where the heart ends the lung, its edge is no dome; and on a flat floor the lowest point may lie
    anywhere, the corner only outside.
    """
    columns = np.flatnonzero(mask.any(0))
    bottom = mask.shape[0] - np.argmax(mask[::-1], axis=0)[columns]
    last = mask.shape[0] - 1
    free = ~(
        heart[np.minimum(bottom, last), columns] | heart[np.minimum(bottom + 2, last), columns]
    )
    fifth = len(columns) // 5
    inner = np.zeros(len(columns), bool)
    inner[fifth : len(columns) - max(fifth, 1)] = True
    dome = inner & free
    dome = dome if dome.sum() >= FEWEST_COLUMNS else inner
    edge = ndimage.median_filter(bottom, SMOOTH_COLUMNS, mode="nearest")
    summit = float(edge[dome].min()) if dome.any() else float(bottom.min())
    outer_half = columns > np.median(columns) if outward > 0 else columns < np.median(columns)
    corner = np.where(outer_half, bottom + CORNER_SLOPE * outward * columns, -np.inf)
    place = int(np.argmax(corner))
    return summit, (float(columns[place]) + 0.5, float(bottom[place]))


def heart_parts(heart: "Box", found: "dict[A, Box]", pixel_mm: float) -> "dict[A, Box]":
    """Borders as strips along the silhouette and the angles where it meets the diaphragm.

    ``found`` holds both hemidiaphragms; ``pixel_mm`` is the size of the boxes' unit, mm.
    """
    x_min, y_min, x_max, y_max = heart
    width, height, edge = x_max - x_min, y_max - y_min, EDGE_MM / pixel_mm
    parts: dict[A, Box] = {
        A.RIGHT_CARDIAC_BORDER: (x_min - edge, y_min + 0.25 * height, x_min + edge, y_max),
        A.LEFT_CARDIAC_BORDER: (x_max - 0.4 * width, y_min, x_max + edge / 2, y_max),
    }
    half = ANGLE_MM / pixel_mm
    for name, dome, x in (
        (A.RIGHT_CARDIOPHRENIC_ANGLE, A.RIGHT_HEMIDIAPHRAGM, x_min + 0.06 * width),
        (A.LEFT_CARDIOPHRENIC_ANGLE, A.LEFT_HEMIDIAPHRAGM, x_max - 0.10 * width),
    ):
        y = min(max(y_max, found[dome][1]), found[dome][3])
        parts[name] = (x - half, y - 1.2 * half, x + half, y + 0.8 * half)
    return parts


def _trunk(shadow: "Shadow", fields: Fields, found: "dict[A, Box]") -> "dict[A, Box]":
    """Mediastinum, spine and abdomen; what runs out of the film ends where the body ends."""
    thick = shadow.structures
    heart, right, left = (found[k] for k in (A.CARDIAC_SILHOUETTE, A.RIGHT_LUNG, A.LEFT_LUNG))
    body = _box(fields.body) or (0.0, 0.0, 1.0, 1.0)
    parts: dict[A, Box] = {}
    vertebrae = _box(thick[Structure.SPINE] > 26.0)  # noqa: PLR2004 - bodies, not their processes
    if vertebrae is not None:
        parts[A.SPINE] = (vertebrae[0], body[1], vertebrae[2], body[3])
    names = (Structure.AORTIC_ARCH, Structure.SUPERIOR_VENA_CAVA, Structure.GREAT_VESSELS)
    apex = min(right[1], left[1])
    vessels = np.asarray((thick[list(names)] > SOLID_MM).any(0))
    vessels[: max(int(apex), 0)] = False
    vessels[int(heart[1] + 0.1 * (heart[3] - heart[1])) :] = False
    upper = _box(_largest(vessels))
    if upper is not None:
        parts[A.UPPER_MEDIASTINUM] = (upper[0], apex, upper[2], max(heart[1], upper[3]))
        x_min, x_max = min(upper[0], heart[0]), max(upper[2], heart[2])
        parts[A.MEDIASTINUM] = (x_min, apex, x_max, heart[3])
    trunk = _box(fields.body & (np.arange(fields.body.shape[0]) > heart[3])[:, None])
    if trunk is not None and vertebrae is not None:
        middle = (vertebrae[0] + vertebrae[2]) / 2
        x_min = max(trunk[0], right[0] - 30.0 / fields.pixel_mm)
        x_max = min(trunk[2], left[2] + 30.0 / fields.pixel_mm)
        tops = found[A.RIGHT_HEMIDIAPHRAGM][1], found[A.LEFT_HEMIDIAPHRAGM][1]
        parts[A.ABDOMEN] = (x_min, min(tops), x_max, body[3])
        parts[A.RIGHT_UPPER_QUADRANT_OF_ABDOMEN] = (x_min, tops[0], middle, body[3])
        parts[A.LEFT_UPPER_QUADRANT_OF_ABDOMEN] = (middle, tops[1], x_max, body[3])
    return parts


def _box(mask: "NDArray[np.bool_] | None") -> "Box | None":
    """Return the upright box of a mask; None when it is empty."""
    if mask is None or not mask.any():
        return None
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _largest(mask: "NDArray[np.bool_]") -> "NDArray[np.bool_]":
    """Keep only the largest connected piece."""
    pieces, count = ndimage.label(mask)
    if count <= 1:
        return mask
    return np.asarray(pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:])))
