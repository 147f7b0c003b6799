"""Boxes and points which we drew by eye on real films; not a radiologist's work.

``drawn/train.csv`` teaches (films of training patients, drawn once); ``drawn/test_a.csv`` and
``drawn/test_b.csv`` are two independent passes over films of test patients and only measure.
Coordinates are in 0..1 of the film's width and height; see ``drawn/README.md``.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.simulate.regions import ANGLE_MM, PAD_MM
from models.training.follow import CHEST_MM
from models.vocabulary import AnatomicStructure as A

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDER = Path(__file__).parent / "drawn"
REGIONS = tuple(A)
TRUST = 2.0  # what a drawn box weighs beside a simulated one
SAME = {"heart": A.CARDIAC_SILHOUETTE, "right_clavicle": A.RIGHT_CLAVICLE,
        "left_clavicle": A.LEFT_CLAVICLE, "trachea": A.TRACHEA, "aortic_arch": A.AORTIC_ARCH,
        "right_lung": A.RIGHT_LUNG, "left_lung": A.LEFT_LUNG}  # fmt: skip
# Width and height as shares of the chest's inner width: the mean of the simulated boxes.
AROUND = {"carina": (A.CARINA, 0.110, 0.081), "right_hilum": (A.RIGHT_HILAR_STRUCTURES, 0.17, 0.25),
          "left_hilum": (A.LEFT_HILAR_STRUCTURES, 0.19, 0.26)}  # fmt: skip
FLOOR = {"right": (A.RIGHT_HEMIDIAPHRAGM, A.RIGHT_COSTOPHRENIC_ANGLE),
         "left": (A.LEFT_HEMIDIAPHRAGM, A.LEFT_COSTOPHRENIC_ANGLE)}  # fmt: skip
ANGLE, PAD = ANGLE_MM / CHEST_MM, PAD_MM / CHEST_MM


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """What was drawn on one film: name -> numbers, boxes of four and points of two."""

    shapes: "dict[str, tuple[float, ...]]"

    def boxes(self, aspect: float) -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
        """Corners ``(36, 4)`` and trust ``(36,)`` by the rules of docs/regions.md.

        ``aspect`` is the film's width over its height; regions that follow from nothing drawn have
        no trust.
        """
        found = {region: (self.shapes[name], TRUST) for name, region in SAME.items()
                 if name in self.shapes}  # fmt: skip
        right, left = self.shapes.get("right_lung"), self.shapes.get("left_lung")
        if right is not None and left is not None:
            chest = left[2] - right[0]  # of the film's width; heights need the aspect
            found |= self._around(chest, chest * aspect)
            found |= self._floor("right", right, chest, aspect)
            found |= self._floor("left", left, chest, aspect)
        corners = np.zeros((len(REGIONS), 4), np.float32)
        trust = np.zeros(len(REGIONS), np.float32)
        for region, (box, weight) in found.items():
            corners[REGIONS.index(region)], trust[REGIONS.index(region)] = box, weight
        return corners, trust

    def _around(self, wide: float, high: float) -> "dict[A, tuple[tuple[float, ...], float]]":
        """Boxes of usual size around points; the chest's width in shares of width and height."""
        found: dict[A, tuple[tuple[float, ...], float]] = {}
        for name, (region, share_x, share_y) in AROUND.items():
            if name in self.shapes:
                x, y = self.shapes[name]
                w, h = share_x * wide / 2, share_y * high / 2
                found[region] = ((x - w, y - h, x + w, y + h), TRUST / 2)
        return found

    def _floor(
        self, side: str, lung: tuple[float, ...], chest: float, aspect: float
    ) -> "dict[A, tuple[tuple[float, ...], float]]":
        """Hemidiaphragm and costophrenic angle of one side."""
        dome, angle = FLOOR[side]
        found: dict[A, tuple[tuple[float, ...], float]] = {}
        if f"{side}_dome" in self.shapes:
            top, pad = self.shapes[f"{side}_dome"][1], PAD * chest * aspect
            found[dome] = ((lung[0], top - pad, lung[2], max(lung[3], top + pad)), TRUST)
        if f"{side}_costophrenic" in self.shapes:
            x, y = self.shapes[f"{side}_costophrenic"]
            w, h = ANGLE * chest, ANGLE * chest * aspect
            found[angle] = ((x - w, y - 1.4 * h, x + w, y + 0.6 * h), TRUST)
        return found


def load(name: str) -> dict[str, Drawn]:
    """Film's file name -> what was drawn, of ``train``, ``test_a`` or ``test_b``."""
    shapes: dict[str, dict[str, tuple[float, ...]]] = {}
    with (FOLDER / f"{name}.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            numbers = tuple(float(row[k]) for k in ("x1", "y1", "x2", "y2") if row[k])
            shapes.setdefault(row["filename"], {})[row["name"]] = numbers
    return {film: Drawn(own) for film, own in shapes.items()}
