"""Threads of an association that wait for work, where pynetdicom's look for it again and again.

pynetdicom 3.0.4 has two threads for each association. One looks a thousand times a second whether
a message has come, the other, in between short sleeps, whether there is something to read or to
send. With ten senders that costs more processor time than receiving. Here both sleep until they
are woken: by the socket, by a message, by a primitive that is to be sent.
"""

import os
import queue
import select
import ssl
import weakref
from typing import TYPE_CHECKING, Any, Final, cast

from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.transport import AssociationSocket

if TYPE_CHECKING:
    from collections.abc import Callable

    from pynetdicom.association import Association

LONGEST_S: Final = 0.05
"""What nobody wakes a thread for (timers, being told to end) is seen after this, seconds."""
_PAUSE_S: Final = 0.001  # before a primitive is sent, and the shortest turn of a thread
_NO_MESSAGE: Final = (None, None)
_RINGS_MAX: Final = 8


class Bell:
    """Wakes a thread that waits for a socket; rings are not counted."""

    def __init__(self) -> None:
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        weakref.finalize(self, os.close, self._descriptor)

    def fileno(self) -> int:
        """Return what ``select`` waits for."""
        return self._descriptor

    def ring(self) -> None:
        """Wake whoever waits, or waits next."""
        os.eventfd_write(self._descriptor, 1)

    def silence(self) -> None:
        """Take what has rung so far."""
        try:
            os.eventfd_read(self._descriptor)
        except BlockingIOError:
            return


class WakefulSocket(AssociationSocket):
    """Waits in :attr:`ready` for bytes to read or a primitive to send, where the stock one asks."""

    _bell: Bell

    @property
    def ready(self) -> bool:
        """Whether there is something to read.

        When there is not, it takes up to :data:`LONGEST_S` to say so.
        """
        connection = self.socket
        if isinstance(connection, ssl.SSLSocket) and connection.pending():
            return True
        is_open = connection is not None and self._is_connected
        waiting: list[Any] = [connection, self._bell] if is_open else [self._bell]
        try:
            woken, _, _ = select.select(waiting, [], [], self._longest_s())
        except (OSError, ValueError):  # closed meanwhile
            self.event_queue.put("Evt17")
            return False
        if self._bell in woken:
            self._bell.silence()
        return is_open and connection in woken

    def _longest_s(self) -> float:
        is_idle = self.event_queue.empty() and self.assoc.dul.to_provider_queue.empty()
        return LONGEST_S if is_idle else 0.0


class WakefulDimse(DIMSEServiceProvider):
    """Waits in :meth:`get_msg` for the next message, where the stock one only looks."""

    def get_msg(self, block: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 - pynetdicom's
        """Return the next message with its context, or two times None.

        Without ``block`` it takes up to :data:`LONGEST_S` to say that there is none.
        """
        if block:
            found = super().get_msg(block=True)
            while found is _NO_MESSAGE:
                found = super().get_msg(block=True)
            return found
        try:
            return self.msg_queue.get(timeout=LONGEST_S)
        except queue.Empty:
            return _NO_MESSAGE

    def wake_up(self) -> None:
        """Let :meth:`get_msg` return: something else has come, such as a request to release."""
        if self.msg_queue.qsize() < _RINGS_MAX:
            self.msg_queue.put(cast("Any", _NO_MESSAGE))


def connect(assoc: "Association", dimse: WakefulDimse, connection: WakefulSocket) -> None:
    """Let the queues of an association, just set up, wake its threads."""
    dul = assoc.dul
    connection._bell = Bell()  # noqa: SLF001 - the two classes are one piece
    _also(dul.to_provider_queue, connection._bell.ring)  # noqa: SLF001
    _also(dul.to_user_queue, dimse.wake_up)
    dul._run_loop_delay = _PAUSE_S  # noqa: SLF001 - no public name


def _also(waiting: "queue.Queue[Any]", ring: "Callable[[], None]") -> None:
    """Ring whenever something is put into a queue."""
    stock = waiting.put

    def put(item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: ANN401, FBT001, FBT002
        stock(item, block, timeout)
        ring()

    waiting.put = put  # type: ignore[method-assign] # an attribute of this one queue
