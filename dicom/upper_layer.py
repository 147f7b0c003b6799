"""The bounds that pynetdicom's upper layer lacks (PS3.8): time, length, number, memory.

Measured on pynetdicom 3.0.4, and the reason for each part of this file:

* an accepted socket is blocking: half a PDU and then silence holds a thread for ever;
* a PDU length of 4 GB before any association is read into memory as it comes;
* a command set, or the data set of anything but a C-STORE, is collected without limit;
* a message on a context that was never accepted kills a thread with a traceback, and so does a
  request with a context without syntaxes;
* temporary files of a transfer that is cut stay for ever;
* a TLS handshake inside ``accept`` lets one silent peer hang everybody.

The classes below are subclasses that are put in place per association. What is private to
pynetdicom is named in one place, :func:`check_version`, and the dependency is pinned.
"""

import socket
import ssl
import threading
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any, cast

import structlog
from pynetdicom import dimse_messages, evt
from pynetdicom.acse import ACSE
from pynetdicom.dul import DULServiceProvider
from pynetdicom.transport import AssociationServer, RequestHandler

from dicom import fast_path, gate, machine, quiet, wakeful
from dicom.bounded_socket import BoundedSocket

if TYPE_CHECKING:
    from collections.abc import Callable

    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.association import Association
    from pynetdicom.events import EventHandlerType
    from pynetdicom.pdu_primitives import P_DATA
    from pynetdicom.transport import AssociationSocket

    from dicom.incoming import IncomingFolder

log = structlog.get_logger(__name__)

TESTED_PYNETDICOM = "3.0.4"
_COMMAND_MAX_BYTES = 1 << 16
_IN_MEMORY_MAX_BYTES = 1 << 20
_QUEUED_MESSAGES_MAX = 8
_BACKLOG = 128
_REJECTED = (0x01, 0x02, 0x01)  # for ever, by the ACSE provider, no reason given (PS3.8 9.3.4)
_INVALID_PDU = "Evt19"  # unrecognised or invalid PDU (PS3.8 table 9-10): leads to A-ABORT


@dataclass(frozen=True, slots=True)
class Plan:
    """What a server needs beside its application entity."""

    address: tuple[str, int]
    handlers: "list[EventHandlerType]"
    gate: gate.Gate
    incoming: "IncomingFolder"
    refused: "Callable[[str, str], None]"  # an address, and why it was refused
    socket_timeout_s: float = 60.0
    reuse_port: bool = False
    ssl_context: ssl.SSLContext | None = None
    fast_path: bool = False  # see dicom.fast_path


def check_version() -> None:
    """Refuse a pynetdicom whose inside was not looked at.

    Raises
    ------
    RuntimeError
        If another version is installed.
    """
    found = version("pynetdicom")
    if found != TESTED_PYNETDICOM:
        raise RuntimeError(f"pynetdicom {found} is not the {TESTED_PYNETDICOM} this was made for")


class BoundedDimse(wakeful.WakefulDimse):
    """Collects no message without limit, and survives a message that makes no sense."""

    def receive_primitive(self, primitive: "P_DATA") -> None:
        """Take the next piece of a message."""
        try:
            if self._receives_data_set():
                super().receive_primitive(primitive)
            else:
                with quiet.reading():  # a UID of the command set may be anything
                    super().receive_primitive(primitive)
        except Exception as error:  # noqa: BLE001 - bytes of strangers: the border of C-STORE
            log.warning("message_not_understood", error=type(error).__name__)
            self.dul.event_queue.put(_INVALID_PDU)
            return
        if self._hoards():
            log.warning("message_too_large")
            self.dul.event_queue.put(_INVALID_PDU)

    def _receives_data_set(self) -> bool:
        return self.message is not None and self.message._data_set_file is not None  # noqa: SLF001

    def _hoards(self) -> bool:
        if self.msg_queue.qsize() > _QUEUED_MESSAGES_MAX:
            return True
        message = self.message
        if message is None:
            return False
        in_memory = 0 if message.data_set is None else message.data_set.tell()
        return (
            message.encoded_command_set.tell() > _COMMAND_MAX_BYTES
            or in_memory > _IN_MEMORY_MAX_BYTES
        )


