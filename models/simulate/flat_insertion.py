"""Findings by the SECOND method, flat in the projection: for the frozen test only."""

from typing import TYPE_CHECKING

from models.simulate import flat_findings
from models.simulate.findings import LARGE_MM, soft_only
from models.simulate.phantom import Structure
from models.simulate.scenes import HIDES, Scene
from models.simulate.wishes import Kind
from models.vocabulary import Sign

if TYPE_CHECKING:
    import numpy as np

    from models.simulate.projector import Shadow
    from models.simulate.regions import Fields
    from models.simulate.wishes import Wish

MAKERS = {
    Kind.EFFUSION: (flat_findings.effusion, 40.0, 120.0),
    Kind.CONSOLIDATION: (flat_findings.opacity, 50.0, 120.0),
    Kind.MASS: (flat_findings.mass, 32.0, 70.0),
    Kind.NODULE: (flat_findings.mass, 10.0, 28.0),
}
SIGNS = {Kind.EFFUSION: Sign.PLEURAL_EFFUSION, Kind.CONSOLIDATION: Sign.CONSOLIDATION}


def insert(rng: "np.random.Generator", shadow: "Shadow", seen: "Fields", wish: "Wish") -> Scene:
    """Insert what is wished, as far as the flat method has it."""
    lungs = flat_findings.Lungs(
        shadow.structures[Structure.RIGHT_LUNG], shadow.structures[Structure.LEFT_LUNG],
        seen.right_lung, seen.left_lung, seen.pixel_mm,
    )  # fmt: skip
    scene = Scene()
    for kind, (make, least, most) in MAKERS.items():
        if kind in wish.kinds:
            size = least + wish.strength * (most - least)
            made = make(rng, lungs, wish.side, size)
            sign = SIGNS.get(kind, Sign.MASS if size >= LARGE_MM else Sign.NODULE)
            scene.found.append(soft_only(sign, wish.side, size, made.added_mm, made.mask))
            scene.unsure |= set(HIDES.get(sign, ()))
    scene.unsure -= {one.sign for one in scene.found}
    return scene
