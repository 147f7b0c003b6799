"""The socket of an association, with the bounds that pynetdicom's lacks: time and length."""

import ssl
import time
from typing import TYPE_CHECKING, Any, Final, cast

from pynetdicom.pdu import A_ABORT_RQ

from dicom import tls, wakeful

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from pynetdicom.transport import AssociationSocket

MAXIMUM_PDU_BYTES: Final = 131072
"""dcmtk sends no larger; smaller costs time (128 K: 18 ms, 16 K: 37 ms of CPU per film)."""
LONGEST_PDU_BYTES: Final = MAXIMUM_PDU_BYTES + 1024
"""Some senders count the header of a PDV on top of what was agreed."""

_REQUEST_MAX_BYTES: Final = 1 << 20  # 128 contexts of 45 syntaxes are 150 KB
_AHEAD_BYTES: Final = 1 << 18
"""What has come is taken from the kernel in pieces of this length.

A film is some 60 PDUs, and every call to the kernel lets another thread have the interpreter: with
ten senders, asking for each header and each body costs more than the bytes do.
"""
_TIME_STEP_S: Final = 0.05


class BoundedSocket(wakeful.WakefulSocket):
    """Reads no PDU longer than was agreed, waits for none for ever, and reads in large pieces."""

    def __init__(
        self,
        stock: "AssociationSocket",
        timeout_s: float,
        tls_failed: "Callable[[str], None]" = lambda _: None,
    ) -> None:
        # Taking over what the stock socket has: making a second one would announce the
        # connection twice to the state machine.
        self.__dict__.update(stock.__dict__)
        self._timeout_s = timeout_s
        self._tls_failed = tls_failed
        self._buffer: bytearray | None = None
        self._ahead = memoryview(b"")

    @property
    def ready(self) -> bool:
        """Whether there is something to read; see :attr:`WakefulSocket.ready`."""
        return (len(self._ahead) > 0 and self.socket is not None) or super().ready

    def recv(self, nr_bytes: int) -> bytearray:
        """Return ``nr_bytes`` from the peer; fewer when it has closed the connection.

        Raises
        ------
        ConnectionError
            If this is more than a PDU may have; it is then closed.
        TimeoutError
            If the bytes do not come in time, all together: a byte now and then does not help.
        ssl.SSLError
            If the handshake, which the first call waits for, fails.
        """
        self.check_length(nr_bytes)
        buffer = bytearray(nr_bytes)
        with memoryview(buffer) as view:
            have = self.recv_into(view)
        return buffer if have == nr_bytes else buffer[:have]

    def check_length(self, nr_bytes: int) -> None:
        """Raise ConnectionError, the connection then being closed, when this is too much."""
        if nr_bytes > self._allowed_bytes():
            if self.socket is not None:
                self._refuse()
            raise ConnectionError("a PDU longer than agreed")

    def recv_into(self, view: memoryview) -> int:
        """Fill ``view`` and return how much of it, with the bounds of :meth:`recv`."""
        if self.socket is None:
            raise ConnectionError("closed")
        try:
            have = self._fill(self.socket, view)
        except ssl.SSLError as error:
            if not isinstance(error, ssl.SSLEOFError):  # one that only knocks is not worth a word
                self._tls_failed(tls.words(error))
            raise
        if have < len(view):
            self._wake_up()
        return have

    def _fill(self, source: "socket.socket", view: memoryview) -> int:
        allowed_s = self._timeout_s if self.assoc.is_established else self.assoc.acse_timeout
        deadline = time.monotonic() + (allowed_s or self._timeout_s)
        have = self._take(view)
        while have < len(view):
            left_s = max(deadline - time.monotonic(), 0.001)
            # Setting it is a system call, and a PDU comes in several pieces.
            if abs((source.gettimeout() or 0.0) - left_s) > _TIME_STEP_S:
                source.settimeout(left_s)
            got = self._receive(source, view[have:])
            if not got:
                break
            have += got
        return have

    def _receive(self, source: "socket.socket", view: memoryview) -> int:
        """Take what has come, at most what ``view`` holds; the rest is kept for the next call."""
        if not self.assoc.is_established:  # a stranger is not worth a buffer
            return source.recv_into(view)
        if self._buffer is None:
            self._buffer = bytearray(_AHEAD_BYTES)
        got = source.recv_into(self._buffer)
        self._ahead = memoryview(self._buffer)[:got]
        return self._take(view)

    def _take(self, view: memoryview) -> int:
        have = min(len(view), len(self._ahead))
        view[:have] = self._ahead[:have]
        self._ahead = self._ahead[have:]
        return have

    def _wake_up(self) -> None:
        """Tell a thread that waits for an association request that none will come."""
        waiting = self.assoc.dul.to_user_queue
        if self.assoc.requestor.primitive is None and waiting.empty():
            waiting.put(cast("Any", None))

    def _allowed_bytes(self) -> int:
        if self.assoc.is_established:
            return LONGEST_PDU_BYTES
        return _REQUEST_MAX_BYTES

    def _refuse(self) -> None:
        abort = A_ABORT_RQ()
        abort.source, abort.reason_diagnostic = 0x02, 0x06  # provider: invalid PDU parameter value
        self.send(abort.encode())
        self._shutdown_socket()

    def _shutdown_socket(self) -> None:
        """Close the socket even when the peer has gone first, where the stock one leaks it."""
        super()._shutdown_socket()
        self._buffer, self._ahead = None, memoryview(b"")  # the rest of it is collected later
        self._wake_up()
        if self.socket is not None:
            self.socket.close()
