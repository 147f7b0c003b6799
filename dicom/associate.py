"""Open an association as a user: bounded in time, silent, and closed whatever happens."""

import contextlib
import logging
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pynetdicom import AE, _config, evt
from pynetdicom.presentation import PresentationContext

from dicom import uids
from dicom.errors import AssociationFailed
from dicom.tls import ClientTls, TlsFiles, Wrapping, client_context

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pynetdicom.association import Association

    from dicom.values import PacsNode

# Streams a file as it lies on disk instead of decoding and encoding it again: what the archive
# gets is byte for byte what was kept (design rule 3).
_config.STORE_SEND_CHUNKED_DATASET = True
# pynetdicom's own log handlers print data sets, and so patients.
_config.LOG_HANDLER_LEVEL = "none"
logging.getLogger("pynetdicom").addHandler(logging.NullHandler())

MAXIMUM_PDU_BYTES = 131072

Offer = tuple[str, str]
"""``(SOP Class UID, Transfer Syntax UID)``: what one presentation context proposes."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long the other side may be silent, in seconds.

    ``connect_s`` for TCP, ``acse_s`` for the answer to an association request, ``dimse_s`` for the
    answer to one message, ``network_s`` for the socket to take or give a byte at all.
    """

    connect_s: float = 5.0
    acse_s: float = 10.0
    dimse_s: float = 60.0
    network_s: float = 60.0


DEFAULT_TIMEOUTS = Timeouts()
_DEFAULT_TLS = ClientTls(TlsFiles())


@dataclass(frozen=True, slots=True)
class Requestor:
    """Our side of an association: who we say we are, how patient we are, what we show in TLS.

    Without ``tls`` a node that wants it is met with the authorities of the operating system and
    no certificate of our own.
    """

    ae_title: str
    timeouts: Timeouts = DEFAULT_TIMEOUTS
    tls: ClientTls = _DEFAULT_TLS


@contextlib.contextmanager
def associated(
    to: "PacsNode", offers: "Sequence[Offer]", requestor: Requestor
) -> "Iterator[Association]":
    """Hold an association that proposes exactly ``offers``, one context each.

    Released when the block ends well, aborted when it raises.

    Raises
    ------
    AssociationFailed
        If the node is down, does not answer in time, does not accept our certificate or shows one
        that we do not accept, or refuses the association as a whole.
        That it accepts none of the contexts is no failure here.
    CertificateUnusable
        If the node wants TLS and a file of ours cannot be used.
    """
    ae = _TidyAE(ae_title=requestor.ae_title)
    try:
        association = _request(ae, to, offers, requestor)
        try:
            yield association
        except BaseException:
            association.abort()
            raise
        if association.is_established:
            association.release()
    finally:
        ae.close_sockets()


def accepted(association: "Association") -> frozenset[Offer]:
    """Return which offers the other side accepted."""
    return frozenset(
        (str(context.abstract_syntax), str(context.transfer_syntax[0]))
        for context in association.accepted_contexts
    )


class _TidyAE(AE):
    """Closes the sockets that pynetdicom leaves to the garbage collector.

    pynetdicom 3.0.4 skips ``close`` when ``shutdown`` fails, that is whenever the connection was
    refused or the other side closed first.
    """

    def __init__(self, ae_title: str) -> None:
        super().__init__(ae_title)
        self._sockets: list[socket.socket] = []

    def _create_socket(self, *args: Any) -> Any:  # noqa: ANN401
        wrapped = super()._create_socket(*args)
        if wrapped.socket is not None:
            self._sockets.append(wrapped.socket)
        return wrapped

    def wrapping(self, context: ssl.SSLContext) -> Any:  # noqa: ANN401  (stands for a context)
        """Return ``context`` for pynetdicom's use; the sockets it wraps are closed with ours."""
        return Wrapping(context, self._sockets)

    @property
    def tls_fault(self) -> str:
        """Why TLS failed, in words; empty when it did not."""
        return next(filter(None, (getattr(one, "fault", "") for one in self._sockets)), "")

    def close_sockets(self) -> None:
        """Close every socket this entity opened; closing twice does nothing."""
        for one in self._sockets:
            one.close()


def _request(
    ae: _TidyAE, to: "PacsNode", offers: "Sequence[Offer]", requestor: Requestor
) -> "Association":
    timeouts = requestor.timeouts
    context = client_context(requestor.tls) if to.tls else None
    ae.implementation_class_uid = uids.IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = uids.IMPLEMENTATION_VERSION_NAME
    ae.connection_timeout = timeouts.connect_s
    ae.acse_timeout = timeouts.acse_s
    ae.dimse_timeout = timeouts.dimse_s
    ae.network_timeout = timeouts.network_s
    handlers: list[Any] = [(evt.EVT_CONN_OPEN, _tune_socket, [timeouts.network_s])]
    try:
        association = ae.associate(
            to.host,
            to.port,
            contexts=[_context(offer) for offer in dict.fromkeys(offers)],
            ae_title=to.ae_title,
            max_pdu=MAXIMUM_PDU_BYTES,
            evt_handlers=handlers,
            tls_args=None if context is None else (ae.wrapping(context), to.host),
        )
    except OSError as error:  # the host's name does not resolve, or no socket is left
        raise AssociationFailed(f"{to}: {type(error).__name__}") from error
    if not association.is_established and not _answered(association):
        raise AssociationFailed(f"{to}: {ae.tls_fault or _why(association)}")
    return association


def _context(offer: Offer) -> PresentationContext:
    sop_class_uid, transfer_syntax_uid = offer
    context = PresentationContext()
    context.abstract_syntax = sop_class_uid
    context.add_transfer_syntax(transfer_syntax_uid)
    return context


def _answered(association: "Association") -> bool:
    """Return whether the association was accepted, if only without any context.

    pynetdicom aborts an association of which no context was accepted (it would be of no use),
    which is a different thing from a refusal or a broken line.
    """
    return bool(association.rejected_contexts) and not association.is_rejected


def _why(association: "Association") -> str:
    if association.is_rejected:
        primitive = association.acceptor.primitive
        reason = getattr(primitive, "reason_str", "") if primitive is not None else ""
        return f"association refused {reason}".strip()
    if association.is_aborted:
        return "no connection, or aborted"
    return "no association"


def _tune_socket(event: Any, network_s: float) -> None:  # noqa: ANN401  (pynetdicom is untyped)
    """Send small messages at once, and never wait for ever on a peer that stopped reading."""
    connection = event.assoc.dul.socket.socket
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.settimeout(network_s)
