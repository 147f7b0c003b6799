"""The parts of the fault campaign that need no system: plan, table, line, ledger."""

import gc
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

import namespaces
import pytest

from dicom.failpoints import Failpoint
from scripts.faults import ledger, network
from scripts.faults.breaking import BREAKERS
from scripts.faults.catalogue import DELIVERED, KINDS, Card, as_markdown, deck
from scripts.faults.episode import end_states
from scripts.faults.outside import JobSeen
from scripts.faults.plan import episodes
from scripts.faults.sender import Modality, Road, Sent, data_set, films
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


def test_the_first_episodes_of_two_plans_are_of_other_films(tmp_path: Path) -> None:
    kill, cut = (next(episodes(1, card)) for card in ("kill:web", "power:cut"))
    assert kill.number == cut.number
    first, other = (films(one, tmp_path / one.card.kind) for one in (kill, cut))
    assert {one.sop_instance_uid for study in first for one in study}.isdisjoint(
        one.sop_instance_uid for study in other for one in study
    )


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


def test_a_line_tells_how_much_passed_towards_the_server() -> None:
    with an_echo() as port, a_switch(port) as switch:
        passed: list[int] = []
        switch.passed = passed.append
        assert ask(switch) == b"hello"
        assert sum(passed) == len(b"hello")


def test_a_campaign_takes_a_cable_that_no_other_has(tmp_path: Path) -> None:
    taken: set[int] = set()
    for _ in range(5):
        number = network.free_number(tmp_path)
        assert number not in taken
        (tmp_path / f"carina-near{number}").mkdir()
        taken.add(number)
    for number in range(1, namespaces.CABLES):
        (tmp_path / f"carina-near{number}").mkdir(exist_ok=True)
    with pytest.raises(RuntimeError, match="too many cables"):
        network.free_number(tmp_path)


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


def test_the_ledger_tells_brokers_apart_and_lines_that_name_none_are_of_valkey(
    tmp_path: Path,
) -> None:
    line = {"seed": 1, "number": 1, "fault": "broker:wiped", "studies": 1, "films": 1, "hit": True}
    line |= {"recovery_s": 4.0, "violations": []}
    for broker in ({}, {"broker": "valkey"}, {"broker": "rabbitmq", "recovery_s": 8.0}):
        ledger.append(tmp_path, line | broker)
    text = ledger.report(tmp_path)
    assert "| broker:wiped | 2 | 2 | 2 | 4.0 | 4.0 |" in text
    assert "| broker:wiped, on RabbitMQ | 1 | 1 | 1 | 8.0 | 8.0 |" in text


class Upset:
    """A listener that resets whoever has said something."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.server.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.server.accept()
                client.recv(1)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                client.close()


# A socket left open would fail this test, warnings being errors.
@pytest.mark.filterwarnings("error")
def test_a_sender_that_is_reset_leaves_no_socket_and_remembers_it(tmp_path: Path) -> None:
    study = films(next(episodes(3, "none")), tmp_path)[:1]
    upset = Upset()
    modality = Modality(Road(upset.port), study, time.monotonic() + 1.0)
    modality.start()
    modality.finish()
    upset.server.close()
    del modality
    gc.collect()
    assert study[0][0].turned_away > 0
    assert study[0][0].answers == []
