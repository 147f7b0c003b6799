"""The frozen test films of :mod:`models.simulate.test_set`, read from their folder as exams.

Every film is of its own pose, shape and seed, so each counts as a patient of its own.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from models.anatomy.heads import (
    MASK_SIDE,
    MASKS,
    OBSERVATIONS,
    PLACE_SIDE,
    QUALITIES,
    REGIONS,
    SIGNS,
)
from models.anatomy.network import INPUT_SIDE
from models.anatomy.preparation import to_square
from models.evaluation.exams import ABSENT, OPEN, PRESENT, SIGN_PLANES, Exam, Order
from models.geometry import Letterbox
from models.vocabulary import AnatomicStructure, MaskName, Presence

if TYPE_CHECKING:
    from models.training.measures import Numbers

STATES = {Presence.PRESENT: PRESENT, Presence.ABSENT: ABSENT, Presence.UNCERTAIN: OPEN}
HALF_GREY, LINE_GREY = 128, 51  # a line is thinner than a cell of the mask's grid
ORGANS = {
    MaskName.RIGHT_LUNG: AnatomicStructure.RIGHT_LUNG,
    MaskName.LEFT_LUNG: AnatomicStructure.LEFT_LUNG,
    MaskName.HEART: AnatomicStructure.CARDIAC_SILHOUETTE,
}


def load(folder: Path) -> list[Exam]:
    """Return the films in the order of their names.

    Raises
    ------
    KeyError, OSError
        If a file does not hold what the simulator writes.
    """
    return [_exam(number, path) for number, path in enumerate(sorted(folder.glob("test_*.json")))]


def _exam(number: int, path: Path) -> Exam:
    told: dict[str, Any] = json.loads(path.read_text())
    pixels = np.asarray(Image.open(path.with_suffix(".png")), np.float32) / np.float32(255)
    frame = Letterbox(pixels.shape[0], pixels.shape[1], INPUT_SIDE)
    boxes = np.zeros((len(REGIONS), 4), np.float32)
    visible = np.zeros(len(REGIONS), bool)
    attributes = np.zeros((len(REGIONS), len(SIGNS)), bool)
    for region in told["regions"]:
        place = REGIONS.index(AnatomicStructure(region["name"]))
        if region["box"] is not None:
            visible[place], boxes[place] = True, _in_square(region["box"], frame)
        for sign in region["attributes"]:
            attributes[place, _place(sign)] = True
    signs, sizes = np.full(len(SIGNS), OPEN), np.zeros(len(SIGNS), np.float32)
    for sign in told["signs"]:
        signs[_place(sign["sign"])] = STATES[Presence(sign["state"])]
        sizes[_place(sign["sign"])] = sign["size"]
    return Exam(
        order=Order(number, number, 1, bool(told["mirrored"])), film=to_square(pixels, INPUT_SIDE),
        boxes=boxes, visible=visible, signs=signs, observations=np.full(len(OBSERVATIONS), OPEN),
        sizes=sizes, contrast=np.zeros(len(SIGNS), np.float32), attributes=attributes,
        masks=_masks(told["masks"], path.parent, (pixels.shape[0], pixels.shape[1])),
        region_masks=_region_masks(
            told["masks"]["regions"], path.parent, (pixels.shape[0], pixels.shape[1])
        ),
        quality=np.asarray([bool(told["quality"].get(name.value)) for name in QUALITIES]),
        complete=bool(visible.mean() >= 0.55),  # noqa: PLR2004 - as in training
    )  # fmt: skip


def _place(sign: str) -> int:
    return [known.value for known in SIGNS].index(sign)


def _in_square(box: list[float], frame: Letterbox) -> "Numbers":
    """Turn film px into px of the network's square."""
    (x, y), scale = frame.offset, frame.scale
    return np.asarray(box, np.float32) * scale + np.asarray((x, y, x, y), np.float32)


def _masks(told: dict[str, dict[str, str]], folder: Path, shape: tuple[int, int]) -> "Numbers":
    """Return the eight planes ``(8, 160, 160)``; organs by region, findings by sign."""
    planes = np.zeros((len(MASKS), MASK_SIDE, MASK_SIDE), bool)
    for name, structure in ORGANS.items():
        if structure.value in told["regions"]:
            path = folder / told["regions"][structure.value]
            planes[MASKS.index(name)] = _shrunk(path, shape, HALF_GREY)
    for sign, name in SIGN_PLANES.items():
        if sign.value in told["signs"]:
            least = LINE_GREY if name is MaskName.DEVICE else HALF_GREY
            path = folder / told["signs"][sign.value]
            planes[MASKS.index(name)] |= _shrunk(path, shape, least)
    return planes


def _region_masks(told: dict[str, str], folder: Path, shape: tuple[int, int]) -> "Numbers":
    """Return the masks of all regions ``(36, 80, 80)``, empty where one is not visible."""
    planes = np.zeros((len(REGIONS), PLACE_SIDE, PLACE_SIDE), bool)
    for name, file in told.items():
        place = REGIONS.index(AnatomicStructure(name))
        planes[place] = _shrunk(folder / file, shape, HALF_GREY, PLACE_SIDE)
    return planes


def _shrunk(path: Path, shape: tuple[int, int], least: int, side: int = MASK_SIDE) -> "Numbers":
    frame = Letterbox(shape[0], shape[1], side)
    mask = Image.open(path).convert("L")
    size = max(round(shape[1] * frame.scale), 1), max(round(shape[0] * frame.scale), 1)
    small = np.asarray(mask.resize(size, Image.Resampling.BOX)) >= least
    left, top = (side - size[0]) // 2, (side - size[1]) // 2
    plane = np.zeros((side, side), bool)
    plane[top : top + size[1], left : left + size[0]] = small
    return plane
