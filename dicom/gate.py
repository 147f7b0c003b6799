"""Who may connect: how many connections from where, and which pairs of AE title and address."""

import ipaddress
import socket
import threading
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from threading import Thread

    from dicom.values import Caller, Peer

ANY = "*"
_STRANGERS_SHARE = 4
"""Strangers from many addresses must not hold every place; this is the share they may hold."""


class Rejection(Enum):
    """Why an association is rejected: result, source, diagnostic (PS3.8 table 9-21)."""

    CALLING_AE_TITLE = (0x01, 0x01, 0x03)
    CALLED_AE_TITLE = (0x01, 0x01, 0x07)
    TOO_MANY = (0x02, 0x03, 0x02)

    @property
    def words(self) -> str:
        """What an operator reads."""
        return {
            Rejection.CALLING_AE_TITLE: "caller is not on the list of AE titles and addresses",
            Rejection.CALLED_AE_TITLE: "called AE title is not ours",
            Rejection.TOO_MANY: "too many associations at once",
        }[self]


@dataclass(frozen=True, slots=True)
class Limits:
    """How many at once.

    A connection is not yet an association: one that stays silent takes no place of those that
    speak. ``connections_per_stranger`` is for addresses that no caller on the list has; all of them
    together never hold more than a quarter of ``maximum_connections``.
    """

    maximum_associations: int = 50
    connections_per_address: int = 50
    connections_per_stranger: int = 4
    maximum_connections: int = 100


class AllowList:
    """The callers, ready to be asked; host names are looked up once, at the start.

    Raises
    ------
    OSError
        If the host name of a caller cannot be resolved.
    """

    def __init__(self, callers: "Iterable[Caller]") -> None:
        self._entries = tuple((c.ae_title, _networks(c.address)) for c in callers)

    def knows_address(self, address: str) -> bool:
        """Return whether any caller may come from there."""
        return any(_contains(networks, address) for _, networks in self._entries)

    def allows(self, calling_ae_title: str, address: str) -> bool:
        """Return whether this AE title may come from there."""
        return any(
            ae_title in (ANY, calling_ae_title) and _contains(networks, address)
            for ae_title, networks in self._entries
        )


class Gate:
    """Counts connections and associations, and says no.

    Threads stand for associations: one that has ended no longer counts, whatever way it ended.
    """

    def __init__(self, ae_title: str, allow_list: AllowList, limits: Limits) -> None:
        self._ae_title = ae_title
        self._allow_list = allow_list
        self._limits = limits
        self._lock = threading.Lock()
        self._connections: dict[Thread, str] = {}
        self._associations: set[Thread] = set()

    def admits(self, address: str) -> bool:
        """Return whether one more connection from there is taken."""
        with self._lock:
            self._forget_ended()
            held = list(self._connections.values())
            if len(held) >= self._limits.maximum_connections:
                return False
            theirs = held.count(address)
            if self._allow_list.knows_address(address):
                return theirs < self._limits.connections_per_address
            strangers = sum(not self._allow_list.knows_address(other) for other in held)
            return theirs < self._limits.connections_per_stranger and strangers < max(
                1, self._limits.maximum_connections // _STRANGERS_SHARE
            )

    def connected(self, thread: "Thread", address: str) -> None:
        """Count a connection, held by a thread about to start."""
        with self._lock:
            self._connections[thread] = address

    def judge(self, thread: "Thread", peer: "Peer") -> Rejection | None:
        """Count an association that is requested, or say why not."""
        if peer.called_ae_title != self._ae_title:
            return Rejection.CALLED_AE_TITLE
        if not self._allow_list.allows(peer.calling_ae_title, peer.address):
            return Rejection.CALLING_AE_TITLE
        with self._lock:
            self._forget_ended()
            if len(self._associations) >= self._limits.maximum_associations:
                return Rejection.TOO_MANY
            self._associations.add(thread)
        return None

    def ended(self, thread: "Thread") -> None:
        """Stop counting an association whose thread is still closing."""
        with self._lock:
            self._associations.discard(thread)
            self._connections.pop(thread, None)

    def _forget_ended(self) -> None:
        # A thread that is about to start has no identity yet, and counts.
        gone = [t for t in self._connections if t.ident is not None and not t.is_alive()]
        for thread in gone:
            del self._connections[thread]
            self._associations.discard(thread)


def plain_address(address: str) -> str:
    """Return an IPv4 address that came in IPv6 clothes as itself, without a zone."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)


Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]


def _networks(address: str) -> Networks | None:
    """Return the networks of an address, a CIDR block or a host name; None for any."""
    if address == ANY:
        return None
    try:
        return (ipaddress.ip_network(address, strict=False),)
    except ValueError:
        found = socket.getaddrinfo(address, None, type=socket.SOCK_STREAM)
        return tuple({ipaddress.ip_network(plain_address(str(entry[4][0]))) for entry in found})


def _contains(networks: Networks | None, address: str) -> bool:
    return networks is None or any(ipaddress.ip_address(address) in one for one in networks)
