from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from workers.backoff import CAP, FIRST, after


@given(st.integers(0, 10**9))
def test_the_delay_stays_between_the_first_and_the_cap(attempt: int) -> None:
    assert FIRST <= after(attempt) <= CAP


@given(st.integers(1, 10**6))
def test_it_never_gets_shorter(attempt: int) -> None:
    assert after(attempt) <= after(attempt + 1)


def test_it_doubles() -> None:
    assert [after(n).total_seconds() for n in (1, 2, 3, 4)] == [2, 4, 8, 16]


def test_the_cap_may_be_lowered() -> None:
    assert after(9, timedelta(seconds=30)) == timedelta(seconds=30)
