"""Stopping by signals: however many come, and whatever the main thread holds just then."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from service import listener


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_sets_the_event(number: signal.Signals) -> None:
    stop = listener.stop_on_signals()
    os.kill(os.getpid(), number)
    assert stop.wait(10)


@pytest.mark.timeout(20)
def test_a_signal_that_meets_the_lock_of_the_event_does_not_wait_for_itself() -> None:
    stop = listener.stop_on_signals()
    with stop._cond:  # as the main thread holds it for a moment in every wait
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert threading.current_thread() is threading.main_thread()
    assert stop.wait(10)
