"""Small made-up projections, films and answers for the tests of the eye report."""

import numpy as np

from models.anatomy.heads import MASKS, REGIONS, SIGNS
from models.evaluation.exams import Exam, Order
from models.evaluation.looking import Looked
from models.fakes import LAYOUT
from models.training.cache import BODY, HEART, LEFT_LUNG, PLANES, RIGHT_LUNG, SIDE, Bases
from models.vocabulary import AnatomicStructure, MaskName, Sign

CORNERS = np.asarray([LAYOUT[name] for name in REGIONS], np.float32)


def ellipse(box: np.ndarray, side: int) -> np.ndarray:
    """A disc that fills a box given in 0..1, on a square grid."""
    y, x = (np.mgrid[:side, :side] + 0.5) / side
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    return ((x - middle[0]) / half[0]) ** 2 + ((y - middle[1]) / half[1]) ** 2 <= 1


def projections(count: int = 2) -> Bases:
    """Bodies with two lungs and a heart; scene 1 holds a mass of 40 mm in the right lung."""
    lungs = [ellipse(CORNERS[REGIONS.index(name)], SIDE) for name in
             (AnatomicStructure.RIGHT_LUNG, AnatomicStructure.LEFT_LUNG)]  # fmt: skip
    heart = ellipse(CORNERS[REGIONS.index(AnatomicStructure.CARDIAC_SILHOUETTE)], SIDE)
    body = ellipse(np.asarray((0.02, 0.02, 0.98, 0.98)), SIDE)
    soft = 200.0 * body - 90.0 * (lungs[0] | lungs[1]) + 40.0 * heart
    maps = np.stack([soft, 5.0 * body, 120.0 * lungs[0], 120.0 * lungs[1]]).astype(np.float16)
    fields = (RIGHT_LUNG * lungs[0] + LEFT_LUNG * lungs[1] + HEART * heart + BODY * body).astype(
        np.uint8
    )
    mass = ellipse(np.asarray((0.2, 0.4, 0.32, 0.5)), SIDE)
    added = np.zeros((2, 2, SIDE, SIDE), np.float16)
    added[1, 0] = 60.0 * mass
    planes = np.zeros((2, SIDE, SIDE), np.uint8)
    planes[1] = mass.astype(np.uint8) << PLANES.index(MaskName.MASS)
    signs = np.zeros((2, len(SIGNS)), np.int8)
    sizes = np.zeros((2, len(SIGNS)), np.float16)
    reach = np.full((2, len(SIGNS), 4), np.nan, np.float32)
    touches = np.zeros((2, len(SIGNS), 36), np.uint8)
    place = SIGNS.index(Sign.MASS)
    signs[1, place], sizes[1, place] = 1, 40.0
    reach[1, place] = np.asarray((0.2, 0.4, 0.32, 0.5)) * SIDE
    touches[1, place, REGIONS.index(AnatomicStructure.RIGHT_LUNG)] = 1
    one = {
        "maps": maps, "fields": fields, "boxes": CORNERS * SIDE,
        "regions": np.packbits(filled(CORNERS, SIDE), axis=-1),
        "facts": np.asarray((0.44, 0.0), np.float32), "poses": np.zeros(8, np.float32),
        "added": added, "planes": planes, "signs": signs,
        "sides": np.zeros((2, len(SIGNS)), np.uint8), "sizes": sizes, "reach": reach,
        "touches": touches,
    }  # fmt: skip
    return Bases(**{name: np.stack([array] * count) for name, array in one.items()})


def filled(boxes: np.ndarray, side: int) -> np.ndarray:
    """Boxes in 0..1 of a square as masks ``(36, side, side)`` bool."""
    at = (np.arange(side) + 0.5) / side
    low, high = boxes[:, :2, None], boxes[:, 2:, None]
    across, down = ((at > low[:, i]) & (at < high[:, i]) for i in (0, 1))
    return down[:, :, None] & across[:, None, :]


def exam(number: int, *, mirrored: bool = False, present: tuple[Sign, ...] = ()) -> Exam:
    """A film of the test body whose answers are all known; positives are 40 mm large."""
    film = np.full((320, 320), 0.5, np.float32)
    signs = np.asarray([int(sign in present) for sign in SIGNS])
    boxes = CORNERS * 320
    if mirrored:
        boxes = np.stack([320 - boxes[:, 2], boxes[:, 1], 320 - boxes[:, 0], boxes[:, 3]], axis=1)
    return Exam(
        order=Order(number, number, 1, mirrored), film=film, boxes=boxes,
        visible=np.ones(36, bool), signs=signs, observations=np.zeros(4, int),
        sizes=40.0 * signs.astype(np.float32), contrast=np.zeros(len(SIGNS), np.float32),
        attributes=np.zeros((36, len(SIGNS)), bool),
        masks=np.zeros((len(MASKS), 160, 160), bool), region_masks=filled(boxes / 320, 80),
        quality=np.zeros(3, bool), complete=True,
    )  # fmt: skip


def answers(count: int, **given: np.ndarray) -> Looked:
    """Answers that are the test body on every film, unless given otherwise."""
    boxes = np.stack([CORNERS * 320] * count)
    lungs = [
        REGIONS.index(AnatomicStructure.RIGHT_LUNG),
        REGIONS.index(AnatomicStructure.LEFT_LUNG),
    ]
    known = {
        "boxes": boxes, "findings": np.zeros((count, 4)), "signs": np.zeros((count, len(SIGNS))),
        "attributes": np.zeros((count, 36, len(SIGNS))), "embedding": np.zeros((count, 36, 4)),
        "masks": np.zeros((count, len(MASKS), 160, 160), np.uint8), "in_scope": np.ones(count),
        "reasons": np.full(count, ""), "mirrored": np.zeros(count, bool),
        "sure": np.ones(count, bool), "evidence": np.full(count, -5.0),
        "broken": np.zeros(count, int), "exchanged": np.zeros(count, int),
        "v7_lungs": boxes[:, lungs],
        "quality": np.zeros((count, 3)),
        "region_masks": np.stack([filled(CORNERS, 80)] * count),
    }  # fmt: skip
    return Looked(**{**known, **given})
