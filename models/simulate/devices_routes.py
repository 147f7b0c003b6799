"""The ways that tubes, lines and leads take: places of the CT they run through.

Numbers are voxels ``(z, y, x)`` of the CT as shipped: z to the head (2.5 mm), y to the front, x to
the patient's left (0.70 mm); they follow its labels of airways, oesophagus, veins, heart and lungs.
Above slice 132 the neck is an extension of the last slice.
"""

from typing import TYPE_CHECKING

import numpy as np

from models.simulate.devices_stroke import smooth
from models.simulate.where import SOURCE_SPACING_MM, from_voxels

if TYPE_CHECKING:
    from numpy.typing import NDArray

Points = tuple[tuple[float, float, float], ...]

MIRROR_X = 497.0  # right and left chest wall are this far apart in sum
TRACHEA: Points = (
    (172, 298, 236), (150, 297, 235), (124, 290, 234), (112, 277, 234), (102, 259, 228),
    (95, 249, 231), (89.5, 242, 234),
)  # fmt: skip
RIGHT_BRONCHUS: Points = ((87, 245, 217), (83, 240, 212), (78, 228, 206), (70, 212, 198))
LEFT_BRONCHUS: Points = ((87.5, 232, 252), (85, 224, 276), (82, 218, 290), (74, 204, 300))
OESOPHAGUS: Points = (
    (172, 278, 236), (150, 277, 234), (124, 270, 233), (113, 257, 242), (103, 241, 240),
    (93, 227, 250), (83, 210, 259), (73, 205, 259), (63, 216, 260), (53, 240, 267),
    (46, 255, 276),
)  # fmt: skip
STOMACH: Points = (
    (41, 280, 302), (33, 312, 325), (24, 335, 342), (15, 352, 335), (11, 358, 308), (14, 352, 270),
)  # fmt: skip
DUODENUM: Points = ((17, 340, 235), (12, 325, 205), (2, 315, 200), (-8, 310, 215))
SUPERIOR_CAVA: Points = (
    (98, 286, 210), (92, 276, 210), (84, 275, 211), (76, 281, 219), (69, 279, 226),
)  # fmt: skip
RIGHT_ATRIUM: Points = ((63, 282, 229), (57, 276, 234))
LOWER_CAVA: Points = ((50, 271, 240), (42, 266, 234), (35, 270, 231))
RIGHT_JUGULAR: Points = (
    (150, 288, 188), (136, 289, 192), (125, 291, 196), (115, 297, 199), (106, 294, 209),
)  # fmt: skip
LEFT_JUGULAR: Points = (
    (150, 286, 282), (136, 287, 281), (125, 291, 280), (117, 293, 277), (111, 300, 262),
    (107, 309, 243), (103, 303, 220),
)  # fmt: skip
RIGHT_SUBCLAVIAN: Points = (
    (107, 345, 118), (114, 326, 132), (119, 306, 158), (119, 299, 180), (115, 299, 196),
    (107, 295, 208),
)  # fmt: skip
LEFT_SUBCLAVIAN: Points = (
    (107, 345, 378), (114, 326, 362), (120, 306, 332), (121, 298, 303), (117, 294, 281),
    (111, 301, 262), (107, 309, 243), (103, 303, 220),
)  # fmt: skip
RIGHT_ARM: Points = (
    (70, 245, -12), (92, 248, 18), (108, 262, 70), (116, 280, 112), (120, 298, 150),
    (119, 299, 180), (115, 299, 196), (107, 295, 208),
)  # fmt: skip
LEFT_ARM: Points = (
    (70, 245, 509), (92, 248, 479), (108, 262, 427), (116, 280, 385), (121, 298, 345),
    (121, 298, 305), (117, 294, 281), (111, 301, 262), (107, 309, 243), (103, 303, 220),
)  # fmt: skip
UP_THE_RIGHT_NECK: Points = ((120, 294, 196), (130, 290, 193), (142, 288, 190))
UP_THE_LEFT_NECK: Points = ((122, 293, 281), (130, 288, 281), (142, 287, 282))
INTO_THE_LEFT: Points = ((106, 305, 225), (108, 309, 246), (113, 296, 268))  # from the right side
CHEST_UP: Points = (  # right side, from outside through the skin to the apex
    (50, 246, -2), (62, 236, 40), (67, 232, 60), (72, 226, 84), (80, 206, 97), (92, 190, 101),
    (103, 196, 114), (111, 214, 138), (115, 228, 166),
)  # fmt: skip
CHEST_UP_FRONT: Points = (
    (66, 262, 4), (72, 262, 46), (75, 268, 66), (79, 290, 90), (87, 322, 106), (97, 330, 126),
    (107, 306, 146), (113, 272, 166),
)  # fmt: skip
CHEST_DOWN: Points = (
    (66, 250, 0), (68, 240, 40), (68, 232, 62), (66, 214, 84), (60, 182, 92), (53, 156, 112),
    (46, 146, 140), (43, 146, 172),
)  # fmt: skip
UNDER_THE_SKIN: Points = (
    (48, 248, 4), (60, 240, 38), (68, 238, 50), (78, 234, 60), (90, 228, 66), (101, 226, 74),
)  # fmt: skip
CAN_LEFT = (110.0, 348.0, 352.0)  # between skin and pectoral muscle
POCKET_TO_VEIN: Points = ((113, 345, 366), (118, 330, 358), (120, 306, 332))  # left
ATRIAL_TIP: Points = ((64, 284, 228), (59, 296, 228), (60, 312, 233), (66, 320, 238))
VENTRICLE_TIP: Points = (
    (63, 284, 229), (57, 296, 238), (53, 312, 260), (51, 324, 286), (51, 332, 308),
)  # fmt: skip
SINUS_TIP: Points = (
    (63, 280, 230), (61, 262, 248), (65, 243, 286), (68, 240, 322), (64, 256, 350), (60, 280, 366),
)  # fmt: skip
STERNUM: Points = ((112, 352, 240), (100, 366, 246), (88, 372, 253), (76, 377, 255), (64, 379, 259))


