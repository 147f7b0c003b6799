"""The CT made fit to be an ordinary chest: contrast, the patient's own mass and the table removed.

What is wrong with the raw CT and why each step is needed is written in docs/models/anatomy-mini.md.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.simulate.source import SourceCt

MASS_CENTRE = (90, 143, 317)  # (z, y, x) voxel of the patient's own mass, left lower lobe
MASS_RADIUS_MM = 17.0
CARINA = (89.5, 242.0, 236.0)  # (z, y, x) voxels, where the label of the airways divides
CAVOATRIAL = (69.0, 279.0, 226.0)  # lower end of the label of the superior vena cava
HILUM_RIGHT = (80.0, 240.0, 197.0)
HILUM_LEFT = (84.0, 226.0, 290.0)
ARCH_FROM_Z = 93  # the aorta at and above this slice is the arch
BLOOD_HU = 60  # nothing soft is denser than unopacified blood and muscle
TOP_SLICES = 36  # rebuilt above the scan, where the shoulders fall away to the neck
BOTTOM_SLICES = 30
SIDE_VOXELS = 64
SUBPHRENIC = 128  # bit of a code: belly within SUBPHRENIC_MM below the lung, where free air gathers
SUBPHRENIC_MM = 45.0
DOME_MM = 15.0  # an organ this close below the lung makes its floor a dome


class Structure(IntEnum):
    """What a voxel belongs to: one number per voxel."""

    OTHER = 0
    RIGHT_LUNG = 1
    LEFT_LUNG = 2
    HEART = 3
    AORTIC_ARCH = 4
    DESCENDING_AORTA = 5
    ASCENDING_AORTA = 6
    TRACHEA = 7
    RIGHT_CLAVICLE = 8
    LEFT_CLAVICLE = 9
    SPINE = 10
    SUPERIOR_VENA_CAVA = 11
    GREAT_VESSELS = 12
    ABDOMEN = 13
    OTHER_BONE = 14


class Landmark(IntEnum):
    """Small regions which the labels do not hold, marked beside the structures."""

    NONE = 0
    CARINA = 1
    CAVOATRIAL_JUNCTION = 2
    RIGHT_HILUM = 3
    LEFT_HILUM = 4
    RIGHT_ATRIUM = 5


# TotalSegmentator numbers -> structure. Spine = vertebrae; great vessels = arch branches and veins.
LABELS: dict[Structure, tuple[int, ...]] = {
    Structure.RIGHT_LUNG: (12, 13, 14),
    Structure.LEFT_LUNG: (10, 11),
    Structure.HEART: (51,),
    Structure.TRACHEA: (16,),
    Structure.RIGHT_CLAVICLE: (74,),
    Structure.LEFT_CLAVICLE: (73,),
    Structure.SPINE: tuple(range(25, 51)),
    Structure.SUPERIOR_VENA_CAVA: (62,),
    Structure.GREAT_VESSELS: (54, 55, 56, 57, 58, 59, 60, 61),
    Structure.ABDOMEN: (1, 2, 3, 4, 5, 6, 7, 8, 9, 18, 19, 20, 23, 24, 64),
    Structure.OTHER_BONE: (69, 70, 71, 72, 91, *range(92, 119)),
}
BONES = (Structure.RIGHT_CLAVICLE, Structure.LEFT_CLAVICLE, Structure.SPINE, Structure.OTHER_BONE)


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """An ordinary chest, ``(z, y, x)``; relative attenuation 1.0 = water.

    ``soft`` holds everything with bone capped, ``bone`` what bone adds. ``codes`` packs
    ``structure + 16 * landmark``, and the bit SUBPHRENIC. ``spacing_mm`` is per axis;
    ``carina_mm`` locates the carina from the centre of the first voxel.
    """

    soft: "NDArray[np.float32]"
    bone: "NDArray[np.float32]"
    codes: "NDArray[np.uint8]"
    spacing_mm: tuple[float, float, float]
    carina_mm: tuple[float, float, float]
    heart_mm: tuple[float, float, float]


def structures(source: "SourceCt") -> "NDArray[np.uint8]":
    """Regroup the labels; the aorta is divided into arch, ascending and descending part."""
    table = np.zeros(256, np.uint8)
    for structure, numbers in LABELS.items():
        table[list(numbers)] = structure
    codes = table[source.labels]
    aorta = source.labels == 52  # noqa: PLR2004 - TotalSegmentator's number
    z, y, _ = np.ogrid[: codes.shape[0], : codes.shape[1], : codes.shape[2]]
    codes[aorta & (z >= ARCH_FROM_Z)] = Structure.AORTIC_ARCH
    codes[aorta & (z < ARCH_FROM_Z) & (y < 250)] = Structure.DESCENDING_AORTA  # noqa: PLR2004
    codes[aorta & (z < ARCH_FROM_Z) & (y >= 250)] = Structure.ASCENDING_AORTA  # noqa: PLR2004
    return codes


def body_mask(hu: "NDArray[np.int16]") -> "NDArray[np.bool_]":
    """Everything inside the skin: per slice the largest piece, holes filled (drops the table)."""
    mask = np.zeros(hu.shape, bool)
    for index, layer in enumerate(hu):
        opened = ndimage.binary_opening(layer > -400, iterations=2)  # noqa: PLR2004
        pieces, count = ndimage.label(opened)
        if count:
            sizes = np.bincount(pieces.ravel())[1:]
            mask[index] = ndimage.binary_fill_holes(pieces == 1 + int(np.argmax(sizes)))
    return mask


def ordinary_hu(source: "SourceCt", codes: "NDArray[np.uint8]") -> "NDArray[np.float32]":
    """Hounsfield units without contrast medium, streaks, table and the patient's own mass."""
    body = body_mask(source.hu)
    hu = np.where(body, source.hu, -1000).astype(np.float32)
    bone = np.isin(codes, BONES)
    # Undiluted contrast medium beside the collar bone is denser than any bone of this patient.
    near_bone = ndimage.binary_dilation(bone, iterations=1) & (hu < 1300)  # noqa: PLR2004
    hu = np.where(near_bone, hu, np.minimum(hu, BLOOD_HU))
    for structure in (Structure.HEART, Structure.AORTIC_ARCH, Structure.ASCENDING_AORTA,
                      Structure.DESCENDING_AORTA, Structure.SUPERIOR_VENA_CAVA,
                      Structure.GREAT_VESSELS):  # fmt: skip
        inside = codes == structure
        hu[inside] = np.clip(hu[inside], 30, BLOOD_HU)
    lung = np.isin(codes, (Structure.RIGHT_LUNG, Structure.LEFT_LUNG))
    # Beam hardening beside the dense vein writes dark streaks into soft tissue; fat is the floor.
    z = np.arange(hu.shape[0])[:, None, None]
    airway = ndimage.binary_dilation(codes == Structure.TRACHEA, iterations=2)
    streak = body & ~ndimage.binary_dilation(lung, iterations=2) & ~airway & (hu < -120)  # noqa: PLR2004
    hu[streak & (z > 60)] = -80  # noqa: PLR2004 - below slice 60 dark is bowel gas, which is real
    return _without_mass(hu, source)


