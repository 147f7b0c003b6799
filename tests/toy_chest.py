"""A chest of ellipsoids with the maps that findings need: lungs, lobes, walls, domes, bones."""

import numpy as np

from models.simulate import atlas, phantom, regions
from models.simulate.phantom import SUBPHRENIC, Structure
from models.simulate.pose import Pose
from models.simulate.projector import Detector, Projector, Shadow
from models.simulate.tissue import Chest
from models.vocabulary import Side

SPACING = (8.0, 8.0, 8.0)
SHAPE = (50, 40, 56)  # z, y, x
DETECTOR = Detector(side=96, steps=48)
LUNGS = {
    Structure.RIGHT_LUNG: ((30, 20, 17), (13, 11, 8)),
    Structure.LEFT_LUNG: ((30, 20, 39), (13, 11, 8)),
}


def _ellipsoid(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
    grid = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    reach = sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radii, strict=True))
    return np.asarray(reach < 1)


def build() -> tuple[Projector, atlas.Atlas]:
    """A trunk with two lungs on two domes, a heart between and a rib on each side."""
    soft = np.where(_ellipsoid((25, 20, 28), (40, 16, 24)), 1.0, 0.0).astype(np.float32)
    codes = np.zeros(SHAPE, np.uint8)
    for code, (centre, radii) in LUNGS.items():
        inside = _ellipsoid(centre, radii)
        codes[inside], soft[inside] = code, 0.25
    codes[_ellipsoid((26, 24, 32), (7, 6, 8))] = Structure.HEART
    soft[codes == Structure.HEART] = 1.05
    for column in (17, 39):
        dome = _ellipsoid((10, 20, column), (11, 14, 10))
        codes[dome], soft[dome] = Structure.ABDOMEN, 1.0
    codes = codes + SUBPHRENIC * phantom._below_domes(codes, SPACING[0])
    bone = np.zeros(SHAPE, np.float32)
    z, _, x = (np.broadcast_to(a, SHAPE) for a in np.ogrid[:50, :40, :56])
    lobes = np.zeros(SHAPE, np.uint8)
    right, left = codes == Structure.RIGHT_LUNG, codes == Structure.LEFT_LUNG
    lobes[right] = np.where(z > 34, 1, np.where(z > 28, 2, 3))[right]
    lobes[left] = np.where(z > 31, 4, 5)[left]
    ribs: dict[tuple[Side, int], np.ndarray] = {}
    clavicles: dict[Side, np.ndarray] = {}
    for side, column in ((Side.RIGHT, 8), (Side.LEFT, 48)):
        bar = (abs(z - 30) < 2) & (abs(x - column) < 5) & _ellipsoid((30, 33, column), (9, 3, 9))
        bone[bar] = 0.6
        points = (np.argwhere(bar) * SPACING).astype(np.float32)
        ribs |= {(side, number): points for number in range(1, 13)}
        clavicles[side] = points
    made = phantom.Phantom(
        soft, bone, codes.astype(np.uint8), SPACING, (272.0, 160.0, 224.0), (208.0, 192.0, 256.0)
    )
    floor = phantom.lowest_lung(codes).astype(np.float32) * SPACING[0]
    wall = atlas._wall(lobes[:, :: atlas.EVERY, :: atlas.EVERY] > 0, SPACING)
    hila = {
        Side.RIGHT: np.asarray((240.0, 160.0, 190.0), np.float32),
        Side.LEFT: np.asarray((240.0, 160.0, 260.0), np.float32),
    }
    return Projector(made), atlas.Atlas(lobes, wall, floor, hila, ribs, clavicles)


def chest(toy: tuple[Projector, atlas.Atlas], pose: Pose) -> tuple[Chest, Shadow, regions.Fields]:
    """The changeable tissue of the toy in a pose, with its shadow and fields."""
    projector, maps = toy
    rays = projector.rays(pose, DETECTOR)
    shadow = rays.shadow()
    fields = regions.visible_fields(shadow, DETECTOR.pixel_mm)
    made = Chest(rays, projector, maps)
    made.look(fields, shadow.structures[Structure.ABDOMEN])
    return made, shadow, fields
