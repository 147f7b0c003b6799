"""Keep the leases of claimed jobs alive, but never longer than the hard limit."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import SQLAlchemyError

if TYPE_CHECKING:
    from service.values import Fence

log = structlog.get_logger(__name__)

BEATS_PER_LEASE = 3  # two may be lost before the lease is


@dataclass(frozen=True, slots=True)
class Pulse:
    """How to beat: ``renew`` returns the fences that are still ours; ``clock`` is aware UTC."""

    renew: "Callable[[Sequence[Fence], datetime], Sequence[Fence]]"
    lease: timedelta
    hard_limit: timedelta
    clock: Callable[[], datetime]


class Heartbeat:
    """The fences that one task holds, renewed from a thread of its own.

    A step that hangs in foreign code cannot beat by itself; a thread that beats for ever would
    keep a hung job alive. So it stops at the hard limit, and the lease then runs out.
    """

    def __init__(self, pulse: Pulse, fences: "Sequence[Fence]") -> None:
        self._pulse = pulse
        self._fences = tuple(fences)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._until = pulse.clock() + pulse.hard_limit
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """Stop beating; returns when the thread has ended."""
        self._stop.set()
        self._thread.join()

    def drop(self, fence: "Fence") -> None:
        """Beat no longer for a job that has ended."""
        with self._lock:
            self._fences = tuple(one for one in self._fences if one != fence)

    def holds(self, fence: "Fence") -> bool:
        """Return whether, as far as the last beat knew, the job is still ours."""
        with self._lock:
            return fence in self._fences

    def beat(self) -> None:
        """Renew every lease once; forget those that somebody else has now."""
        with self._lock:
            fences = self._fences
        if not fences:
            return
        try:
            ours = frozenset(self._pulse.renew(fences, self._pulse.clock()))
        except SQLAlchemyError as error:  # the database may be back before the lease is out
            log.warning("heartbeat_failed", error=type(error).__name__)
            return
        lost = [fence for fence in fences if fence not in ours]
        for fence in lost:
            log.warning("lease_lost", job_id=str(fence.job_id), attempt=fence.attempt)
            self.drop(fence)

    def _run(self) -> None:
        interval = self._pulse.lease.total_seconds() / BEATS_PER_LEASE
        while not self._stop.wait(interval) and self._pulse.clock() < self._until:
            self.beat()


@contextlib.contextmanager
def beating(pulse: Pulse, fences: "Sequence[Fence]") -> Iterator[Heartbeat]:
    """Keep the leases of ``fences`` alive inside the block."""
    heartbeat = Heartbeat(pulse, fences)
    heartbeat.start()
    try:
        yield heartbeat
    finally:
        heartbeat.stop()
