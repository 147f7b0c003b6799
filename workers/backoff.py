"""How long to wait before another try: doubling, capped, for ever."""

from datetime import timedelta
from typing import Final

FIRST: Final = timedelta(seconds=2)
CAP: Final = timedelta(minutes=5)
_DOUBLINGS = 20  # beyond the cap anyway; keeps the number small after years of trying


def after(attempt: int, cap: timedelta = CAP) -> timedelta:
    """Return the delay after the ``attempt``-th failure, counted from 1."""
    return min(cap, FIRST * (1 << min(max(attempt, 1) - 1, _DOUBLINGS)))
