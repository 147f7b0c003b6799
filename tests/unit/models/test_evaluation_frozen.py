"""Frozen test films as exams, from a folder written as the simulator writes it."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

from models.anatomy.heads import MASKS, QUALITIES, REGIONS, SIGNS
from models.evaluation import frozen, mean_box
from models.evaluation.exams import ABSENT, OPEN, PRESENT
from models.vocabulary import MaskName, Sign

ROWS, COLUMNS = 640, 480


def written(folder: Path) -> None:
    """One film with a right lung, a mass in it and a thin tube; nothing known of edema."""
    film = np.full((ROWS, COLUMNS), 90, np.uint8)
    film[10:20, 10:20] = 200
    Image.fromarray(film).save(folder / "test_00000.png")
    masks = folder / "test_00000.masks"
    masks.mkdir()
    lung, line = np.zeros((ROWS, COLUMNS), bool), np.zeros((ROWS, COLUMNS), bool)
    lung[100:300, 40:140] = True
    line[50:400, 168:169] = True  # a quarter of a cell of the mask's grid
    for name, mask in {"right-lung": lung, "enteric-tube": line}.items():
        Image.fromarray(mask).save(masks / f"{name}.png")
    told = {
        "mirrored": False, "quality": {QUALITIES[0].value: True},
        "regions": [
            {"name": "right lung", "box": [40.0, 100.0, 140.0, 300.0], "attributes": ["mass"]},
            *({"name": r.value, "box": None if r == "carina" else [100.0, 100.0, 120.0, 120.0],
               "attributes": []} for r in REGIONS if r != "right lung"),
        ],
        "signs": [{"sign": "mass", "state": "PRESENT", "size": 41.0},
                  {"sign": "enteric tube", "state": "PRESENT", "size": 0.0},
                  {"sign": "nodule", "state": "ABSENT", "size": 0.0},
                  {"sign": "pulmonary edema", "state": "UNCERTAIN", "size": 0.0}],
        "masks": {"regions": {"right lung": "test_00000.masks/right-lung.png"},
                  "signs": {"enteric tube": "test_00000.masks/enteric-tube.png"}},
    }  # fmt: skip
    (folder / "test_00000.json").write_text(json.dumps(told))


def test_boxes_and_masks_go_to_the_network_s_square(tmp_path: Path) -> None:
    written(tmp_path)
    (one,) = frozen.load(tmp_path)
    lung = REGIONS.index("right lung")
    # Half the size, and 40 px of padding on either side of the narrow film.
    assert one.boxes[lung].tolist() == [60.0, 50.0, 110.0, 150.0]
    assert one.film.shape == (320, 320)
    mask = one.masks[MASKS.index(MaskName.RIGHT_LUNG)]
    assert np.flatnonzero(mask.any(0))[[0, -1]].tolist() == [30, 54]
    assert np.flatnonzero(mask.any(1))[[0, -1]].tolist() == [25, 74]
    assert one.masks[MASKS.index(MaskName.DEVICE)].any()
    outline = one.region_masks[lung]
    assert np.flatnonzero(outline.any(0))[[0, -1]].tolist() == [15, 27]
    assert np.flatnonzero(outline.any(1))[[0, -1]].tolist() == [12, 37]
    assert not one.region_masks[REGIONS.index("carina")].any()
    assert not one.visible[REGIONS.index("carina")]


def test_signs_keep_their_three_states_and_places(tmp_path: Path) -> None:
    written(tmp_path)
    (one,) = frozen.load(tmp_path)
    states = {sign: one.signs[SIGNS.index(sign)] for sign in Sign}
    assert states[Sign.MASS] == PRESENT
    assert states[Sign.NODULE] == ABSENT
    assert states[Sign.PULMONARY_EDEMA] == OPEN
    assert one.attributes.sum() == 1
    assert one.sizes[SIGNS.index(Sign.MASS)] == 41
    assert one.quality.tolist() == [True, False, False]


def test_the_kept_mean_boxes_are_boxes_of_the_square() -> None:
    boxes = mean_box.kept()
    assert boxes.shape == (36, 4)
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert boxes.min() >= 0
    assert boxes.max() <= 320
    right, left = REGIONS.index("right lung"), REGIONS.index("left lung")
    assert boxes[right, 2] < boxes[left, 2]
