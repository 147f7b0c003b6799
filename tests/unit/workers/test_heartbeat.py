import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from sqlalchemy.exc import OperationalError

from service.values import Fence
from workers.heartbeat import Heartbeat, Pulse, beating

FENCES = tuple(Fence(uuid4(), 1, "worker") for _ in range(3))
SECOND = timedelta(seconds=1)


@dataclass
class Rows:
    """Stands in for the table of jobs."""

    ours: set[Fence] = field(default_factory=lambda: set(FENCES))
    now: datetime = datetime(2026, 3, 1, tzinfo=UTC)
    asked: list[tuple[Fence, ...]] = field(default_factory=list)
    broken: bool = False
    beaten: threading.Event = field(default_factory=threading.Event)

    def renew(self, fences: Sequence[Fence], now: datetime) -> Sequence[Fence]:
        assert now == self.now
        self.asked.append(tuple(fences))
        self.beaten.set()
        if self.broken:
            raise OperationalError("x", None, ValueError())
        return [fence for fence in fences if fence in self.ours]

    def clock(self) -> datetime:
        return self.now

    def pulse(self, lease: timedelta = SECOND, hard_limit: timedelta = 60 * SECOND) -> Pulse:
        return Pulse(self.renew, lease, hard_limit, self.clock)


def test_a_beat_renews_every_lease() -> None:
    rows = Rows()
    Heartbeat(rows.pulse(), FENCES).beat()
    assert rows.asked == [FENCES]


def test_a_lost_lease_is_forgotten() -> None:
    rows = Rows(ours={FENCES[0]})
    heartbeat = Heartbeat(rows.pulse(), FENCES)
    heartbeat.beat()
    assert [heartbeat.holds(fence) for fence in FENCES] == [True, False, False]


def test_an_ended_job_is_not_renewed() -> None:
    rows = Rows()
    heartbeat = Heartbeat(rows.pulse(), FENCES)
    heartbeat.drop(FENCES[1])
    heartbeat.beat()
    assert rows.asked == [(FENCES[0], FENCES[2])]


def test_a_database_that_is_away_costs_no_lease_by_itself() -> None:
    rows = Rows(broken=True)
    heartbeat = Heartbeat(rows.pulse(), FENCES)
    heartbeat.beat()
    assert all(heartbeat.holds(fence) for fence in FENCES)


def test_it_beats_by_itself_while_the_block_lasts() -> None:
    rows = Rows()
    with beating(rows.pulse(lease=SECOND / 100), FENCES):
        assert rows.beaten.wait(10)
    beats = len(rows.asked)
    rows.beaten.clear()
    assert not rows.beaten.wait(0.05)
    assert len(rows.asked) == beats


def test_it_stops_at_the_hard_limit_whatever_the_step_does() -> None:
    rows = Rows()
    heartbeat = Heartbeat(rows.pulse(lease=SECOND / 100, hard_limit=60 * SECOND), FENCES)
    rows.now += 61 * SECOND
    heartbeat.start()
    heartbeat._thread.join(10)
    assert not heartbeat._thread.is_alive()
    assert rows.asked == []