class BoundedAcse(ACSE):
    """Rejects a request that it cannot negotiate, such as a context without any syntax."""

    def negotiate_association(self) -> None:
        """Answer the request; the stock method ends its thread on what makes no sense."""
        try:
            super().negotiate_association()
        except Exception as error:  # noqa: BLE001 - bytes of strangers: the border of C-STORE
            log.warning("association_not_understood", error=type(error).__name__)
            self.send_reject(*_REJECTED)
            evt.trigger(self.assoc, evt.EVT_REJECTED, {})
            self.assoc.kill()


class _Handler(RequestHandler):
    """Sets up an association with our socket and our message provider."""

    server: "BoundedServer"

    def _create_association(self) -> "Association":
        assoc = super()._create_association()
        plan, address = self.server.plan, gate.plain_address(self.client_address[0])
        stock = cast("AssociationSocket", assoc.dul.socket)
        connection = BoundedSocket(stock, plan.socket_timeout_s, partial(plan.refused, address))
        dimse = BoundedDimse(assoc)
        assoc.dul.socket, assoc.dimse, assoc.acse = connection, dimse, BoundedAcse(assoc)
        assoc.dul.state_machine = machine.BoundedMachine(assoc.dul)
        wakeful.connect(assoc, dimse, connection)
        if plan.fast_path:
            fast_path.install(assoc, connection)
        plan.gate.connected(assoc, address)
        return assoc


class BoundedServer(AssociationServer):
    """Accepts in one thread that never waits for a peer."""

    request_queue_size = _BACKLOG

    def __init__(self, ae: "ApplicationEntity", plan: Plan) -> None:
        self.plan = plan
        super().__init__(
            ae,
            plan.address,
            ae.ae_title,
            ae.supported_contexts,
            plan.ssl_context,
            plan.handlers,
            _Handler,
        )

    def server_bind(self) -> None:
        """Bind; several processes may share the port when the plan says so."""
        if self.plan.reuse_port:
            self._listening().setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()

    def _listening(self) -> socket.socket:
        return cast("socket.socket", self.socket)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection and bound it in time; TLS shakes hands later, in its own thread."""
        client, address = self._listening().accept()
        client.settimeout(self.plan.socket_timeout_s)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.plan.ssl_context is not None:
            client = self.plan.ssl_context.wrap_socket(
                client, server_side=True, do_handshake_on_connect=False
            )
        return client, address

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ANN401, ARG002 - socketserver's
        """Return whether one more connection is taken from this address."""
        address = gate.plain_address(client_address[0])
        if self.plan.gate.admits(address):
            return True
        self.plan.refused(address, "too many connections at once")
        return False

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002 - socketserver's
        """Say that a connection could not be set up; the stock method prints a traceback."""
        log.warning("connection_not_set_up", address=client_address[0])

    def shutdown(self) -> None:
        """Accept no more. Associations go on; the stock method wants a server its AE started."""
        super(AssociationServer, self).shutdown()
        self.server_close()

    def service_actions(self) -> None:
        """Clean up behind associations that ended without a word; twice a second."""
        super().service_actions()
        self.plan.incoming.discard_orphans()


def _temporary_file(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - stands in for tempfile's
    """Give an association of ours its file in the spool, any other the stock temporary file.

    Called by pynetdicom in the thread of the upper layer, which knows its association.
    """
    thread = threading.current_thread()
    if isinstance(thread, DULServiceProvider):
        server = thread.assoc._server  # noqa: SLF001 - no public name
        if isinstance(server, BoundedServer):
            return server.plan.incoming.open(owner=thread.assoc)
    return NamedTemporaryFile(*args, **kwargs)


dimse_messages.NamedTemporaryFile = _temporary_file  # type: ignore[attr-defined] # it imports it from tempfile
