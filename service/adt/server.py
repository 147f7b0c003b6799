"""The process that listens for messages: MLLP by python-hl7 on asyncio, bounded, one at a time.

Messages of one connection are taken in turn; the database is spoken to in a thread of its own, so
a slow commit delays no other connection's bytes. What cannot be kept is not answered: the
connection is closed, and the sender tries again.

With TLS a connection begins in clear and is upgraded by its own conversation: so strangers, and who
has too many connections already, are turned away before a handshake costs anything.
"""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import structlog
from hl7.mllp import InvalidBlockError, start_hl7_server
from sqlalchemy.exc import SQLAlchemyError

from dicom import tls
from service import correcting, ready, secure
from service.adt.taking import Taken, TakingRules, take
from service.correcting import Places
from service.errors import StartFailed

if TYPE_CHECKING:
    from service.db.engine import Database
    from service.settings import Settings

GOODBYE_S: Final = 2.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one peer may take: bytes of a message, seconds of silence and of TLS, connections."""

    message_bytes: int = 1_000_000
    silence_s: float = 3600.0
    handshake_s: float = 10.0
    connections: int = 16
    connections_per_address: int = 4


@dataclass(frozen=True, slots=True)
class Door:
    """The addresses that may send, and the TLS they have to speak; None: none."""

    callers: frozenset[str]
    tls: "ssl.SSLContext | None" = None


class MessageServer:
    """One listener; :meth:`serve` runs until ``stop`` is set. ``door`` says who comes in."""

    def __init__(
        self,
        database: "Database",
        places: Places,
        door: Door,
        *,
        bounds: Bounds = Bounds(),
        with_updates: bool = False,
    ) -> None:
        self._database = database
        self._places = places
        self._door = door
        self._bounds = bounds
        self._rules = TakingRules(places.corrections, with_updates)
        self._open: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_over = False
        self.port = 0

    async def serve(self, host: str, port: int, stop: threading.Event) -> None:
        """Listen until ``stop`` is set; what is being taken then is finished and answered.

        Raises
        ------
        StartFailed
            If the address cannot be bound.
        """
        try:
            server = await start_hl7_server(
                self._connected, host, port, limit=self._bounds.message_bytes
            )
        except OSError as error:
            raise StartFailed(f"cannot listen on {host}:{port}: {error.strerror}") from error
        self.port = server.sockets[0].getsockname()[1]
        log.info("listening", port=self.port)
        ready.announce()
        async with server:
            await asyncio.to_thread(stop.wait)
        self._is_over = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _connected(self, reader: Any, writer: Any) -> None:  # noqa: ANN401  (hl7 is untyped)
        if self._door.tls is not None:
            writer.transport.pause_reading()  # its first bytes are those of TLS
        task = asyncio.get_running_loop().create_task(self._converse(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _converse(self, reader: Any, writer: Any) -> None:  # noqa: ANN401
        address = (writer.get_extra_info("peername") or ("",))[0]
        fault = self._fault_of(address)
        if fault:
            log.warning("hl7_connection_refused", peer_address=address, reason=fault)
            writer.transport.abort()
            return
        self._open[address] += 1
        try:
            _keep_alive(writer)
            if self._door.tls is not None:
                await writer.start_tls(
                    self._door.tls, ssl_handshake_timeout=self._bounds.handshake_s
                )
            # A cancellation that meets an answer on its way is spent on that: hence the flag.
            while not self._is_over and await self._one(reader, writer, address):
                pass
        except ssl.SSLError as error:
            log.warning("hl7_tls_refused", peer_address=address, reason=tls.words(error))
        except (OSError, asyncio.CancelledError):
            log.info("hl7_connection_ended", peer_address=address)
        finally:
            self._open[address] -= 1
            await _close(writer)

    def _fault_of(self, address: str) -> str:
        if address not in self._door.callers:
            return "the address may not send"
        if self._open[address] >= self._bounds.connections_per_address:
            return "too many connections from this address"
        if self._open.total() >= self._bounds.connections:
            return "too many connections"
        return ""

    async def _one(self, reader: Any, writer: Any, address: str) -> bool:  # noqa: ANN401
        """Take one message; False when the conversation is over."""
        try:
            content = await asyncio.wait_for(reader.readblock(), self._bounds.silence_s)
        except asyncio.IncompleteReadError:
            return False
        except (TimeoutError, ValueError, InvalidBlockError) as error:
            # A block that is too long, has no beginning, or does not come: the line is in disorder.
            log.warning("hl7_block_refused", peer_address=address, reason=type(error).__name__)
            return False
        taking = asyncio.get_running_loop().create_task(
            asyncio.to_thread(self._take, content, address)
        )
        try:
            answer = await asyncio.shield(taking)
        except asyncio.CancelledError:
            answer = await taking  # a stop finishes what was begun
        if answer is None:
            return False
        writer.writeblock(answer.content)
        await asyncio.wait_for(writer.drain(), self._bounds.silence_s)
        if answer.news:
            # Not waited for here; the end of the event loop waits for every thread of its pool.
            asyncio.get_running_loop().run_in_executor(None, self._apply)
        return True

    def _take(self, content: bytes, address: str) -> Taken | None:
        now = datetime.now(UTC)
        try:
            taken = take(self._database, content, address, self._rules, now)
        except (SQLAlchemyError, OSError) as error:
            log.error("hl7_message_not_kept", error=type(error).__name__)  # noqa: TRY400 - no text of it
            return None
        log.info("hl7_message_taken", answer=taken.answer, reason=taken.reason, news=taken.news)
        return taken

    def _apply(self) -> None:
        """Bring studies up to date at once; what fails here the sweep does again."""
        try:
            correcting.apply_pending(self._database, self._places, datetime.now(UTC))
        except (SQLAlchemyError, OSError) as error:
            log.warning("correction_waits", error=type(error).__name__)


def run(settings: "Settings", database: "Database", stop: threading.Event) -> None:
    """Listen with the settings of the site until ``stop`` is set."""
    server = MessageServer(
        database,
        Places(settings.corrections, settings.spool),
        Door(frozenset(settings.hl7_callers), secure.hl7_context(settings)),
        bounds=Bounds(
            settings.hl7_message_kb * 1000, settings.hl7_silence_s, settings.association_timeout_s
        ),
        with_updates=settings.hl7_updates,
    )
    asyncio.run(server.serve(settings.hl7_host, settings.hl7_port, stop))


async def _close(writer: Any) -> None:  # noqa: ANN401
    """Close a connection; a peer that does not say goodbye in TLS is not waited for long."""
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        await asyncio.wait_for(writer.wait_closed(), GOODBYE_S)
    writer.transport.abort()


def _keep_alive(writer: Any) -> None:  # noqa: ANN401
    """Let the kernel notice a peer that is gone; a quiet peer may be quiet for long."""
    peer = writer.get_extra_info("socket")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
