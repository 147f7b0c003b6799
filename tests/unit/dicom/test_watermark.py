import errno
from pathlib import Path

import pytest
import structlog

from dicom import spool
from dicom.watermark import Room, Watermark

MEGABYTE = 1_000_000


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    state = {"free": 10 * MEGABYTE}
    monkeypatch.setattr(spool, "free_bytes", lambda _: state["free"])
    return state


def refuses_new(watermark: Watermark) -> bool:
    try:
        watermark.check_new()
    except OSError as error:
        return error.errno == errno.ENOSPC
    return False


def test_new_films_are_refused_below_the_reserve_until_there_is_room_again(
    disk: dict[str, int],
) -> None:
    watermark = Watermark(Path(), Room(5 * MEGABYTE, 1 << 30, 8 * MEGABYTE))
    course = [(6, False), (5, False), (4, True), (5, True), (7, True), (8, False), (6, False)]
    for free, refused in course:
        disk["free"] = free * MEGABYTE
        assert refuses_new(watermark) is refused, free


def test_a_film_that_has_begun_may_end_while_the_reserve_holds(disk: dict[str, int]) -> None:
    watermark = Watermark(Path(), Room(5 * MEGABYTE, 1 << 30, 8 * MEGABYTE))
    disk["free"] = 4 * MEGABYTE
    assert refuses_new(watermark)
    with pytest.raises(OSError, match="below the reserve"):
        watermark.check_begun()
    disk["free"] = 6 * MEGABYTE
    watermark.check_begun()
    assert refuses_new(watermark)


def test_a_film_that_drives_the_disk_below_the_reserve_closes_it_for_new_ones(
    disk: dict[str, int],
) -> None:
    watermark = Watermark(Path(), Room(5 * MEGABYTE, 1 << 30, 8 * MEGABYTE))
    disk["free"] = 4 * MEGABYTE
    with pytest.raises(OSError, match="below the reserve"):
        watermark.check_begun()
    disk["free"] = 6 * MEGABYTE
    assert refuses_new(watermark)


def test_without_a_mark_of_its_own_it_resumes_at_the_reserve(disk: dict[str, int]) -> None:
    watermark = Watermark(Path(), Room(5 * MEGABYTE, 1 << 30))
    disk["free"] = 4 * MEGABYTE
    assert refuses_new(watermark)
    disk["free"] = 5 * MEGABYTE
    assert not refuses_new(watermark)


def test_each_turn_is_told_once(disk: dict[str, int]) -> None:
    watermark = Watermark(Path(), Room(5 * MEGABYTE, 1 << 30, 8 * MEGABYTE))
    with structlog.testing.capture_logs() as told:
        for free in (4, 4, 6, 9, 9):
            disk["free"] = free * MEGABYTE
            refuses_new(watermark)
    assert [one["event"] for one in told] == ["intake_refuses_disk_low", "intake_resumes_disk_free"]
