"""Serve several destinations side by side: the one that dawdles holds up nobody but itself."""

import contextvars
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

LOOK_AGAIN_S: Final = 1.0


class Lanes:
    """One lane for each destination, each a thread that lives as long as the round does.

    ``serve`` does one delivery of a lane and says whether there was one. A round ends when no lane
    has anything left. After ``at_most_s`` no lane goes on for its own sake; lanes still serve what
    comes in while another is busy with something that it began before.
    """

    def __init__(self, serve: Callable[[str], bool], at_most_s: float) -> None:
        self._serve = serve
        self._at_most_s = at_most_s
        self._change = threading.Condition()
        self._began: dict[str, float] = {}
        self._until = 0.0

    def run(self, names: Sequence[str]) -> None:
        """Serve all lanes; raises what a lane raised, after the others have ended."""
        self._until = time.monotonic() + self._at_most_s
        self._began = dict.fromkeys(names, time.monotonic())
        with ThreadPoolExecutor(len(names), thread_name_prefix="lane") as pool:
            lanes = [
                pool.submit(contextvars.copy_context().run, self._lane, name) for name in names
            ]
        for lane in lanes:
            lane.result()

    def _lane(self, name: str) -> None:
        try:
            while self._serve(name) or self._wait(name):
                with self._change:
                    self._began[name] = time.monotonic()
                    if not self._is_time(name):
                        return
        finally:
            with self._change:
                self._began.pop(name, None)
                self._change.notify_all()

    def _wait(self, name: str) -> bool:
        """Wait a moment with nothing to do; False when no other lane has anything either."""
        with self._change:
            self._began.pop(name, None)
            self._change.notify_all()
            if self._began:
                self._change.wait(LOOK_AGAIN_S)
            return bool(self._began)

    def _is_time(self, name: str) -> bool:
        if time.monotonic() < self._until:
            return True
        return any(began < self._until for one, began in self._began.items() if one != name)
