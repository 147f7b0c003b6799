"""A line that can be broken: a TCP relay of ours in front of a server."""

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum

LOOPBACK = "127.0.0.1"
BACKLOG = 64
AT_ONCE = 65536
SLOW_BYTES = 4096
LOOK_S = 0.2


class Way(StrEnum):
    """How the line behaves towards whoever connects."""

    OPEN = "open"
    DOWN = "down"  # nobody listens
    CLOSES = "closes"  # accepted and closed at once
    CUTS = "cuts"  # reset after some bytes towards the server
    SLOW = "slow"
    SILENT = "silent"  # accepted; nothing ever moves


@dataclass
class Manner:
    """What the line does now; ``after_bytes`` and ``bytes_per_s`` are for CUTS and SLOW."""

    way: Way = Way.OPEN
    after_bytes: int = 40_000
    bytes_per_s: int = 150_000


class Switch:
    """Relays one port of the loopback to another; :attr:`manner` may change at any time.

    It listens on ``host``, with sockets made ``inside`` another host's network, if one is given.
    """

    def __init__(
        self,
        to: tuple[str, int],
        host: str = LOOPBACK,
        inside: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> None:
        self.to = to
        self.host = host
        self._inside = inside
        self.manner = Manner()
        self.connections = 0
        self.passed: Callable[[int], None] = lambda _count: None  # told of bytes for the server
        self._stopped = threading.Event()
        self._server = self._listen(0)
        self.port = int(self._server.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, name="switch", daemon=True)
        self._thread.start()

    def set(self, way: Way, after_bytes: int = 40_000) -> None:
        """Change how the line behaves, for connections there are and for new ones."""
        self.manner = Manner(way, after_bytes)

    def stop(self) -> None:
        """Relay no more."""
        self._stopped.set()
        self._thread.join()

    def _listen(self, port: int) -> socket.socket:
        with self._inside():
            server = socket.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((self.host, port))
        server.listen(BACKLOG)
        server.settimeout(LOOK_S)
        return server

    def _serve(self) -> None:
        while not self._stopped.is_set():
            if self.manner.way is Way.DOWN:
                self._server.close()  # connections are refused, as with no process there
                while self._is(Way.DOWN) and not self._stopped.wait(LOOK_S / 4):
                    pass
                if self._stopped.is_set():
                    return
                self._server = self._listen(self.port)
            with contextlib.suppress(TimeoutError, OSError):
                client, _ = self._server.accept()
                self.connections += 1
                threading.Thread(target=self._relay, args=(client,), daemon=True).start()
        self._server.close()

    def _relay(self, client: socket.socket) -> None:
        with client:
            if self.manner.way is Way.CLOSES:
                return
            if self.manner.way is Way.SILENT:
                while self._is(Way.SILENT) and not self._stopped.wait(LOOK_S):
                    pass
                return
            with contextlib.suppress(OSError), socket.create_connection(self.to, 5.0) as server:
                for link in (client, server):
                    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._carry(client, server)

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        """Pass bytes on until one side ends, or the manner ends it."""
        carried = 0
        while not self._stopped.is_set() and self.manner.way not in {Way.DOWN, Way.CLOSES}:
            if self._is(Way.SILENT):
                self._stopped.wait(LOOK_S)
                continue
            for source in select.select([client, server], [], [], LOOK_S)[0]:
                data = source.recv(SLOW_BYTES if self._is(Way.SLOW) else AT_ONCE)
                if source is client:
                    carried += len(data)
                    self.passed(len(data))
                if not data:
                    return
                if self._is(Way.CUTS) and carried > self.manner.after_bytes:
                    _reset(client, server)
                    return
                (server if source is client else client).sendall(data)
                if self._is(Way.SLOW):
                    time.sleep(len(data) / self.manner.bytes_per_s)

    def _is(self, way: Way) -> bool:
        return self.manner.way is way


def _reset(*links: socket.socket) -> None:
    for link in links:
        # Linger 0: the other side sees a reset, as from a pulled plug behind a firewall.
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
