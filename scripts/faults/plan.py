"""The plan of a campaign: which fault when, on how many studies. A seed gives the same plan."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from scripts.faults.catalogue import Card, deck

STUDIES = (1, 1, 1, 1, 2, 2, 2, 3, 4)
FILMS = (1, 1, 1, 2)
DELAY_MAX_S = 3.0
HOLD_S = (1.0, 5.0)
NTH_MAX = 2


@dataclass(frozen=True, slots=True)
class Episode:
    """One fault and what it meets.

    ``films`` is the number of films of each study. The fault comes ``delay_s`` after the first
    film is offered and, where it lasts, ends ``hold_s`` later; a failpoint goes off at the ``nth``
    reach. The ``planted`` study is the one that a fault of a film is planted in.
    """

    seed: int
    number: int
    card: Card
    films: tuple[int, ...]
    delay_s: float
    hold_s: float
    nth: int
    planted: int

    @property
    def name(self) -> str:
        """Names the episode, its films and its studies.

        The card is in it: the first episodes of two plans would otherwise be of the same films, and
        whoever is sent the same films again has nothing left to do that could meet a fault.
        """
        return f"faults/{self.seed}/{self.card.name}/{self.number}"


def episodes(seed: int, only: str = "*") -> Iterator[Episode]:
    """Yield episodes without end: every card once, in an order of its own, then again.

    Raises
    ------
    ValueError
        If no fault is called so.
    """
    cards = list(deck(only))
    if not cards:
        raise ValueError(f"no fault is called {only!r}")
    draw = random.Random(f"carina faults {seed}")  # noqa: S311  (a plan, no secret)
    hand: list[Card] = []
    for number in count(1):
        if not hand:
            hand = draw.sample(cards, len(cards))
        card = hand.pop()
        studies = draw.choice(STUDIES)
        if card.kind == "film":
            studies = max(2, studies)  # an innocent beside it
        yield Episode(
            seed,
            number,
            card,
            tuple(draw.choice(FILMS) for _ in range(studies)),
            delay_s=round(draw.uniform(0.0, DELAY_MAX_S), 3),
            hold_s=round(draw.uniform(*HOLD_S), 3),
            nth=draw.randint(1, NTH_MAX),
            planted=draw.randrange(studies),
        )
