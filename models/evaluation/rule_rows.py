"""Whether the eye's boxes agree with each other: what follows from others lies where it must.

No truth is needed for it: by definition a zone is a third of its lung, and a border lies along its
heart (docs/regions.md). Whether lungs and hearts are right is measured elsewhere.
"""

from typing import TYPE_CHECKING

import numpy as np

from models.anatomy.heads import REGIONS
from models.evaluation.real_rows import side_order
from models.evaluation.rows import Findings, Row, counted, mean, of_rows
from models.training import measures
from models.training.follow import OF_HEART, SIDES, follow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.evaluation.real_rows import RealFilms
    from models.training.measures import Numbers

ZONES = [REGIONS.index(zone) for _, _, zones in SIDES for zone in zones]
HEART = [REGIONS.index(name) for name in OF_HEART]
NOTE = "agreement of the eye's boxes with its own lungs, domes and heart, not accuracy"


def agreement(boxes: "Numbers", shapes: "Sequence[tuple[int, ...]]") -> "Numbers":
    """Overlap ``(n, 36)`` of boxes ``(n, 36, 4)``, px, with those that the rules make of them.

    ``shapes`` are ``(rows, columns)`` of the films, shown the usual way. What follows from nothing
    overlaps wholly.
    """
    found = []
    for own, (rows, columns) in zip(boxes, shapes, strict=True):
        scale = np.tile(np.asarray((columns, rows), np.float32), 2)
        placed = follow(np.asarray(own / scale, np.float32), columns / rows) * scale
        found.append(measures.overlaps(own, placed))
    return np.asarray(found)


def agreeing(given: "RealFilms") -> Findings:
    """Return two rows: zones with their lungs, borders and angles of the heart with it."""
    rows = np.flatnonzero((side_order(given.seen) > 0) & ~np.asarray(given.seen.mirrored, bool))
    some = given.take(rows.tolist(), given.name)
    group, cases = f"real, all adult films: {given.name}", counted(some.people)
    found = []
    for words, places in (("eight zones with their lungs", ZONES),
                          ("borders and cardiophrenic angles with the heart", HEART)):  # fmt: skip
        measure = f"boxes agree by definition: {words}, IoU"
        if not len(rows):
            found.append(Row(group, measure, None, note="no film shown the usual way"))
            continue
        own = agreement(some.seen.boxes, [film.pixels.shape for film in some.films])
        each = own[:, places].mean(axis=1)
        interval = measures.interval(of_rows(each), some.people)
        found.append(Row(group, measure, mean(each), None, interval, cases, note=NOTE))
    return Findings(found)
