"""Scenes: which findings a chest shows together, and what is true of it afterwards.

A theme belongs to the pose (a shifted mediastinum, a raised dome); several scenes are then made of
one projection, each from the untouched tissue.
"""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from models.simulate import air, collapse, devices, fluid, fractures, solid
from models.simulate.fluid import SUPINE
from models.vocabulary import MaskName, Side, Sign

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from models.simulate.findings import Inserted
    from models.simulate.pose import Pose
    from models.simulate.tissue import Chest

SIGNS = tuple(Sign)
SHIFT_FROM_MM, SHIFT_UP_TO_MM = 12.0, 6.0  # shift of the mediastinum: present from, absent up to
WIDE_FROM, WIDE_UP_TO = 1.3, 1.1
SMALLEST_PX = 14  # of the film; a finding that covers less cannot be asked for
KINDS = {
    "effusion": 1.3, "pneumothorax": 1.5, "consolidation": 1.2, "collapse": 0.9, "plate": 0.5,
    "mass": 1.0, "nodule": 1.4, "interstitial": 0.8, "edema": 0.8, "free air": 0.6, "rib": 0.8,
    "clavicle": 0.5, "white": 0.3,
}  # fmt: skip
# In this order each meets the lung that those before it left.
ORDER = ("white", "effusion", "pneumothorax", "interstitial", "edema", "consolidation", "collapse",
         "plate", "mass", "nodule", "free air", "rib", "clavicle")  # fmt: skip
PLANES = {
    Sign.PLEURAL_EFFUSION: MaskName.PLEURAL_EFFUSION,
    Sign.CONSOLIDATION: MaskName.LUNG_OPACITY,
    Sign.ATELECTASIS: MaskName.LUNG_OPACITY,
    Sign.PULMONARY_EDEMA: MaskName.LUNG_OPACITY,
    Sign.MASS: MaskName.MASS,
    Sign.NODULE: MaskName.MASS,
    Sign.PNEUMOTHORAX: MaskName.PNEUMOTHORAX,
    **dict.fromkeys(devices.DEVICES, MaskName.DEVICE),
}
# What one finding makes unanswerable: haze hides, lines imitate.
HIDES: dict[Sign, tuple[Sign, ...]] = {
    Sign.PULMONARY_EDEMA: (Sign.CONSOLIDATION, Sign.INTERSTITIAL_PATTERN),
    Sign.INTERSTITIAL_PATTERN: (Sign.NODULE, Sign.PULMONARY_EDEMA),
    Sign.CONSOLIDATION: (Sign.ATELECTASIS, Sign.MASS),
    Sign.ATELECTASIS: (Sign.CONSOLIDATION, Sign.MASS, Sign.ELEVATED_HEMIDIAPHRAGM),
    Sign.MASS: (Sign.CONSOLIDATION, Sign.NODULE),
    Sign.PLEURAL_EFFUSION: (Sign.ATELECTASIS, Sign.ELEVATED_HEMIDIAPHRAGM),
}


@dataclass(frozen=True, slots=True)
class Theme:
    """What belongs to the pose. ``pull`` is the side towards which the mediastinum is drawn."""

    pull: Side | None = None
    quiet: bool = True


@dataclass(slots=True, eq=False)
class Scene:
    """Findings of one film. ``unsure`` are signs that nobody could answer on it."""

    found: "list[Inserted]" = field(default_factory=list)
    unsure: set[Sign] = field(default_factory=set)

    def added(self, shape: tuple[int, int]) -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
        """Sum of what the findings add to soft and bone, mm of water."""
        total = np.zeros((2, *shape), np.float32)
        for one in self.found:
            total[0] += one.added_soft
            total[1] += one.added_bone
        return total[0], total[1]

    def plane(self, name: MaskName, shape: tuple[int, int]) -> "NDArray[np.bool_]":
        """Union of the masks of the findings that belong to a mask."""
        masks = [one.mask for one in self.found if PLANES.get(one.sign) is name]
        return np.any(masks, axis=0) if masks else np.zeros(shape, bool)


