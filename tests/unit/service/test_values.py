from service.lifecycle import EVENT_OF, STAYS_OWNED
from service.values import LEGAL_MOVES, JobState


def test_every_state_has_its_moves_and_its_event() -> None:
    assert set(LEGAL_MOVES) == set(JobState) == set(EVENT_OF)


def test_every_state_but_the_first_can_be_reached() -> None:
    reached, waiting = set[JobState](), {JobState.QUEUED}
    while waiting:
        state = waiting.pop()
        reached.add(state)
        waiting |= LEGAL_MOVES[state] - reached
    assert reached == set(JobState)


def test_what_has_left_the_house_is_never_quietly_dropped() -> None:
    for state in (JobState.SENDING, JobState.SENT, JobState.DELIVERED):
        assert not LEGAL_MOVES[state] & {JobState.SUPERSEDED, JobState.SKIPPED, JobState.QUEUED}


def test_no_two_states_share_an_event() -> None:
    assert len(set(EVENT_OF.values())) == len(EVENT_OF)


def test_only_states_that_somebody_works_in_keep_an_owner() -> None:
    assert {JobState.RUNNING, JobState.SENDING, JobState.SENT} == STAYS_OWNED
