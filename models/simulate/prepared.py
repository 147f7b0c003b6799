"""Checks the prepared CT: no contrast medium, no mass, a heart of ordinary size; a minute.

``python -m models.simulate.prepared --cache DIR`` prints each figure with its limits, and ends with
1 if one is outside. Two kinds of limits stand here. The first say what the preparation is for. The
others are marked *as it is*: what the preparation is known to leave, so that it does not grow.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import ndimage

from models.simulate import phantom, regions, source
from models.simulate.phantom import BLOOD_HU, BONES, MASS_CENTRE, MASS_RADIUS_MM, Structure
from models.simulate.pose import Pose, Projection
from models.simulate.projector import Detector, Projector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from models.simulate.source import SourceCt

    Mask = NDArray[np.bool_]

LEAST_BLOOD_HU: Final = 30.0
VESSELS: Final = (
    Structure.HEART, Structure.AORTIC_ARCH, Structure.ASCENDING_AORTA,
    Structure.DESCENDING_AORTA, Structure.SUPERIOR_VENA_CAVA, Structure.GREAT_VESSELS,
)  # fmt: skip
UNNAMED: Final = {53: ("pulmonary veins", 0.04), 63: ("inferior vena cava", 0.125),
                  64: ("portal vein", 0.04)}  # fmt: skip
"""TotalSegmentator's vessels that are no structure, and what share of them is below blood."""
LUNG_LABEL: Final = 11  # left lower lobe, where the mass was
SHOULDERS: Final = {"right": (74, 104, 105), "left": (73, 92, 93)}
"""Collar bone and the first two ribs: contrast medium came in on the right."""
DENSE_HU, BONE_HU, SOLID_HU = 400.0, 300.0, -500.0
RATIO: Final = (0.42, 0.48)
SPINE_X, SPINE_REACH, SPINE_FRONT = 236, 62, 230  # voxels around which ribs meet the spine


@dataclass(frozen=True, slots=True)
class Figure:
    """Something measured, and where it must lie, both ends included."""

    name: str
    value: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        """Whether it lies there; what is not a number never does."""
        return self.low <= self.value <= self.high

    def __str__(self) -> str:
        verdict = "ok" if self.holds else "OUTSIDE"
        return f"{verdict:8}{self.value:10.3f}  {self.low:g} to {self.high:g}  {self.name}"


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """The CT before and after, on one grid ``(z, y, x)``: raw and prepared HU, and structures."""

    ct: "SourceCt"
    hu: "NDArray[np.float32]"
    codes: "NDArray[np.uint8]"

    @classmethod
    def of(cls, ct: "SourceCt") -> "Prepared":
        """Prepare a CT as :func:`models.simulate.phantom.build` does first."""
        codes = phantom.structures(ct)
        return cls(ct, phantom.ordinary_hu(ct, codes), codes)

    def millilitres(self, where: "Mask") -> float:
        """Return the volume of some voxels."""
        return float(where.sum()) * float(np.prod(self.ct.spacing_mm)) / 1000.0


def contrast(made: Prepared) -> "Iterator[Figure]":
    """Heart and vessels are as dense as blood; what is dense beside a bone is known."""
    for structure in VESSELS:
        inside = made.hu[made.codes == structure]
        name = structure.name.lower().replace("_", " ")
        yield _hu(f"{name}: lowest HU", inside.min(initial=np.inf))
        yield _hu(f"{name}: highest HU", inside.max(initial=-np.inf))
    for label, (name, share) in UNNAMED.items():
        inside = made.hu[made.ct.labels == label]
        yield _hu(f"{name}: highest HU", inside.max(initial=-np.inf))
        below = float((inside < LEAST_BLOOD_HU).mean()) if len(inside) else float("nan")
        yield Figure(f"{name}: share below blood, as it is", below, 0.0, share)
    bone = np.isin(made.codes, BONES)
    rim = ndimage.binary_dilation(bone, iterations=1) & ~bone
    away = float(made.hu[~bone & ~rim].max())
    yield Figure("a voxel or more from bone: highest HU", away, LEAST_BLOOD_HU, BLOOD_HU)
    for side, most in (("right", 1.1), ("left", 0.4)):
        near = ndimage.binary_dilation(np.isin(made.ct.labels, SHOULDERS[side]), iterations=1)
        dense = made.millilitres(near & rim & (made.hu > DENSE_HU))
        name = f"beside {side} collar bone and two ribs, above {DENSE_HU:g} HU: ml, as it is"
        yield Figure(name, dense, 0.0, most)


