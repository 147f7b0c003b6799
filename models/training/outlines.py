"""Outlines which we drew by eye on real films, as masks of regions; not a radiologist's work.

``drawn/outlines_train.csv`` teaches, ``outlines_valid.csv`` is to choose by, and the two
independent passes ``outlines_test_a.csv`` and ``outlines_test_b.csv`` only measure; see
``drawn/README.md``. Points are in 0..1 of a film's width and height.
"""

import csv
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageDraw

from models.anatomy.heads import PLACE_SIDE, REGIONS
from models.anatomy.network import INPUT_SIDE
from models.training.drawn import FOLDER, SAME
from models.vocabulary import AnatomicStructure as A

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.training.sample import Sample

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


def teach(
    sample: "Sample", outlines: Outlines, cut: tuple[float, float, float, float],
    frame: tuple[float, float, float, float],
) -> None:  # fmt: skip
    """Write the masks of outlined regions of a film, of which ``cut`` lies in ``frame``.

    ``cut`` holds corners in 0..1 of the film, ``frame`` left, top, width and height in px of the
    network's square, as :func:`models.training.batches.place` gives them.
    """
    start, end, origin, size = (np.asarray(v) for v in (cut[:2], cut[2:], frame[:2], frame[2:]))
    cells = (np.arange(PLACE_SIDE) + 0.5) * INPUT_SIDE / PLACE_SIDE
    across, down = ((cells > origin[a]) & (cells < (origin + size)[a]) for a in (0, 1))
    for region, outline in outlines.items():
        moved = ((outline - start) / (end - start) * size + origin) / INPUT_SIDE
        mask = fill(moved.astype(np.float32), (PLACE_SIDE, PLACE_SIDE))
        at = REGIONS.index(region)
        sample.region_masks[at] = mask & down[:, None] & across
        sample.region_masks_known[at] = 1.0
