"""Where regions must lie, on the layout of the test body and on what breaks it."""

import numpy as np
import pytest

from models.anatomy import order
from models.fakes import LAYOUT
from models.vocabulary import AnatomicStructure

NAMES = tuple(AnatomicStructure)


def a_chest() -> np.ndarray:
    corners = np.asarray([LAYOUT[name] for name in AnatomicStructure], np.float32)
    return np.concatenate(
        [(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], axis=1
    )


def exchange(boxes: np.ndarray, first: str, second: str) -> np.ndarray:
    a, b = NAMES.index(first), NAMES.index(second)
    boxes[[a, b]] = boxes[[b, a]]
    return boxes


def test_every_sided_region_with_a_partner_changes_to_it_and_back() -> None:
    for name in NAMES:
        assert order.other_side(order.other_side(name)) == name
    assert order.other_side("right atrium") == "right atrium"
    assert order.other_side("right clavicle") == "left clavicle"
    assert len(order.PAIRS) == 12


def test_a_chest_is_in_order_and_its_mirror_image_is_not() -> None:
    boxes = a_chest()
    assert order.broken(boxes, NAMES) == ()
    assert order.lean(boxes, NAMES) == 1.0
    mirrored = boxes * (-1, 1, 1, 1) + (1, 0, 0, 0)
    assert len(order.broken(mirrored, NAMES)) == len(order.PAIRS)
    assert order.lean(mirrored, NAMES) == -1.0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("right lung", "left lung"),
        ("right clavicle", "left clavicle"),
        ("left apical zone", "left mid lung zone"),
        ("right upper lung zone", "right lower lung zone"),
    ],
)
def test_an_exchange_of_names_is_found_undone_and_told(first: str, second: str) -> None:
    boxes = exchange(a_chest(), first, second)
    assert order.broken(boxes, NAMES)
    taken, found = order.settle(boxes, NAMES)
    assert np.array_equal(boxes[taken], a_chest())
    assert found.broken == ()
    assert first in found.exchanged[0]


def test_what_is_no_exchange_stays_where_it_is_and_is_told() -> None:
    boxes = a_chest()
    boxes[NAMES.index("carina"), 1] = 0.1  # above the middle of the trachea
    taken, found = order.settle(boxes, NAMES)
    assert taken == list(range(36))
    assert found == order.Order((), ("trachea | carina",))


def test_a_region_that_is_not_there_breaks_nothing() -> None:
    boxes = a_chest()
    boxes[NAMES.index("left lung")] = np.nan
    assert order.broken(boxes, NAMES) == ()
    assert order.broken(boxes[:0], ()) == ()
    assert order.lean(boxes[:0], ()) == 0.0