def join(*parts: Points) -> "NDArray[np.float64]":
    """Return the control points of several stretches in one row, ``(n, 3)``."""
    return np.asarray([point for part in parts for point in part], np.float64)


def other_side(points: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Mirror a way at the chest wall's middle (for what runs along the wall, not in vessels)."""
    return np.column_stack([points[:, 0], points[:, 1], MIRROR_X - points[:, 2]])


def shaken(
    rng: np.random.Generator, points: "NDArray[np.float64]", by_mm: float
) -> "NDArray[np.float64]":
    """Move control points a little, so that no two lines run alike; the tip stays where it is."""
    moved = points + rng.normal(0.0, by_mm, points.shape) / SOURCE_SPACING_MM
    moved[-1] = points[-1]
    return np.asarray(moved, np.float64)


def down_to(line: "NDArray[np.float64]", height_mm: float) -> "NDArray[np.float64]":
    """Cut a way that runs down so that it ends ``height_mm`` above the carina."""
    fine = smooth(line)
    return _sparse(fine[from_voxels(fine)[:, 0] > height_mm], 5)


def cut_at(
    line: "NDArray[np.float64]", share: float, rng: np.random.Generator
) -> "NDArray[np.float64]":
    """Leave off ``share`` of a way at its end, and a little more by chance."""
    fine = smooth(line)
    keep = int(len(fine) * (1.0 - share - float(rng.uniform(0, 0.04))))
    return _sparse(fine[:keep], len(line))


def _sparse(fine: "NDArray[np.float64]", count: int) -> "NDArray[np.float64]":
    """Return few control points of a fine curve, its ends among them: shaken, they stay smooth."""
    return np.asarray(fine[np.linspace(0, len(fine) - 1, count).round().astype(int)], np.float64)
