"""The simulated day: the same day again from one seed, and what each order makes of it."""

import itertools

import pytest

from scripts.day import picture, ward
from scripts.day.arrivals import NOON, Arrival, day
from scripts.day.queues import FirstCome, Lanes
from scripts.day.ward import Shift
from service.values import Lane

STUDIES, FEW = 600, Shift(workers=1, batch=2)
"""A tenth of the work for a third of the workers: too much for one, so that some are overdue."""


def slow_day(seed: int) -> tuple[Arrival, ...]:
    return tuple(
        Arrival(one.number, one.at_s, one.lane, one.reading_s * 15) for one in day(STUDIES, seed)
    )


def test_a_seed_gives_one_day_and_another_seed_another() -> None:
    assert day(STUDIES, 1) == day(STUDIES, 1)
    assert day(STUDIES, 1) != day(STUDIES, 2)


def test_an_archive_sends_three_tenths_of_the_day_at_noon() -> None:
    dumped = [one.at_s for one in day(1000, 1) if one.lane is Lane.BACKFILL]
    assert len(dumped) == 300
    assert all(NOON <= at_s <= NOON + 600 for at_s in dumped)


@pytest.mark.parametrize("queue", [FirstCome, Lanes])
def test_every_study_is_claimed_once_and_not_before_it_came(
    queue: type[FirstCome] | type[Lanes],
) -> None:
    taken = ward.run(slow_day(1), queue(), FEW)
    assert sorted(one.arrival.number for one in taken) == list(range(STUDIES))
    assert all(one.waited_s >= 0 for one in taken)


@pytest.mark.parametrize("seed", range(3))
def test_lanes_keep_stat_short_on_a_day_on_which_first_come_does_not(seed: int) -> None:
    arrivals = slow_day(seed)
    before = ward.waits(ward.run(arrivals, FirstCome(), FEW))
    after = ward.waits(ward.run(arrivals, Lanes(), FEW))
    assert max(after[Lane.STAT]) < max(before[Lane.STAT]) / 3
    assert max(after[Lane.BACKFILL]) > max(after[Lane.ROUTINE])


@pytest.mark.parametrize("seed", range(3))
def test_nobody_starves_under_lanes_though_many_are_overdue(seed: int) -> None:
    taken = ward.run(slow_day(seed), Lanes(), FEW)
    assert sum(one.waited_s > 6 * 3600 for one in taken) > 20  # or nothing would be shown here
    assert ward.starved(taken, FEW) == ()


def test_who_is_left_for_the_end_is_found_to_starve() -> None:
    class NewestFirst(FirstCome):
        """What no order of a hospital may be."""

        def claim(self, limit: int, now_s: float) -> list[Arrival]:  # noqa: ARG002
            taken, self._waiting = self._waiting[-limit:], self._waiting[:-limit]
            return taken

    assert ward.starved(ward.run(slow_day(1), NewestFirst(), FEW), FEW)


def test_a_worker_that_is_away_claims_nothing() -> None:
    shift = Shift(workers=1, batch=1, outage=(3600.0, 7200.0))
    arrivals = tuple(Arrival(n, n * 60.0, Lane.ROUTINE, 10.0) for n in range(200))
    at = [one.at_s for one in ward.run(arrivals, FirstCome(), shift)]
    assert not [each for each in at if 3600 <= each < 7200]
    assert all(one <= other for one, other in itertools.pairwise(at))


def test_the_picture_has_a_panel_for_each_order() -> None:
    taken = ward.run(slow_day(1), FirstCome(), FEW)
    drawn = picture.svg([("first & last", taken), ("lanes", taken)])
    assert drawn.count("<path") == 2 * len(Lane)
    assert "first &amp; last" in drawn
