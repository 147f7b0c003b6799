"""From a wish to findings: which maker draws each kind, how large, in which order."""

from dataclasses import replace
from typing import TYPE_CHECKING

from models.simulate import air, collapse, fluid, scenes, solid
from models.simulate.scenes import Scene
from models.simulate.wishes import Kind
from models.vocabulary import Side

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from models.simulate.findings import Inserted
    from models.simulate.pose import Pose
    from models.simulate.tissue import Chest
    from models.simulate.wishes import Wish

    Maker = Callable[[np.random.Generator, Chest, Wish], list[Inserted]]

SUPINE_EFFUSION_MM = (20.0, 85.0)
FREE_AIR_MM = (6.0, 26.0)
NODULE_MM, NODULES = (9.0, 28.0), (1, 1, 1, 2, 3, 5)


def posed(pose: "Pose", wish: "Wish") -> "Pose":
    """Give a pose what belongs to the body: shift, width of the mediastinum, a raised dome."""
    signed = -1.0 if wish.side is Side.RIGHT else 1.0
    if Kind.SHIFT in wish.kinds:
        pose = replace(pose, mediastinum_mm=signed * (15.0 + 30.0 * wish.strength))
    if Kind.WHITE_OUT in wish.kinds:  # drowned on the wished side: pushed away from it
        pose = replace(pose, mediastinum_mm=-signed * (12.0 + 25.0 * wish.strength))
    if Kind.WIDE_MEDIASTINUM in wish.kinds:
        pose = replace(pose, widening=1.35 + 0.45 * wish.strength)
    if Kind.RAISED_DOME in wish.kinds:
        lift = 42.0 + 26.0 * wish.strength
        low = min(pose.domes_mm)
        both = (low + lift, low) if wish.side is Side.RIGHT else (low, low + lift)
        pose = replace(pose, domes_mm=both)
    return pose


def insert(rng: "np.random.Generator", chest: "Chest", wish: "Wish") -> Scene:
    """Put what is wished into an untouched chest; what one finding hides becomes unsure."""
    chest.reset()
    scene = Scene()
    for kind in sorted(wish.kinds, key=ORDER.index):
        if kind in MAKERS:
            scene.found += MAKERS[kind](rng, chest, wish)
    for one in scene.found:
        scene.unsure |= set(scenes.HIDES.get(one.sign, ()))
    scene.unsure -= {one.sign for one in scene.found}
    return scene


def _size(wish: "Wish", least: float, most: float) -> float:
    return least + wish.strength * (most - least)


def _sided(name: str) -> "Maker":
    """Return the maker of a finding that has a side and a size."""
    make, least, most = scenes.SIDED[name]

    def made(rng: "np.random.Generator", chest: "Chest", wish: "Wish") -> "list[Inserted]":
        lying = name == "effusion" and chest.rays.pose.recline > fluid.SUPINE
        low, high = SUPINE_EFFUSION_MM if lying else (least, most)
        return [make(rng, chest, wish.side, _size(wish, low, high))]

    return made


def _nodules(rng: "np.random.Generator", chest: "Chest", wish: "Wish") -> "list[Inserted]":
    number = NODULES[int(rng.integers(len(NODULES)))]
    sides = [wish.side] + [
        Side.RIGHT if rng.random() < 0.5 else Side.LEFT  # noqa: PLR2004
        for _ in range(number - 1)
    ]
    return [solid.ball(rng, chest, side, _size(wish, *NODULE_MM)) for side in sides]


def _interstitial(rng: "np.random.Generator", chest: "Chest", wish: "Wish") -> "list[Inserted]":
    return [solid.interstitial(rng, chest, _size(wish, 0.35, 1.0))]


def _edema(rng: "np.random.Generator", chest: "Chest", wish: "Wish") -> "list[Inserted]":
    return [fluid.edema(rng, chest, _size(wish, 0.35, 1.0))]


def _free_air(rng: "np.random.Generator", chest: "Chest", wish: "Wish") -> "list[Inserted]":
    return [air.subdiaphragmatic(rng, chest, wish.side, _size(wish, *FREE_AIR_MM))]


def _white(rng: "np.random.Generator", chest: "Chest", wish: "Wish") -> "list[Inserted]":
    return [fluid.white(rng, chest, wish.side, pulled=False)]


def _pulling(rng: "np.random.Generator", chest: "Chest", wish: "Wish") -> "list[Inserted]":
    """Explain a shift: the lung there has lost volume."""
    return [collapse.lobe(rng, chest, wish.side, 30.0 + 45.0 * wish.strength)]


MAKERS: "dict[Kind, Maker]" = {
    Kind.INTERSTITIAL: _interstitial,
    Kind.EDEMA: _edema,
    Kind.CONSOLIDATION: _sided("consolidation"),
    Kind.ATELECTASIS: _sided("collapse"),
    Kind.SHIFT: _pulling,
    Kind.MASS: _sided("mass"),
    Kind.NODULE: _nodules,
    Kind.EFFUSION: _sided("effusion"),
    Kind.WHITE_OUT: _white,
    Kind.PNEUMOTHORAX: _sided("pneumothorax"),
    Kind.FREE_AIR: _free_air,
    Kind.RIB_FRACTURE: _sided("rib"),
    Kind.CLAVICLE_FRACTURE: _sided("clavicle"),
}
# Each meets the chest as those before it left it.
ORDER = (*MAKERS, *(kind for kind in Kind if kind not in MAKERS))