def _without_mass(hu: "NDArray[np.float32]", source: "SourceCt") -> "NDArray[np.float32]":
    """Fill the patient's own mass with lung texture taken from beside it."""
    grid = np.ogrid[: hu.shape[0], : hu.shape[1], : hu.shape[2]]
    steps = source.spacing_mm
    distance = sum(
        ((axis - centre) * step) ** 2
        for axis, centre, step in zip(grid, MASS_CENTRE, steps, strict=True)
    )
    inside = (distance < MASS_RADIUS_MM**2) & (source.labels == 11)  # noqa: PLR2004 - left lower lobe
    ring = (distance < (2.2 * MASS_RADIUS_MM) ** 2) & ~inside & (source.labels == 11)  # noqa: PLR2004
    texture = hu[ring & (hu < -600)]  # noqa: PLR2004 - parenchyma, no vessels
    filled = hu.copy()
    draw = np.random.default_rng(1).choice(texture, size=int(inside.sum()))
    # A mild blur gives drawn voxels the grain of the CT instead of salt and pepper.
    filled[inside] = draw
    soft = ndimage.gaussian_filter(filled, (0.4, 0.7, 0.7))
    return np.where(inside, soft, hu)


def landmarks(source: "SourceCt", codes: "NDArray[np.uint8]") -> "NDArray[np.uint8]":
    """Balls and ellipsoids at written places; the right atrium is the right third of the heart."""
    grid = np.ogrid[: codes.shape[0], : codes.shape[1], : codes.shape[2]]

    def ball(
        centre: tuple[float, float, float], radii_mm: tuple[float, float, float]
    ) -> "NDArray[np.bool_]":
        total = sum(
            ((axis - middle) * step / radius) ** 2
            for axis, middle, step, radius in zip(
                grid, centre, source.spacing_mm, radii_mm, strict=True
            )
        )
        return np.asarray(total < 1.0)

    marks = np.zeros(codes.shape, np.uint8)
    heart = codes == Structure.HEART
    columns = np.flatnonzero(heart.any((0, 1)))
    right = columns[0] + (columns[-1] - columns[0]) / 3
    marks[heart & (grid[2] < right)] = Landmark.RIGHT_ATRIUM
    vessel = source.hu > -200  # noqa: PLR2004 - anything denser than lung
    marks[ball(HILUM_RIGHT, (35, 38, 26)) & vessel & ~heart] = Landmark.RIGHT_HILUM
    marks[ball(HILUM_LEFT, (35, 38, 26)) & vessel & ~heart] = Landmark.LEFT_HILUM
    marks[ball(CARINA, (10, 10, 14))] = Landmark.CARINA
    marks[ball(CAVOATRIAL, (10, 12, 12))] = Landmark.CAVOATRIAL_JUNCTION
    return marks