def mass(made: Prepared) -> "Iterator[Figure]":
    """Where the patient's mass was there is lung, like the lung around it."""
    grid = np.ogrid[tuple(slice(n) for n in made.hu.shape)]
    steps = zip(grid, MASS_CENTRE, made.ct.spacing_mm, strict=True)
    distance = np.sqrt(sum(((axis - centre) * step) ** 2 for axis, centre, step in steps))
    ball, lung = distance < MASS_RADIUS_MM, made.ct.labels == LUNG_LABEL
    around = lung & ~ball & (distance < 2.2 * MASS_RADIUS_MM)
    before = made.millilitres(ball & lung & (made.ct.hu > SOLID_HU))
    yield Figure("mass before preparation: ml", before, 5.0, 9.0)
    after = made.millilitres(ball & lung & (made.hu > SOLID_HU))
    yield Figure("mass after preparation: ml", after, 0.0, 0.01)
    step = _median(made.hu[ball & lung]) - _median(made.hu[around])
    yield Figure("lung in its place against lung around it: HU", step, -25.0, 25.0)
    wall = made.millilitres(ball & (made.ct.labels == 0) & (made.hu > SOLID_HU))
    yield Figure("chest wall within its ball, not touched: ml, as it is", wall, 0.0, 0.85)


def bones(made: Prepared) -> "Iterator[Figure]":
    """Bone that the labels do not hold has become soft; most of it where ribs meet the spine."""
    _, y, x = np.ogrid[tuple(slice(n) for n in made.hu.shape)]
    beside = (abs(x - SPINE_X) < SPINE_REACH) & (y < SPINE_FRONT) & (made.ct.labels == 0)
    lost = made.millilitres(beside & (made.ct.hu > BONE_HU) & (made.hu <= BLOOD_HU))
    yield Figure("bone beside the spine without a label: ml, as it is", lost, 0.0, 50.0)
    dense = np.isin(made.codes, BONES) & (made.ct.hu > BONE_HU) & (made.hu <= BLOOD_HU)
    yield Figure("bone with a label made soft: ml, as it is", made.millilitres(dense), 0.0, 2.5)


def heart(ct: "SourceCt") -> "Iterator[Figure]":
    """Measure the CT's own heart on a plain PA film; what is drawn for a film scales it."""
    projector, film, stance = Projector(phantom.build(ct)), Detector(), Pose(Projection.PA, heart=1)
    fields = regions.visible_fields(projector.project(stance, film), film.pixel_mm)
    ratio = regions.cardiothoracic_ratio(fields)
    yield Figure("cardiothoracic ratio of a plain PA film", ratio, *RATIO)


def figures(ct: "SourceCt") -> "Iterator[Figure]":
    """Measure everything, in the order in which it is printed."""
    made = Prepared.of(ct)
    for part in (contrast, mass, bones):
        yield from part(made)
    yield from heart(ct)


def _hu(name: str, value: float) -> Figure:
    return Figure(name, float(value), LEAST_BLOOD_HU, BLOOD_HU)


def _median(values: "NDArray[np.float32]") -> float:
    return float(np.median(values)) if len(values) else float("nan")


def main() -> None:
    """Measure, print and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="where the simulator's CT is")
    chosen = parser.parse_args()
    outside = 0
    for figure in figures(source.read(source.fetch(chosen.cache))):
        print(figure, flush=True)  # noqa: T201
        outside += not figure.holds
    if outside:
        sys.exit(f"{outside} figures are outside their limits")


if __name__ == "__main__":
    main()
