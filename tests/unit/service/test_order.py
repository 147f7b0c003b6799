from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from service import order
from service.lane_rules import CAPS
from service.order import OVERDUE_EVERY
from service.values import Lane

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ORDINARY, OVERDUE = 1, OVERDUE_EVERY


@dataclass(frozen=True)
class Waits:
    """A job in the queue."""

    lane: int
    next_attempt_at: datetime
    overdue_at: datetime
    name: str = ""


def waits(lane: Lane, since: int, name: str = "") -> Waits:
    """Return a job of a lane, queued ``since`` minutes after noon."""
    queued_at = NOON + since * MINUTE
    return Waits(int(lane), queued_at, queued_at + CAPS[lane], name)


def names(found: list[Waits]) -> list[str]:
    return [one.name for one in found]


queues = st.lists(
    st.builds(waits, st.sampled_from(Lane), st.integers(-600, 10)), min_size=1, max_size=40
)


def test_the_more_urgent_lane_goes_first_and_within_it_the_longest_waiting() -> None:
    waiting = [
        waits(Lane.BACKFILL, -3, "old"),
        waits(Lane.ROUTINE, -1, "routine"),
        waits(Lane.URGENT, 0, "second"),
        waits(Lane.URGENT, -1, "first"),
    ]
    found = order.choose(waiting, 4, NOON, ORDINARY)
    assert names(found) == ["first", "second", "routine", "old"]


def test_a_stat_study_shares_its_batch_with_stat_studies_only() -> None:
    waiting = [waits(Lane.ROUTINE, -1), waits(Lane.STAT, 0, "stat"), waits(Lane.URGENT, -1)]
    assert names(order.choose(waiting, 4, NOON, ORDINARY)) == ["stat"]


def test_a_turn_of_the_overdue_takes_the_longest_overdue_of_any_lane() -> None:
    waiting = [
        waits(Lane.STAT, 0, "stat"),
        waits(Lane.ROUTINE, -31, "a minute over"),
        waits(Lane.BACKFILL, -363, "three minutes over"),
    ]
    found = order.choose(waiting, 4, NOON, OVERDUE)
    assert names(found) == ["three minutes over", "a minute over"]


def test_a_turn_of_the_overdue_without_any_is_an_ordinary_one() -> None:
    waiting = [waits(Lane.ROUTINE, -1, "routine"), waits(Lane.STAT, 0, "stat")]
    assert names(order.choose(waiting, 1, NOON, OVERDUE)) == ["stat"]


@given(queues, st.integers(1, 8), st.integers(0, 8))
def test_what_is_claimed_is_due_and_nobody_due_waits_while_a_worker_goes_home(
    waiting: list[Waits], limit: int, turn: int
) -> None:
    found = order.choose(waiting, limit, NOON, turn)
    assert all(one.next_attempt_at <= NOON for one in found)
    assert len(found) <= limit
    assert bool(found) == any(one.next_attempt_at <= NOON for one in waiting)


@given(queues)
def test_within_a_lane_nobody_overtakes_who_was_due_before_him(waiting: list[Waits]) -> None:
    taken: list[Waits] = []
    turn = 0
    while due := [one for one in waiting if one.next_attempt_at <= NOON]:
        turn += 1
        (one,) = order.choose(due, 1, NOON, turn)
        waiting.remove(one)
        taken.append(one)
    for lane in Lane:
        since = [one.next_attempt_at for one in taken if one.lane == lane]
        assert since == sorted(since)


@given(queues, st.integers(1, 4), st.sampled_from(Lane), st.integers(0, OVERDUE_EVERY))
def test_an_overdue_job_is_claimed_soon_however_much_of_higher_rank_keeps_coming(
    waiting: list[Waits], limit: int, lane: Lane, turn: int
) -> None:
    victim = waits(lane, -601, "victim")
    victim = Waits(victim.lane, victim.next_attempt_at, NOON, "victim")
    ahead = sum(one.overdue_at <= NOON for one in waiting)
    queue = [*waiting, victim]
    at_most = OVERDUE_EVERY * ceil((ahead + 1) / limit)
    for claim in range(1, at_most + 1):
        # Before each claim comes more of the highest rank than a claim can take.
        queue += [waits(Lane.STAT, claim, f"flood {claim}") for _ in range(limit)]
        now = NOON + claim * MINUTE
        for one in order.choose(queue, limit, now, turn + claim):
            queue.remove(one)
        if victim not in queue:
            return
    raise AssertionError(f"not claimed within {at_most} claims with {ahead} ahead")


@given(st.integers(1, 200), st.integers(0, OVERDUE_EVERY))
def test_a_stat_study_waits_for_one_claim_at_most_behind_a_dump_that_is_overdue(
    dumped: int, turn: int
) -> None:
    queue = [waits(Lane.BACKFILL, -600) for _ in range(dumped)] + [waits(Lane.STAT, 0, "stat")]
    first = order.choose(queue, 1, NOON, turn)
    second = order.choose(queue, 1, NOON, turn + 1)
    assert "stat" in names(first + second)
