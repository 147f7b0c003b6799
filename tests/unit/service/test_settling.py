import itertools

import pytest

from service.settling import aim, path
from service.values import LEGAL_MOVES, JobState

ENCODED, SENDING, SENT = JobState.ENCODED, JobState.SENDING, JobState.SENT
DELIVERED, FAILED, SHADOW = JobState.DELIVERED, JobState.FAILED, JobState.SHADOW
STATES = (ENCODED, SENDING, SENT, DELIVERED, FAILED, SHADOW)


@pytest.mark.parametrize("state", STATES)
def test_with_one_destination_the_job_does_what_its_consignment_does(state: JobState) -> None:
    assert aim([state]) is state


@pytest.mark.parametrize(
    ("states", "job"),
    [
        ((ENCODED, ENCODED), ENCODED),
        ((ENCODED, SHADOW), ENCODED),
        ((ENCODED, DELIVERED), SENDING),
        ((SENT, DELIVERED), SENT),
        ((SENT, FAILED), SENDING),
        ((DELIVERED, FAILED), FAILED),
        ((DELIVERED, SHADOW), DELIVERED),
        ((SHADOW, SHADOW), SHADOW),
    ],
)
def test_the_job_is_as_far_as_the_one_furthest_behind(
    states: tuple[JobState, ...], job: JobState
) -> None:
    assert aim(states) is aim(states[::-1]) is job


def test_whatever_two_destinations_do_the_job_can_follow() -> None:
    reached = {((ENCODED, ENCODED), ENCODED)}
    waiting = set(reached)
    while waiting:
        states, job = waiting.pop()
        for number, to in itertools.product((0, 1), STATES):
            if to not in LEGAL_MOVES[states[number]]:
                continue
            # Only redelivery takes an end back, and it moves the job itself.
            if states[number] in {DELIVERED, FAILED}:
                continue
            after = (to, states[1]) if number == 0 else (states[0], to)
            moves = path(job, aim(after))
            at = job
            for one in moves:
                assert one in LEGAL_MOVES[at]
                at = one
            if at is not aim(after):  # it waits in SENDING for the one that has not begun
                assert (at, aim(after)) == (SENDING, ENCODED)
            if (after, at) not in reached:
                reached.add((after, at))
                waiting.add((after, at))
    ends = {job for states, job in reached if not set(states) & {ENCODED, SENDING, SENT}}
    assert ends == {DELIVERED, FAILED, SHADOW}