def build(source: "SourceCt", *, every: int = 2, arms: bool = True) -> Phantom:
    """Prepare the CT and extend it; ``every`` keeps each n-th voxel in the slice plane.

    With ``arms`` they hang down, as on a frontal film; without, they are raised out of the beam.
    """
    codes = structures(source)
    hu = ordinary_hu(source, codes)
    below = SUBPHRENIC * _below_domes(codes, source.spacing_mm[0])
    packed = (codes + 16 * landmarks(source, codes) + below).astype(np.uint8)
    hu, packed = _extend(hu, packed, arms=arms)
    density = np.clip(1.0 + hu / 1000.0, 0.0, 3.0).astype(np.float32)
    bony = ndimage.binary_dilation(np.isin(packed % 16, BONES), iterations=1)
    excess = np.where(bony, np.clip(density - 1.08, 0.0, None), 0.0)
    step_z, step_y, step_x = source.spacing_mm
    soft = ndimage.uniform_filter(density - excess, (1, every, every))[:, ::every, ::every]
    bone = ndimage.uniform_filter(excess, (1, every, every))[:, ::every, ::every]
    spacing = (step_z, step_y * every, step_x * every)

    def place(voxel: tuple[float, float, float]) -> tuple[float, float, float]:
        return (
            (voxel[0] + BOTTOM_SLICES) * step_z,
            voxel[1] * step_y,
            (voxel[2] + SIDE_VOXELS) * step_x,
        )

    heart = ndimage.center_of_mass(codes == Structure.HEART)
    return Phantom(
        np.ascontiguousarray(soft, np.float32), np.ascontiguousarray(bone, np.float32),
        np.ascontiguousarray(packed[:, ::every, ::every]), spacing,
        place(CARINA), place((float(heart[0]), float(heart[1]), float(heart[2]))),
    )  # fmt: skip


