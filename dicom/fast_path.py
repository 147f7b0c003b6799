"""An optional short way for the fragments of a data set: from the socket into the file.

pynetdicom 3.0.4 makes every P-DATA-TF of a data set a PDU, its items, a primitive, an event of the
state machine and a piece of a message: five copies of a film, and most of the time of the thread
that reads. Here a fragment goes from one buffer into the incoming file. Everything else, the last
fragment too, goes the usual way, so the message, the events and the answer are the same.

It stands in for a private method, so it is off unless asked for, and taken only when the sources
it was made for are the ones installed: :func:`obstacle`. The bounds of the usual way hold: the
length of a PDU, the time for one, the size of an object (:class:`dicom.incoming.IncomingFile`).
"""

import hashlib
import inspect
import struct
from functools import cache
from typing import TYPE_CHECKING, Final, cast

from pynetdicom import association, dimse, dimse_messages, dul, fsm, pdu, pdu_items

from dicom.bounded_socket import LONGEST_PDU_BYTES
from dicom.incoming import IncomingFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pynetdicom.association import Association

    from dicom.bounded_socket import BoundedSocket

MADE_FOR_SHA256: Final = "92ac5dd8ffd3d582ecebf9c27af6fb74069edf67c1fe02927a55b62036822a2a"
"""Of the functions below, as they are in pynetdicom 3.0.4."""

_RELIED_ON: "tuple[Callable[..., object], ...]" = (
    dul.DULServiceProvider._read_pdu_data,  # noqa: SLF001 - all of these have no public name
    dul.DULServiceProvider._is_transport_event,  # noqa: SLF001
    dul.DULServiceProvider._decode_pdu,  # noqa: SLF001
    dul.DULServiceProvider.run_reactor,
    dimse.DIMSEServiceProvider.receive_primitive,
    dimse_messages.DIMSEMessage.decode_msg,
    fsm.StateMachine.do_action,
    fsm.DT_2,
    pdu.P_DATA_TF._generate_items,  # noqa: SLF001
    pdu_items.PresentationDataValueItem,
    association.Association._run_reactor,  # noqa: SLF001
)
_HEADER: Final = 6
_P_DATA_TF: Final = 0x04
_PDU_KINDS: Final = range(0x01, 0x08)
_DATA_TRANSFER: Final = "Sta6"
_CLOSED, _INVALID = "Evt17", "Evt19"  # PS3.8 table 9-10
_COMMAND, _LAST = 0x01, 0x02  # bits of the message control header (PS3.8 E.2)
_SMALLEST_ITEM: Final = 2  # context and message control header


@cache
def obstacle() -> str | None:
    """Return why the short way cannot be taken here; None when it can."""
    try:
        text = "\n".join(inspect.getsource(one) for one in _RELIED_ON)
    except (OSError, TypeError):
        return "the sources of pynetdicom cannot be read"
    if hashlib.sha256(text.encode()).hexdigest() != MADE_FOR_SHA256:
        return "this pynetdicom is not the one it was made for"
    return None


def install(assoc: "Association", connection: "BoundedSocket") -> None:
    """Let an association, just set up, take the short way."""
    assoc.dul._read_pdu_data = Reader(assoc, connection).read  # type: ignore[method-assign] # noqa: SLF001


class Reader:
    """Reads the PDUs of one association, in the thread of its upper layer."""

    def __init__(self, assoc: "Association", connection: "BoundedSocket") -> None:
        self._assoc = assoc
        self._dul = assoc.dul
        self._connection = connection
        self._stock = assoc.dul._read_pdu_data  # noqa: SLF001
        self._buffer: bytearray | None = None

    def read(self) -> None:
        """Read what has come: fragments as long as there are any, or one PDU of another kind."""
        incoming = self._receiving()
        if incoming is None:
            self._buffer = None  # not for associations that only wait
            self._stock()
            return
        while self._fragments(incoming) and self._connection.ready:
            if self._dul._kill_thread:  # noqa: SLF001
                return
            self._dul._idle_timer.restart()  # noqa: SLF001

    def _receiving(self) -> IncomingFile | None:
        """Return the file of the data set that is being received, when nothing else is going on."""
        message = self._assoc.dimse.message
        if (
            message is None
            or self._dul.state_machine.current_state != _DATA_TRANSFER
            or not self._dul.event_queue.empty()
            or not self._dul._recv_pdu.empty()  # noqa: SLF001
        ):
            return None
        file: object = message._data_set_file  # noqa: SLF001
        return file if isinstance(file, IncomingFile) else None

    def _fragments(self, incoming: IncomingFile) -> bool:
        """Take one PDU; return whether it was fragments of the data set, and not the last."""
        received = self._next_pdu()
        if received is None:
            return False
        fragments = list(_data(received))
        whole = sum(len(one) + _SMALLEST_ITEM + 4 for one in fragments) + _HEADER
        if whole != len(received):  # something else is in it, such as the last fragment
            self._hand_over(bytearray(received))
            return False
        for fragment in fragments:
            incoming.write(fragment)
        return True

    def _next_pdu(self) -> memoryview | None:
        """Return the next PDU with its header, in a buffer used again; None when none will come."""
        if self._buffer is None:
            self._buffer = bytearray(_HEADER + LONGEST_PDU_BYTES)
        view = memoryview(self._buffer)
        try:
            self._fill(view[:_HEADER])
            kind, length = cast("tuple[int, int]", struct.unpack(">BxL", view[:_HEADER]))
            if kind not in _PDU_KINDS:
                self._dul.event_queue.put(_INVALID)
                return None
            self._connection.check_length(length)
            self._fill(view[_HEADER : _HEADER + length])
        except OSError:  # a time-out is one too
            self._dul.event_queue.put(_CLOSED)
            return None
        return view[: _HEADER + length]

    def _fill(self, view: memoryview) -> None:
        if view and self._connection.recv_into(view) < len(view):
            raise ConnectionError("closed in the middle of a PDU")

    def _hand_over(self, received: bytearray) -> None:
        """Give a whole PDU to pynetdicom, as its own reader does."""
        try:
            decoded, event = self._dul._decode_pdu(received)  # noqa: SLF001
        except Exception:  # noqa: BLE001 - bytes of strangers: the border of C-STORE
            self._dul.event_queue.put(_INVALID)
            return
        self._dul.event_queue.put(event)
        self._dul._recv_pdu.put(decoded)  # noqa: SLF001


def _data(received: memoryview) -> "Iterator[memoryview]":
    """Yield the fragments of a data set up to the first thing that is none, or is the last."""
    if received[0] != _P_DATA_TF:
        return
    offset = _HEADER
    while offset + 4 + _SMALLEST_ITEM <= len(received):
        length = int.from_bytes(received[offset : offset + 4], "big")
        end = offset + 4 + length
        control = received[offset + 5]
        if length < _SMALLEST_ITEM or end > len(received) or control & (_COMMAND | _LAST):
            return
        yield received[offset + 4 + _SMALLEST_ITEM : end]
        offset = end