def themed(rng: np.random.Generator, pose: "Pose") -> "tuple[Pose, Theme]":
    """Give a pose a theme: mostly none, else shift, raised dome, wide mediastinum or several."""
    theme = Theme()
    if rng.random() < 0.2:  # noqa: PLR2004 - volume lost on one side, or too much on the other
        side = Side.RIGHT if rng.random() < 0.5 else Side.LEFT  # noqa: PLR2004
        sign = -1.0 if side is Side.RIGHT else 1.0
        pose = replace(pose, mediastinum_mm=sign * float(rng.uniform(10, 45)))
        pose = _raised(pose, side, float(rng.uniform(0, 25)))
        theme = Theme(side, quiet=rng.random() < 0.3)  # noqa: PLR2004
    elif rng.random() < 0.3:  # noqa: PLR2004 - a little, as everybody has
        pose = replace(pose, mediastinum_mm=float(rng.normal(0, 3.0)))
    if rng.random() < 0.14:  # noqa: PLR2004
        side = Side.RIGHT if rng.random() < 0.5 else Side.LEFT  # noqa: PLR2004
        pose = _raised(pose, side, float(rng.uniform(25, 55)))
    if rng.random() < 0.15:  # noqa: PLR2004
        pose = replace(pose, widening=float(rng.uniform(1.25, 1.85)))
    elif rng.random() < 0.5:  # noqa: PLR2004
        pose = replace(pose, widening=float(rng.uniform(0.92, 1.1)))
    return pose, theme


def draw(rng: np.random.Generator, chest: "Chest", theme: Theme) -> Scene:
    """Make one scene of an untouched chest; one to three findings, devices now and then."""
    chest.reset()
    scene = Scene()
    count = int(rng.choice((1, 2, 3), p=(0.45, 0.35, 0.2)))
    weights = np.asarray(list(KINDS.values()))
    kinds = set(rng.choice(list(KINDS), count, replace=False, p=weights / weights.sum()).tolist())
    closed: set[Side] = set()  # lungs in which nothing more can be seen
    if theme.pull is not None and not theme.quiet:
        kinds -= {"white", "collapse", "effusion", "pneumothorax"}
        _pulling(rng, chest, theme.pull, scene, closed)
    for kind in ORDER:
        if kind in kinds:
            _add(rng, chest, kind, scene, closed)
    if rng.random() < 0.55:  # noqa: PLR2004
        film = chest.rays.film
        scene.found += devices.draw(rng, chest.projector, chest.rays.pose, film)
    for one in scene.found:
        scene.unsure |= set(HIDES.get(one.sign, ()))
        if one.mask.sum() < SMALLEST_PX:
            scene.unsure.add(one.sign)
    scene.unsure -= {o.sign for o in scene.found if o.mask.sum() >= SMALLEST_PX}
    return scene


def _raised(pose: "Pose", side: Side, by_mm: float) -> "Pose":
    right, left = pose.domes_mm
    both = (right + by_mm, left) if side is Side.RIGHT else (right, left + by_mm)
    return replace(pose, domes_mm=both)


def _pulling(
    rng: np.random.Generator, chest: "Chest", pull: Side, scene: Scene, closed: set[Side]
) -> None:
    """Explain a shift: too little lung where the mediastinum went, or too much beyond it."""
    other = Side.LEFT if pull is Side.RIGHT else Side.RIGHT
    choice = rng.choice(("lobe", "white", "drowned", "effusion", "tension"),
                        p=(0.35, 0.2, 0.15, 0.15, 0.15))  # fmt: skip
    if choice == "lobe":
        scene.found.append(collapse.lobe(rng, chest, pull, float(rng.uniform(35, 80))))
    elif choice == "white":
        scene.found.append(fluid.white(rng, chest, pull, pulled=True))
        _hidden(pull, scene, closed)
    elif choice == "drowned":
        scene.found.append(fluid.white(rng, chest, other, pulled=False))
        _hidden(other, scene, closed)
    elif choice == "effusion":
        size = float(rng.uniform(50, 90) if _lying(chest) else rng.uniform(110, 190))
        scene.found.append(fluid.effusion(rng, chest, other, size))
    else:
        scene.found.append(air.pneumothorax(rng, chest, other, float(rng.uniform(40, 70))))


