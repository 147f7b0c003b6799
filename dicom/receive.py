"""The listener: its settings, its start and its end. What it does is in :mod:`dicom.reception`."""

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pynetdicom import AE, _config

from dicom import contexts, fast_path, gate, spool, uids, upper_layer
from dicom.bounded_socket import MAXIMUM_PDU_BYTES
from dicom.incoming import IncomingFolder
from dicom.notices import AssociationNotice, NoticeKind
from dicom.reception import Desk, Reception
from dicom.values import Caller, ReceivedInstance
from dicom.watermark import Room

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from dicom.commitment import CommitmentReport

__all__ = ["AssociationNotice", "Listener", "ListenerConfig", "NoticeKind", "start", "utc_now"]

_STOP_S = 5.0
_POLL_S = 0.25
_LOOPBACK = (Caller(gate.ANY, "127.0.0.1"), Caller(gate.ANY, "::1"))


@dataclass(frozen=True, slots=True)
class ListenerConfig:
    """What the listener is, and what it allows.

    ``disk_reserve_bytes`` stay free on the spool's file system: below, 0xA700, and then until
    ``disk_resume_bytes`` are free (0: as soon as the reserve is). ``acse_timeout_s``
    is for the association request after connecting, ``socket_timeout_s`` for any byte in the
    middle of a PDU, ``network_timeout_s`` for silence between messages. ``port`` 0 takes a free
    one. With ``reuse_port`` several processes may listen on one port. ``fast_path`` asks for
    :mod:`dicom.fast_path`, which is taken only where :func:`dicom.fast_path.obstacle` sees none.
    """

    spool_root: Path
    ae_title: str = "CARINA"
    host: str = "127.0.0.1"
    port: int = 11112
    callers: tuple[Caller, ...] = _LOOPBACK
    other_sop_classes: tuple[str, ...] = ()
    disk_reserve_bytes: int = 200 << 20
    disk_resume_bytes: int = 0
    maximum_object_bytes: int = 2 << 30
    limits: gate.Limits = field(default_factory=gate.Limits)
    acse_timeout_s: float = 10.0
    socket_timeout_s: float = 60.0
    network_timeout_s: float = 60.0
    reuse_port: bool = False
    ssl_context: "ssl.SSLContext | None" = None
    fast_path: bool = False


def utc_now() -> datetime:
    """Return the time, aware."""
    return datetime.now(UTC)


class Listener:
    """A running listener; :meth:`stop` ends it."""

    def __init__(self, server: upper_layer.BoundedServer) -> None:
        self._server = server
        self._thread = threading.Thread(
            target=server.serve_forever, args=(_POLL_S,), name="listener", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    @property
    def is_alive(self) -> bool:
        """Whether it still accepts connections."""
        return self._thread.is_alive()

    def stop(self, grace_s: float = _STOP_S) -> None:
        """Accept no more, let what is being received finish for ``grace_s``, then abort it."""
        self._server.shutdown()
        self._thread.join()
        deadline = time.monotonic() + grace_s
        while self._server.active_associations and time.monotonic() < deadline:
            time.sleep(0.02)
        for assoc in self._server.active_associations:
            assoc.abort()
            assoc.join(_STOP_S)
        self._server.plan.incoming.discard_orphans()


def start(
    config: ListenerConfig,
    accept: "Callable[[ReceivedInstance], None]",
    notice: "Callable[[AssociationNotice], None]",
    now: "Callable[[], datetime]" = utc_now,
    report: "Callable[[CommitmentReport], bool]" = lambda _: False,
) -> Listener:
    """Listen until :meth:`Listener.stop`.

    ``accept`` records an instance and returns after its commit; it raises
    :class:`IntakeUnavailable` (or an OSError) when it cannot now. ``report``
    records what an archive reports about storage commitment, False for what nobody asked. All are
    called from several threads at once, and must not take patient data into what they raise.

    Raises
    ------
    SpoolUnavailable
        If the spool cannot be made.
    OSError
        If the address cannot be bound, or a caller's host name not be resolved.
    """
    upper_layer.check_version()
    _config.LOG_HANDLER_LEVEL = "none"  # the stock handlers log data sets
    _config.STORE_RECV_CHUNKED_DATASET = True  # 66 MB of memory instead of 366 for a 100 MB object
    spool.prepare(config.spool_root)
    room = Room(config.disk_reserve_bytes, config.maximum_object_bytes, config.disk_resume_bytes)
    doorkeeper = gate.Gate(config.ae_title, gate.AllowList(config.callers), config.limits)
    reception = Reception(
        Desk(accept, notice, now, report), doorkeeper, IncomingFolder(config.spool_root, room)
    )
    plan = upper_layer.Plan(
        address=(config.host, config.port),
        handlers=reception.handlers(),
        gate=doorkeeper,
        incoming=reception.incoming,
        refused=reception.connection_refused,
        socket_timeout_s=config.socket_timeout_s,
        reuse_port=config.reuse_port,
        ssl_context=config.ssl_context,
        fast_path=config.fast_path and fast_path.obstacle() is None,
    )
    return Listener(upper_layer.BoundedServer(_application_entity(config), plan))


def _application_entity(config: ListenerConfig) -> AE:
    ae = AE(config.ae_title)
    ae.supported_contexts = contexts.supported(config.other_sop_classes)
    ae.maximum_pdu_size = MAXIMUM_PDU_BYTES
    ae.maximum_associations = config.limits.maximum_connections  # our gate counts, more exactly
    ae.acse_timeout = config.acse_timeout_s
    ae.dimse_timeout = config.network_timeout_s
    ae.network_timeout = config.network_timeout_s
    ae.implementation_class_uid = uids.IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = uids.IMPLEMENTATION_VERSION_NAME
    return ae
