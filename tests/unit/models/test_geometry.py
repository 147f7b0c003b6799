import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from models.geometry import TURNS, Letterbox, Turn, clip, from_cxcywh, overlap, turn_for
from models.values import PixelBox

SIDES = st.integers(32, 20_000)
UNIT = st.floats(0, 1)


@st.composite
def boxes(draw: st.DrawFn, columns: int, rows: int) -> PixelBox:
    x = sorted((draw(UNIT) * columns, draw(UNIT) * columns))
    y = sorted((draw(UNIT) * rows, draw(UNIT) * rows))
    assume(x[1] - x[0] > 1e-3 and y[1] - y[0] > 1e-3)
    return PixelBox(x[0], y[0], x[1], y[1])


@given(SIDES, SIDES, st.sampled_from((160, 224, 1024)), st.data())
def test_letterbox_there_and_back_keeps_a_box_within_a_thousandth_of_a_pixel(
    rows: int, columns: int, side: int, data: st.DataObject
) -> None:
    box = data.draw(boxes(columns, rows))
    frame = Letterbox(rows, columns, side)
    back = frame.to_source(frame.to_network(box))
    for name in ("x_min", "y_min", "x_max", "y_max"):
        assert abs(getattr(back, name) - getattr(box, name)) <= 1e-3


@given(SIDES, SIDES)
def test_letterbox_puts_the_film_in_the_middle_of_the_square(rows: int, columns: int) -> None:
    frame = Letterbox(rows, columns, 224)
    whole = frame.to_network(PixelBox(0, 0, columns, rows))
    assert whole.centre == pytest.approx((112, 112))
    assert max(whole.width, whole.height) == pytest.approx(224)


def test_overlap_is_one_for_the_same_box_zero_apart_and_a_third_for_halves() -> None:
    box = PixelBox(0, 0, 10, 10)
    assert overlap(box, box) == 1.0
    assert overlap(box, PixelBox(10, 0, 20, 10)) == 0.0
    assert overlap(box, PixelBox(5, 0, 15, 10)) == pytest.approx(1 / 3)


def test_clip_keeps_at_least_a_pixel_even_for_a_box_beside_the_film() -> None:
    assert clip(PixelBox(-5, 2, 3, 400), 100, 50) == PixelBox(0, 2, 3, 100)
    outside = clip(PixelBox(80, 120, 90, 130), 100, 50)
    assert (outside.width, outside.height) == (1, 1)
    assert outside.x_max <= 50
    assert outside.y_max <= 100


def test_centre_and_size_become_corners() -> None:
    assert from_cxcywh((0.5, 0.25, 0.5, 0.5), 200) == PixelBox(50, 0, 150, 100)


def test_there_are_eight_orientations_and_the_usual_one_changes_nothing() -> None:
    assert len(TURNS) == 8
    assert TURNS["L", "F"] == Turn()
    assert turn_for(None) == Turn()


@pytest.mark.parametrize("declared", sorted(TURNS))
def test_a_marked_pixel_and_its_box_come_back_to_where_they_were_stored(
    declared: tuple[str, str],
) -> None:
    stored = np.zeros((7, 11), np.float32)
    stored[2, 9] = 1.0
    turn = turn_for(declared)
    canonical = turn.apply(stored)
    row, column = np.argwhere(canonical == 1.0)[0]
    box = PixelBox(column, row, column + 1, row + 1)
    assert turn.undo_box(box, *canonical.shape) == PixelBox(9, 2, 10, 3)
    assert np.array_equal(turn.undo(canonical), stored)


@pytest.mark.parametrize("declared", sorted(TURNS))
def test_after_turning_a_row_runs_to_the_left_and_a_column_to_the_feet(
    declared: tuple[str, str],
) -> None:
    # A film that holds, at every pixel, how far left and how far down in the patient it lies.
    left, foot = np.meshgrid(np.arange(5.0), np.arange(4.0))
    row, column = declared
    # Build the stored film: its row direction grows with `row`, its column direction with `column`.
    grids = [left, foot]
    for turn in TURNS.values():
        stored = [turn.undo(grid) for grid in grids]
        grows = {
            "row": [g[0, -1] - g[0, 0] for g in stored],
            "column": [g[-1, 0] - g[0, 0] for g in stored],
        }
        names = tuple(
            next(k for k, v in {"L": (0, 1), "R": (0, -1), "F": (1, 1), "H": (1, -1)}.items()
                 if np.sign(change[v[0]]) == v[1])
            for change in (grows["row"], grows["column"])
        )  # fmt: skip
        if names == (row, column):
            assert turn_for(declared) == turn
            break
    else:
        pytest.fail("no turn makes this orientation")


@pytest.mark.parametrize("declared", [("A", "F"), ("L", "L"), ("", ""), ("X", "Y")])
def test_an_orientation_that_no_frontal_film_has_is_read_as_the_usual_one(
    declared: tuple[str, str],
) -> None:
    assert turn_for(declared) == Turn()


def test_an_oblique_orientation_counts_by_its_first_letter() -> None:
    assert turn_for(("RF", "FL")) == turn_for(("R", "F"))
