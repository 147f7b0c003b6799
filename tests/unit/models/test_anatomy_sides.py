import numpy as np
import pytest

from models.anatomy.sides import other_side, settle
from models.vocabulary import AnatomicStructure, MaskName

REGIONS = tuple(AnatomicStructure)
MASKS = tuple(MaskName)
RIGHT, LEFT = REGIONS.index("right lung"), REGIONS.index("left lung")


def outputs(right_x: float, left_x: float, mirrored: float) -> dict[str, np.ndarray]:
    boxes = np.full((36, 4), 0.5, np.float32)
    boxes[RIGHT, 0], boxes[LEFT, 0] = right_x, left_x
    masks = np.arange(6, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32)
    return {
        "boxes": boxes,
        "presence": np.arange(36, dtype=np.float32),
        "masks": masks,
        "mirrored": np.asarray([mirrored], np.float32),
    }


def test_lungs_in_order_are_left_as_they_are() -> None:
    seen = outputs(0.3, 0.7, 5.0)
    assert settle(seen, REGIONS, MASKS) is seen


def test_a_reversed_film_of_which_the_network_is_sure_keeps_its_anatomy() -> None:
    seen = outputs(0.7, 0.3, 6.0)
    assert settle(seen, REGIONS, MASKS) is seen


@pytest.mark.parametrize("doubt", [-4.0, 0.5, 2.0])
def test_in_doubt_the_declared_orientation_names_the_sides_and_the_film_is_flagged(
    doubt: float,
) -> None:
    settled = settle(outputs(0.7, 0.3, doubt), REGIONS, MASKS)
    assert settled["boxes"][RIGHT, 0] == np.float32(0.3)
    assert settled["boxes"][LEFT, 0] == np.float32(0.7)
    assert settled["presence"][RIGHT] == LEFT
    assert settled["masks"][MASKS.index(MaskName.RIGHT_LUNG), 0, 0] == MASKS.index("left lung")
    assert settled["masks"][MASKS.index(MaskName.HEART), 0, 0] == MASKS.index(MaskName.HEART)
    assert settled["mirrored"][0] >= 0


def test_every_sided_region_with_a_partner_changes_to_it_and_back() -> None:
    for name in (*REGIONS, *MASKS):
        assert other_side(other_side(name)) == name
    assert other_side("right atrium") == "right atrium"
    assert other_side("right clavicle") == "left clavicle"