def _hidden(side: Side, scene: Scene, closed: set[Side]) -> None:
    """Nothing else can be told of a white lung."""
    closed.add(side)
    scene.unsure |= {Sign.CONSOLIDATION, Sign.MASS, Sign.NODULE, Sign.ATELECTASIS,
                     Sign.PLEURAL_EFFUSION, Sign.INTERSTITIAL_PATTERN, Sign.PULMONARY_EDEMA,
                     Sign.ENLARGED_CARDIAC_SILHOUETTE, Sign.ELEVATED_HEMIDIAPHRAGM}  # fmt: skip


def _add(
    rng: np.random.Generator, chest: "Chest", kind: str, scene: Scene, closed: set[Side]
) -> None:
    """Add one kind of finding, on a side that still shows something."""
    free = [s for s in Side if s not in closed]
    if not free:
        return
    side = free[int(rng.integers(len(free)))]
    if kind in SIDED:
        make, smallest, largest = SIDED[kind]
        if kind == "effusion" and _lying(chest):
            smallest, largest = 20.0, 85.0
        scene.found.append(make(rng, chest, side, float(rng.uniform(smallest, largest))))
    elif kind == "nodule":
        for number in rng.integers(len(free), size=int(rng.choice((1, 1, 1, 2, 3, 5)))):
            size = float(rng.uniform(8, 28))
            scene.found.append(solid.ball(rng, chest, free[int(number)], size))
    elif kind == "white":
        pulled = rng.random() < 0.4  # noqa: PLR2004
        scene.found.append(fluid.white(rng, chest, side, pulled=pulled))
        _hidden(side, scene, closed)
    else:
        _unsided(rng, chest, kind, scene, bool(closed))


def _unsided(
    rng: np.random.Generator,
    chest: "Chest",
    kind: str,
    scene: Scene,
    closed: bool,  # noqa: FBT001
) -> None:
    """Add what lies in both lungs, which both must be open for, or below either of them."""
    if kind == "free air" and not _lying(chest):
        side = Side.RIGHT if rng.random() < 0.65 else Side.LEFT  # noqa: PLR2004
        scene.found.append(air.subdiaphragmatic(rng, chest, side, float(rng.uniform(5, 26))))
    elif kind == "edema" and not closed:
        _edema(rng, chest, scene)
    elif kind == "interstitial" and not closed:
        scene.found.append(solid.interstitial(rng, chest, float(rng.uniform(0.35, 1.0))))


def _edema(rng: np.random.Generator, chest: "Chest", scene: Scene) -> None:
    """Edema comes with fluid at the bases more often than not; fluid first takes its room."""
    if rng.random() < 0.55:  # noqa: PLR2004
        for side in Side:
            size = float(rng.uniform(15, 60))
            scene.found.append(fluid.effusion(rng, chest, side, size))
    scene.found.append(fluid.edema(rng, chest, float(rng.uniform(0.35, 1.0))))


def _lying(chest: "Chest") -> bool:
    return chest.rays.pose.recline > SUPINE


SIDED: "dict[str, tuple[Callable[..., Inserted], float, float]]" = {
    "effusion": (fluid.effusion, 14.0, 130.0),
    "pneumothorax": (air.pneumothorax, 8.0, 60.0),
    "consolidation": (solid.consolidation, 45.0, 130.0),
    "collapse": (collapse.lobe, 20.0, 75.0),
    "plate": (collapse.plate, 30.0, 80.0),
    "mass": (solid.ball, 32.0, 75.0),
    "rib": (fractures.rib, 4.0, 12.0),
    "clavicle": (fractures.clavicle, 5.0, 18.0),
}
