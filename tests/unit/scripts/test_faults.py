"""The parts of the fault campaign that need no system: plan, table, line, ledger."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

import pytest

from dicom.failpoints import Failpoint
from scripts.faults import ledger
from scripts.faults.breaking import BREAKERS
from scripts.faults.catalogue import DELIVERED, KINDS, Card, as_markdown, deck
from scripts.faults.episode import end_states
from scripts.faults.outside import JobSeen
from scripts.faults.plan import episodes
from scripts.faults.sender import Sent, data_set, films
from scripts.faults.switch import Switch, Way


def test_a_seed_gives_the_same_plan_and_another_seed_another() -> None:
    first, again, other = (list(islice(episodes(seed), 120)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_every_card_is_played_before_any_comes_twice() -> None:
    cards = deck()
    played = [one.card for one in islice(episodes(7), len(cards))]
    assert sorted(one.name for one in played) == sorted(one.name for one in cards)


def test_a_pattern_chooses_cards_and_one_that_fits_nothing_is_refused() -> None:
    assert {one.name for one in deck("broker:*,none")} == {
        *("broker:cut", "broker:killed", "broker:wiped", "none")
    }
    with pytest.raises(ValueError, match="no fault is called"):
        next(episodes(1, "earthquake"))


def test_every_failpoint_has_a_card_and_every_kind_a_way_to_bring_it_about() -> None:
    names = {one.name for one in deck()}
    assert all(f"failpoint:{point}" in names for point in Failpoint)
    assert set(BREAKERS) == set(KINDS)


def test_only_planted_films_and_permanent_refusals_may_end_failed() -> None:
    lenient = {name for name, kind in KINDS.items() if kind.innocent != DELIVERED}
    assert lenient == {"permanent"}
    assert {name for name, kind in KINDS.items() if kind.planted != DELIVERED} == {
        *("permanent", "film")
    }
    assert as_markdown().count("\n") == len(KINDS) + 2


def test_the_same_episode_makes_the_same_films(tmp_path: Path) -> None:
    episode = next(episodes(3, "none"))
    first, again = films(episode, tmp_path / "a"), films(episode, tmp_path / "b")
    digests = [[one.sha256 for one in study] for study in first]
    assert digests == [[one.sha256 for one in study] for study in again]
    assert [len(study) for study in first] == list(episode.films)
    content = first[0][0].path.read_bytes()
    assert content.endswith(data_set(content))
    assert len(data_set(content)) > 100_000


def test_a_study_that_ends_otherwise_than_the_table_allows_is_told() -> None:
    episode = next(one for one in episodes(1, "kill:web") if len(one.films) == 1)
    study = [[Sent(Path("a.dcm"), "1.2", "1.2.3", "1.2", "", [0])]]
    job = JobSeen("j", "1.2", 1, "FAILED", 1, "BUG")  # type: ignore[arg-type]
    assert end_states(episode, study, [job], {"1.2": "DELIVERED"}) == []
    assert end_states(episode, study, [job], {"1.2": "FAILED"}) == [
        "end: study 0 ended FAILED (BUG)"
    ]
    assert end_states(episode, study, [], {}) == ["end: study 0 ended None ()"]


@contextmanager
def an_echo() -> Iterator[int]:
    """Give the port of a server that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                with client, suppress(OSError):
                    while data := client.recv(4096):
                        client.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@contextmanager
def a_switch(port: int) -> Iterator[Switch]:
    switch = Switch(("127.0.0.1", port))
    try:
        yield switch
    finally:
        switch.stop()


def ask(switch: Switch, data: bytes = b"hello") -> bytes:
    with socket.create_connection(("127.0.0.1", switch.port), 5) as link:
        link.settimeout(5)
        link.sendall(data)
        return link.recv(4096)


def test_a_line_carries_both_ways_until_it_is_down_and_again_after() -> None:
    with an_echo() as port, a_switch(port) as switch:
        assert ask(switch) == b"hello"
        switch.set(Way.DOWN)
        refused = threading.Event()
        for _ in range(100):
            try:
                ask(switch)
            except ConnectionRefusedError:
                refused.set()
                break
            except OSError:
                continue
        assert refused.is_set()
        switch.set(Way.OPEN)
        for _ in range(200):
            try:
                answer = ask(switch)
            except ConnectionRefusedError:
                threading.Event().wait(0.05)
                continue
            assert answer == b"hello"
            break
        else:
            pytest.fail("the line did not come back")


def test_a_line_cuts_after_its_bytes_with_a_reset() -> None:
    with an_echo() as port, a_switch(port) as switch:
        switch.set(Way.CUTS, after_bytes=3)
        with pytest.raises(ConnectionResetError):
            ask(switch)


def test_a_line_that_closes_says_nothing() -> None:
    with an_echo() as port, a_switch(port) as switch:
        switch.set(Way.CLOSES)
        assert ask(switch, b"") == b""


def test_the_ledger_adds_up_over_runs_and_names_what_did_not_hold(tmp_path: Path) -> None:
    point = Card("failpoint", Failpoint.FILE_SYNCED)
    line = {"seed": 1, "number": 1, "fault": point.name, "studies": 2, "films": 3, "hit": True}
    line |= {"recovery_s": 4.0, "violations": []}
    for number in range(10):
        ledger.append(tmp_path, line | {"number": number})
    bad = {"seed": 2, "fault": "kill:web", "violations": ["leases: past their end"]}
    ledger.append(tmp_path, line | bad)
    text = ledger.report(tmp_path)
    assert "11 episodes, 22 studies, 33 films; seeds 1, 2." in text
    assert "| failpoint:listener.file-synced | 10 | 10 | 10 | 4.0 | 4.0 |" in text
    assert "- seed 2, episode 1, kill:web: leases: past their end" in text
    assert "listener.file-synced (" not in text
    assert "listener.file-renamed (0)" in text