def lowest_lung(codes: "NDArray[np.uint8]") -> "NDArray[np.int64]":
    """Index of the lowest slice with lung per column ``(y, x)``; the number of slices if none."""
    lung = np.isin(codes % 16, (Structure.RIGHT_LUNG, Structure.LEFT_LUNG))
    return np.where(lung.any(0), np.argmax(lung, axis=0), len(codes))


def _below_domes(codes: "NDArray[np.uint8]", step_mm: float) -> "NDArray[np.bool_]":
    """Belly right below the lung; bone, heart and vessels there stay what they are."""
    floor = lowest_lung(codes)[None]
    z = np.arange(len(codes))[:, None, None]
    near = (z < floor) & (z >= floor - SUBPHRENIC_MM / step_mm) & (floor < len(codes))
    organ = (codes == Structure.ABDOMEN) & (z >= floor - DOME_MM / step_mm)
    belly = (near & organ).any(0)  # elsewhere lung lies on heart, fat or the chest wall
    return np.asarray(near & belly & np.isin(codes, (Structure.OTHER, Structure.ABDOMEN)))


def _extend(
    hu: "NDArray[np.float32]", packed: "NDArray[np.uint8]", *, arms: bool
) -> "tuple[NDArray[np.float32], NDArray[np.uint8]]":
    """Add slices below and above and room at the sides; above, shoulders fall away to the neck."""
    side = ((0, 0), (0, 0), (SIDE_VOXELS, SIDE_VOXELS))
    hu = np.pad(hu, side, constant_values=-1000.0)
    packed = np.pad(packed, side)
    if arms:
        hu, packed = _round_shoulders(hu, packed)
    above = np.repeat(hu[-1:], TOP_SLICES, axis=0)
    marks = np.repeat(packed[-1:], TOP_SLICES, axis=0)
    centre = SIDE_VOXELS + 236
    x = np.abs(np.arange(hu.shape[2]) - centre)
    for index in range(TOP_SLICES):
        half = 75.0 + 165.0 * float(np.exp(-index / 8.0))  # voxels: neck 6 cm, shoulders 16 cm
        outside = x > half
        above[index][:, outside] = -1000.0
        marks[index][:, outside] = 0
        # Collar bones and shoulder blades do not continue into the neck.
        gone = np.isin(marks[index], [int(b) for b in BONES if b != Structure.SPINE])
        above[index][gone] = 40.0
        marks[index][gone] = 0
    hu = np.concatenate([np.repeat(hu[:1], BOTTOM_SLICES, axis=0), hu, above])
    packed = np.concatenate([np.repeat(packed[:1], BOTTOM_SLICES, axis=0), packed, marks])
    return hu, packed


def _round_shoulders(
    hu: "NDArray[np.float32]", packed: "NDArray[np.uint8]"
) -> "tuple[NDArray[np.float32], NDArray[np.uint8]]":
    """Continue the shoulders which the scan circle cut off: flesh, a humeral head and its shaft."""
    z, y, x = np.ogrid[: hu.shape[0], : hu.shape[1], : hu.shape[2]]
    below = np.clip(118 - z, 0, None) * 0.22  # the arm hangs away from the body, voxels
    for side in (-1, 1):
        axis = SIDE_VOXELS + 236 + side * (225 + below)
        across = ((x - axis) * 0.7) ** 2 + ((y - 235) * 0.7) ** 2
        roof = np.clip(z - 112, 0, None) * 2.5
        flesh = (across + roof**2 < 52.0**2) & (hu < -500)  # noqa: PLR2004
        hu = np.where(flesh, np.float32(20.0), hu)
        head = across + ((z - 114) * 2.5) ** 2 < 24.0**2
        shaft = (across < 12.0**2) & (z < 114)  # noqa: PLR2004
        bone = (head | shaft) & (hu > -500) & (packed % 16 == Structure.OTHER)  # noqa: PLR2004
        hu = np.where(bone, np.float32(420.0), hu)
        packed = np.where(bone, np.uint8(Structure.OTHER_BONE), packed)
    return hu, packed
