"""Row 6b: served masks of regions on real films, against outlines drawn by us."""

from typing import TYPE_CHECKING

import numpy as np

from models.evaluation.real_rows import PASSES
from models.evaluation.rows import Findings, Row, by_film, counted, mean, of_rows, rounded
from models.training import measures, outlines
from models.values import ChestImage
from models.vocabulary import AnatomicStructure as A

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from models.evaluation.looking import ListeningEye
    from models.training.measures import Numbers
    from models.training.real import RealFilm
    from models.values import Sight

GROUP = "real, outlined by us, not by a radiologist"
PARTS = {
    "lungs": (A.RIGHT_LUNG, A.LEFT_LUNG), "heart": (A.CARDIAC_SILHOUETTE,),
    "clavicles": (A.RIGHT_CLAVICLE, A.LEFT_CLAVICLE), "trachea": (A.TRACHEA,), "spine": (A.SPINE,),
}  # fmt: skip
OWN, BOX, AGREEMENT = range(3)  # a film's figures: of the mask, of its box filled, of the passes


def outlined(
    eye: "ListeningEye", films: "Sequence[RealFilm]", passes: "Sequence[str]" = PASSES
) -> Findings:
    """Return mean overlaps of masks with outlines, by structure, over films that every pass has.

    A mask is compared as it is served, on the film's small copy, with each pass; passes that were
    never drawn are left out.
    """
    drawn = [one for one in map(outlines.load, passes) if one]
    some = [film for film in films if drawn and all(film.name in one for one in drawn)]
    if not some:
        return Findings([Row(GROUP, "masks of regions: IoU", None, note="no outlined film")])
    images = [ChestImage(film.name, film.pixels.astype(np.float32)) for film in some]
    sights = [eye.look([image])[0] for image in images]
    people, found = [film.patient for film in some], Findings()
    table: dict[str, Mapping[str, float | int | None]] = {}
    for word, regions in PARTS.items():
        each = []  # regions, films, figures
        for region in regions:
            truths = [[one[film.name].get(region) for one in drawn] for film in some]
            figures = [_of_film(*pair, region) for pair in zip(sights, truths, strict=True)]
            each.append(np.stack(figures))
            table[region.value] = _told(each[-1])
        over = np.stack([by_film(column) for column in np.stack(each).transpose(2, 1, 0)], axis=1)
        found.rows.append(_row(word, over, people, len(drawn)))
    found.tables["outlined"] = table
    return found


def _of_film(sight: "Sight", truths: "Sequence[outlines.Polygon | None]", region: A) -> "Numbers":
    """Return a region's figures on a film; NaN where a pass left it out."""
    own = sight.region_masks[region]
    known = [outlines.fill(truth, own.shape) for truth in truths if truth is not None]
    if len(known) < len(truths):
        return np.full(3, np.nan)
    box = next(one.box for one in sight.regions if one.structure is region)
    filled = np.zeros(own.shape, bool)
    filled[round(box.y_min) : round(box.y_max), round(box.x_min) : round(box.x_max)] = True
    agreed = measures.shared(known[0], known[1]) if len(known) > 1 else np.nan
    figures = [np.mean([measures.shared(mask, one) for one in known]) for mask in (own, filled)]
    return np.asarray([*figures, agreed])


def _row(word: str, figures: "Numbers", people: "Sequence[str]", passes: int) -> Row:
    known = np.isfinite(figures[:, OWN])
    own = [person for person, here in zip(people, known, strict=True) if here]
    agreement = f"the passes agree at {mean(figures[:, AGREEMENT]):.3f}"
    return Row(GROUP, f"{word}: mask IoU", mean(figures[:, OWN]), None,
               measures.interval(of_rows(figures[:, OWN]), people), counted(own),
               f"own box filled {mean(figures[:, BOX]):.3f}",
               agreement if passes > 1 else "drawn once: no agreement to compare with")  # fmt: skip


def _told(figures: "Numbers") -> "Mapping[str, float | int | None]":
    names = {"iou": OWN, "own_box_filled": BOX, "passes_agree": AGREEMENT}
    told = {name: rounded(mean(figures[:, i])) for name, i in names.items()}
    return {**told, "films": int(np.isfinite(figures[:, OWN]).sum())}
