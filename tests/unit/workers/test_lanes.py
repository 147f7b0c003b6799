import threading
from collections import Counter

import pytest

from workers.lanes import Lanes


def test_every_lane_is_served_until_none_has_anything_left() -> None:
    left = Counter({"a": 3, "b": 1, "c": 0})
    lock = threading.Lock()

    def serve(name: str) -> bool:
        with lock:
            left[name] -= 1
            return left[name] >= 0

    Lanes(serve, 60).run(["a", "b", "c"])
    assert max(left.values()) < 0


def test_a_lane_that_dawdles_holds_up_no_other() -> None:
    others = threading.Event()
    served = Counter[str]()

    def serve(name: str) -> bool:
        served[name] += 1
        if name == "slow":
            # It ends only once the other lane has served ten while this one was at its first.
            assert others.wait(30)
            return False
        if served[name] == 10:
            others.set()
        return served[name] < 20

    Lanes(serve, 60).run(["slow", "quick"])
    assert served["quick"] >= 20


def test_what_comes_in_while_another_lane_is_busy_is_served_too() -> None:
    came_in, served = threading.Event(), threading.Event()
    looks = Counter[str]()

    def serve(name: str) -> bool:
        looks[name] += 1
        if name == "slow":
            if looks[name] == 1:
                came_in.set()
                assert served.wait(30)
            return False
        if looks[name] > 1 and came_in.is_set():
            served.set()
        return False

    Lanes(serve, 60).run(["slow", "quick"])
    assert served.is_set()


def test_time_that_is_up_ends_a_lane_that_never_runs_dry() -> None:
    looks = Counter[str]()

    def serve(name: str) -> bool:
        looks[name] += 1
        return True

    Lanes(serve, 0.05).run(["a", "b"])
    assert looks["a"] > 0


def test_what_a_lane_raises_comes_out_after_the_others_have_ended() -> None:
    ended = threading.Event()

    def serve(name: str) -> bool:
        if name == "bad":
            raise OSError("the database is away")
        ended.set()
        return False

    with pytest.raises(OSError, match="away"):
        Lanes(serve, 60).run(["bad", "good"])
    assert ended.is_set()
