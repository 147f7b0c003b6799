"""The simulation: studies come, workers claim batches and read them, one worker falls out."""

import bisect
import heapq
import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.day.arrivals import HOUR, Arrival
from service.lane_rules import CAPS
from service.order import OVERDUE_EVERY
from service.values import Lane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.day.queues import Queue


@dataclass(frozen=True, slots=True)
class Shift:
    """Who reads: how many workers, how many films each claims, when the last one is away."""

    workers: int = 3
    batch: int = 4
    outage: tuple[float, float] = (15 * HOUR, 16.5 * HOUR)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A study that was claimed: by the how-manieth claim, when."""

    arrival: Arrival
    claim: int
    at_s: float

    @property
    def waited_s(self) -> float:
        """From being queued to being claimed."""
        return self.at_s - self.arrival.at_s


def run(arrivals: "Sequence[Arrival]", queue: "Queue", shift: Shift) -> tuple[Claimed, ...]:
    """Return how each study was claimed, in the order of claiming.

    A worker that finds nothing waits for the next arrival, as for a bell.
    """
    coming = deque(arrivals)
    free = [(0.0, worker) for worker in range(shift.workers)]
    taken: list[Claimed] = []
    claims = 0
    while len(taken) < len(arrivals):
        now_s, worker = heapq.heappop(free)
        waiting = len(arrivals) - len(coming) - len(taken)
        if worker == shift.workers - 1 and shift.outage[0] <= now_s < shift.outage[1]:
            heapq.heappush(free, (shift.outage[1], worker))
        elif not waiting and coming[0].at_s > now_s:
            heapq.heappush(free, (coming[0].at_s, worker))
        else:
            if come := _come(coming, now_s):
                queue.put(come)
            claims += 1
            batch = [Claimed(one, claims, now_s) for one in queue.claim(shift.batch, now_s)]
            taken.extend(batch)
            reading_s = sum(one.arrival.reading_s for one in batch)
            heapq.heappush(free, (now_s + reading_s, worker))
    return tuple(taken)


def starved(taken: "Sequence[Claimed]", shift: Shift) -> tuple[Arrival, ...]:
    """Return the studies that waited longer than the order promises; there must be none.

    Once overdue, with ``p`` others overdue before it, a study is claimed within as many turns of
    the overdue as it takes to claim ``p + 1``, each of which comes every ``OVERDUE_EVERY`` claims.
    """
    times = [one.at_s for one in taken]
    before: list[int] = []
    found = []
    for one in sorted(taken, key=lambda each: (_overdue_s(each.arrival), each.claim)):
        index = bisect.bisect_left(times, _overdue_s(one.arrival))
        made = taken[index - 1].claim if index else 0
        if one.claim > made:
            ahead = len(before) - bisect.bisect_right(before, made)
            if one.claim > made + OVERDUE_EVERY * math.ceil((ahead + 1) / shift.batch):
                found.append(one.arrival)
        bisect.insort(before, one.claim)
    return tuple(found)


def waits(taken: "Sequence[Claimed]") -> "dict[Lane, list[float]]":
    """Return the waits by lane, in seconds, the shortest first."""
    return {
        lane: sorted(one.waited_s for one in taken if one.arrival.lane is lane) for lane in Lane
    }


def _come(coming: "deque[Arrival]", now_s: float) -> "list[Arrival]":
    come = []
    while coming and coming[0].at_s <= now_s:
        come.append(coming.popleft())
    return come


def _overdue_s(arrival: Arrival) -> float:
    return arrival.at_s + CAPS[arrival.lane].total_seconds()
