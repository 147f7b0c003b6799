"""What comes on a simulated day, hour by hour; drawn from a seed, so that a day can be repeated."""

import random
from dataclasses import dataclass
from typing import Final

from service.values import Lane

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
NOON: Final = 12 * HOUR
DUMPED: Final = 0.3
"""The part of a day's studies that an archive sends at noon, all at once: 3,000 of 10,000."""

DUMP_TAKES_S: Final = 600.0
MEAN_READING_S: Final = 10.0
SPREAD: Final = 0.35

SHARES: Final = {Lane.STAT: 0.03, Lane.URGENT: 0.27, Lane.ROUTINE: 0.70}
"""Of the studies that are not dumped."""

BY_HOUR: Final = {
    # Emergencies know no hour, but are more in the evening.
    Lane.STAT: (2, 2, 1, 1, 1, 2, 2, 3, 4, 4, 4, 4, 4, 4, 4, 5, 5, 6, 6, 6, 5, 4, 3, 3),
    # Intensive care is filmed before the morning round; the emergency department peaks twice.
    Lane.URGENT: (3, 2, 2, 2, 4, 9, 9, 5, 4, 6, 8, 8, 6, 5, 5, 6, 8, 9, 10, 10, 9, 7, 5, 4),
    # The day shift, with its lunch.
    Lane.ROUTINE: (0, 0, 0, 0, 0, 0, 1, 6, 12, 14, 14, 12, 8, 11, 12, 11, 8, 4, 2, 1, 1, 0, 0, 0),
}
"""How much more comes in one hour than in another, by lane."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One study: when it is queued and how long its reading takes, in seconds from midnight."""

    number: int
    at_s: float
    lane: Lane
    reading_s: float


def day(studies: int, seed: int) -> tuple[Arrival, ...]:
    """Return the studies of one day in the order of their coming."""
    dice = random.Random(seed)  # noqa: S311  (a simulation, to be repeated)
    dumped = round(studies * DUMPED)
    drawn = [(NOON + dice.uniform(0, DUMP_TAKES_S), Lane.BACKFILL) for _ in range(dumped)]
    for _ in range(studies - dumped):
        lane = dice.choices(list(SHARES), list(SHARES.values()))[0]
        hour = dice.choices(range(24), BY_HOUR[lane])[0]
        drawn.append((hour * HOUR + dice.uniform(0, HOUR), lane))
    return tuple(
        Arrival(number, at_s, lane, MEAN_READING_S * dice.lognormvariate(-(SPREAD**2) / 2, SPREAD))
        for number, (at_s, lane) in enumerate(sorted(drawn))
    )
