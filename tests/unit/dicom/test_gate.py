import socket
import threading

import pytest

from dicom.gate import AllowList, Gate, Limits, Rejection, plain_address
from dicom.values import Caller, Peer


@pytest.mark.parametrize(
    ("entry", "calling", "address", "allowed"),
    [
        (Caller("CR1", "10.0.0.5"), "CR1", "10.0.0.5", True),
        (Caller("CR1", "10.0.0.5"), "CR1", "10.0.0.6", False),
        (Caller("CR1", "10.0.0.5"), "CR2", "10.0.0.5", False),
        (Caller("CR1", "10.0.0.5"), "cr1", "10.0.0.5", False),
        (Caller("*", "10.0.0.0/24"), "ANY", "10.0.0.77", True),
        (Caller("*", "10.0.0.0/24"), "ANY", "10.0.1.77", False),
        (Caller("CR1", "*"), "CR1", "192.0.2.1", True),
        (Caller("CR1", "*"), "CR1", "2001:db8::1", True),
        (Caller("CR1", "localhost"), "CR1", "127.0.0.1", True),
        (Caller("CR1", "::1"), "CR1", "127.0.0.1", False),
    ],
)
def test_a_caller_is_a_title_and_an_address(
    entry: Caller, calling: str, address: str, allowed: bool
) -> None:
    assert AllowList([entry]).allows(calling, address) is allowed


def test_nobody_is_allowed_by_an_empty_list() -> None:
    assert not AllowList([]).allows("CR1", "127.0.0.1")


def test_an_unknown_host_name_is_an_error_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*names: object, **hints: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(OSError, match="unknown"):
        AllowList([Caller("CR1", "no-such-host.invalid")])


@pytest.mark.parametrize(
    ("written", "plain"),
    [("::ffff:10.0.0.5", "10.0.0.5"), ("fe80::1%eth0", "fe80::1"), ("10.0.0.5", "10.0.0.5")],
)
def test_addresses_are_compared_in_one_form(written: str, plain: str) -> None:
    assert plain_address(written) == plain


def waiting_thread(until: threading.Event) -> threading.Thread:
    thread = threading.Thread(target=until.wait)
    thread.start()
    return thread


def test_an_ended_association_gives_its_place_back() -> None:
    gate = Gate("CARINA", AllowList([Caller("*", "*")]), Limits(maximum_associations=1))
    peer = Peer("CR1", "CARINA", "10.0.0.5")
    end = threading.Event()
    first = waiting_thread(end)
    gate.connected(first, peer.address)
    assert gate.judge(first, peer) is None
    assert gate.judge(threading.current_thread(), peer) is Rejection.TOO_MANY
    end.set()
    first.join()
    assert gate.judge(threading.current_thread(), peer) is None


def test_connections_are_counted_by_address_and_strangers_get_fewer() -> None:
    limits = Limits(connections_per_address=2, connections_per_stranger=1, maximum_connections=8)
    gate = Gate("CARINA", AllowList([Caller("CR1", "10.0.0.5")]), limits)
    end = threading.Event()
    threads = []
    for address, admitted in [
        ("10.0.0.5", True),
        ("10.0.0.5", True),
        ("10.0.0.5", False),
        ("10.0.0.6", True),
        ("10.0.0.6", False),
        ("10.0.0.7", True),
        ("10.0.0.8", False),
    ]:
        assert gate.admits(address) is admitted
        if admitted:
            threads.append(waiting_thread(end))
            gate.connected(threads[-1], address)
    end.set()
    for thread in threads:
        thread.join()
    assert gate.admits("10.0.0.5")


def test_the_called_title_is_judged_first() -> None:
    gate = Gate("CARINA", AllowList([]), Limits())
    peer = Peer("CR1", "OTHER", "10.0.0.5")
    assert gate.judge(threading.current_thread(), peer) is Rejection.CALLED_AE_TITLE


def test_every_rejection_has_words() -> None:
    assert all(rejection.words for rejection in Rejection)
