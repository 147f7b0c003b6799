"""Outlines which we drew by eye on real films, as masks of regions; not a radiologist's work.

``drawn/outlines_test_a.csv`` and ``outlines_test_b.csv`` are two independent passes that only
measure, ``outlines_valid.csv`` is to choose by, ``outlines_train.csv`` to learn from; no network
has learnt from any of them yet. See ``drawn/README.md``. Points are in 0..1 of a film's width and
height.
"""

import csv
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageDraw

from models.training.drawn import FOLDER, SAME
from models.vocabulary import AnatomicStructure as A

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Polygon = NDArray[np.float32]
    """Corners of an outline ``(n, 2)``, x and y."""

FINER: Final = 4  # times finer an outline is filled, before cells are counted
NAMES: Final = {**SAME, "spine": A.SPINE}
Outlines = Mapping[A, "Polygon"]


def load(name: str) -> dict[str, Outlines]:
    """Film's file name -> region -> outline; nothing where no such pass was drawn."""
    file = FOLDER / f"outlines_{name}.csv"
    if not file.is_file():
        return {}
    found: dict[str, dict[A, Polygon]] = {}
    with file.open(newline="") as lines:
        for row in csv.DictReader(lines):
            points = [[float(v) for v in point.split()] for point in row["points"].split(";")]
            outline = np.asarray(points, np.float32)
            found.setdefault(row["filename"], {})[NAMES[row["name"]]] = outline
    return dict(found)


def fill(outline: "Polygon", size: tuple[int, int]) -> "NDArray[np.bool_]":
    """Fill an outline on a grid of ``(rows, columns)`` over 0..1; a cell counts from half on."""
    rows, columns = size
    finer = Image.new("L", (columns * FINER, rows * FINER))
    corners = outline * np.asarray((finer.width, finer.height))
    ImageDraw.Draw(finer).polygon([(float(x), float(y)) for x, y in corners - 0.5], fill=1)
    cells = np.asarray(finer, np.float32).reshape(rows, FINER, columns, FINER)
    return np.asarray(cells.mean(axis=(1, 3)) >= 0.5)  # noqa: PLR2004
