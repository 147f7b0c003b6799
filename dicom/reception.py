"""What happens to an association and to an instance on its way in.

The order for an instance is: bytes whole, header read, identity checked, file durable under its
final name, ``accept`` returned. Only then 0x0000. Everything that can go wrong before has a status
of PS3.4 table B.2-1 that tells the sender whether to try again.
"""

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import structlog
from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.pdu import P_DATA_TF

from dicom import commitment, failpoints, gate, header, spool, uids
from dicom.errors import (
    IdentityInvalid,
    IntakeUnavailable,
    InvalidUid,
    SpoolUnavailable,
    UndecodableInstance,
)
from dicom.failpoints import Failpoint
from dicom.notices import AssociationNotice, NoticeKind
from dicom.status import StoreStatus
from dicom.values import Peer, ReceivedInstance

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pynetdicom.association import Association
    from pynetdicom.dimse_primitives import C_STORE
    from pynetdicom.events import Event, EventHandlerType

    from dicom.commitment import CommitmentReport
    from dicom.header import InstanceHeader
    from dicom.incoming import IncomingFile, IncomingFolder

log = structlog.get_logger(__name__)

_ERROR_COMMENT_MAX = 64  # (0000,0902) is LO
_SAME_REFUSAL_S = 60.0
_TOLD_MAX = 1000


@dataclass(frozen=True, slots=True)
class Desk:
    """The service behind the listener; see :func:`dicom.receive.start`."""

    accept: "Callable[[ReceivedInstance], None]"
    notice: "Callable[[AssociationNotice], None]"
    now: "Callable[[], datetime]"
    report: "Callable[[CommitmentReport], bool]" = lambda _: False


class Reception:
    """The handlers of one listener; they run in one thread per association."""

    def __init__(self, desk: Desk, doorkeeper: gate.Gate, incoming: "IncomingFolder") -> None:
        self.incoming = incoming
        self._desk = desk
        self._gate = doorkeeper
        self._lock = threading.Lock()
        self._refused_at: dict[str, float] = {}
        self._told: set[tuple[Peer, tuple[str, ...]]] = set()

    def handlers(self) -> "list[EventHandlerType]":
        """Return what pynetdicom binds."""
        replied = [(evt.EVT_PDU_SENT, _on_pdu_sent)] if failpoints.are_on() else []
        return [
            *replied,
            (evt.EVT_REQUESTED, self._on_requested),
            (evt.EVT_ACCEPTED, self._on_accepted),
            (evt.EVT_C_ECHO, lambda _: StoreStatus.SUCCESS.value),
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_N_EVENT_REPORT, commitment.answer_with(self._desk.report)),
            (evt.EVT_RELEASED, self._on_released),
            (evt.EVT_ABORTED, self._on_aborted),
        ]

    def connection_refused(self, address: str, reason: str) -> None:
        """Tell of a connection that did not get as far as a request; once a minute per address."""
        now = time.monotonic()
        with self._lock:
            if now - self._refused_at.get(address, -_SAME_REFUSAL_S) < _SAME_REFUSAL_S:
                return
            # Only the last minute matters, so a flood from many addresses does not stay here.
            recent = {a: t for a, t in self._refused_at.items() if now - t < _SAME_REFUSAL_S}
            self._refused_at = {**recent, address: now}
        self._tell(NoticeKind.ASSOCIATION_REJECTED, Peer("", "", address), reason)

    def _on_requested(self, event: "Event") -> None:
        assoc, peer = event.assoc, _peer(event.assoc)
        rejection = self._gate.judge(assoc, peer)
        if rejection is not None:
            assoc.acse.send_reject(*rejection.value)
            assoc.kill()  # waits until the answer is out
            self._tell(NoticeKind.ASSOCIATION_REJECTED, peer, rejection.words)

    def _on_accepted(self, event: "Event") -> None:
        rejected = event.assoc.rejected_contexts
        offered = tuple(dict.fromkeys(_checked(context.abstract_syntax) for context in rejected))
        peer = _peer(event.assoc)
        if offered and self._is_new((peer, offered)):
            self._tell(
                NoticeKind.CONTEXT_REJECTED,
                peer,
                "SOP class or transfer syntax not supported",
                contexts=offered,
            )

    def _is_new(self, rejection: tuple[Peer, tuple[str, ...]]) -> bool:
        """Return whether this was not told yet: many senders offer all they know every time."""
        with self._lock:
            known = rejection in self._told
            if len(self._told) >= _TOLD_MAX:
                self._told.clear()
            self._told.add(rejection)
        return not known

    def _on_released(self, event: "Event") -> None:
        self._gate.ended(event.assoc)

    def _on_aborted(self, event: "Event") -> None:
        self._gate.ended(event.assoc)
        self.incoming.discard_of(event.assoc)
        self._tell(NoticeKind.ASSOCIATION_ABORTED, _peer(event.assoc), "association aborted")

    def _on_store(self, event: "Event") -> Dataset:
        incoming = self.incoming.claim(event.dataset_path)
        try:
            self._store(event, incoming)
        except Exception as error:  # noqa: BLE001 - the border of C-STORE: it must answer
            return self._refusal(event, error)
        finally:
            if incoming is not None:
                incoming.discard()
        return _answer(StoreStatus.SUCCESS, "")

    def _store(self, event: "Event", incoming: "IncomingFile | None") -> None:
        if incoming is None:
            raise UndecodableInstance("a C-STORE without a data set")
        incoming.finish()
        found = header.read(incoming.path)
        _check_identity(event, found)
        incoming.make_durable()
        sha256 = incoming.sha256
        ref = found.ref
        final = spool.object_path(
            self.incoming.root, ref.study_instance_uid, ref.sop_instance_uid, sha256
        ).absolute()
        spool.move(incoming.path, final)
        # When accept fails the file stays: its commit may have happened, or an earlier one points
        # at the same file. The sender tries again; start-up finds what nobody came back for.
        self._desk.accept(
            ReceivedInstance(
                ref=ref,
                transfer_syntax_uid=found.transfer_syntax_uid,
                peer=_peer(event.assoc),
                spool_path=final,
                sha256=sha256,
                size_bytes=incoming.size_bytes,
                received_at=self._desk.now(),
                patient=found.patient,
                header=found.film,
            )
        )

    def _refusal(self, event: "Event", error: Exception) -> Dataset:
        status, words = _verdict(error)
        sop_instance_uid = _checked(_request(event).AffectedSOPInstanceUID)
        log.warning(
            "instance_refused",
            status=f"0x{status:04X}",
            error=type(error).__name__,
            sop_instance_uid=sop_instance_uid,
        )
        self._hand_over(
            AssociationNotice(
                NoticeKind.INSTANCE_REFUSED,
                _peer(event.assoc),
                words,
                self._desk.now(),
                status=status.value,
                sop_instance_uid=sop_instance_uid,
            )
        )
        return _answer(status, words)

    def _tell(
        self, kind: NoticeKind, peer: Peer, reason: str, *, contexts: tuple[str, ...] = ()
    ) -> None:
        self._hand_over(AssociationNotice(kind, peer, reason, self._desk.now(), contexts=contexts))

    def _hand_over(self, notice: AssociationNotice) -> None:
        try:
            self._desk.notice(notice)
        except Exception as error:  # noqa: BLE001 - the same border: an answer is owed all the same
            log.warning("notice_not_recorded", kind=notice.kind, error=type(error).__name__)


def _on_pdu_sent(event: "Event") -> None:
    """Notice, in a fault campaign only, that an answer has gone out."""
    if isinstance(event.pdu, P_DATA_TF):
        failpoints.reach(Failpoint.REPLIED)


def _check_identity(event: "Event", found: "InstanceHeader") -> None:
    """Compare the data set with what the command set and the context announced (PS3.4 B.2.2)."""
    request = _request(event)
    announced = (str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID))
    if announced != (found.ref.sop_class_uid, found.ref.sop_instance_uid):
        raise IdentityInvalid("data set and command set name different instances")
    if str(event.context.abstract_syntax) != found.ref.sop_class_uid:
        raise IdentityInvalid("SOP class does not belong to the presentation context")


def _request(event: "Event") -> "C_STORE":
    return cast("C_STORE", event.request)


def _verdict(error: Exception) -> tuple[StoreStatus, str]:
    """Return the status of an error, and what the sender's operator may read."""
    match error:
        case IdentityInvalid():
            return StoreStatus.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, str(error)
        case UndecodableInstance():
            return StoreStatus.CANNOT_UNDERSTAND, "data set cannot be read"
        case SpoolUnavailable():
            return StoreStatus.OUT_OF_RESOURCES, "no space for the data set"
        case IntakeUnavailable():
            return StoreStatus.OUT_OF_RESOURCES, "cannot be recorded now"
        case OSError():
            return StoreStatus.OUT_OF_RESOURCES, "cannot be kept now"
        case _:
            return StoreStatus.UNEXPECTED, "unexpected fault"


def _answer(status: StoreStatus, comment: str) -> Dataset:
    response = Dataset()
    response.Status = status.value
    if comment:
        response.ErrorComment = comment[:_ERROR_COMMENT_MAX]
    return response


def _peer(assoc: "Association") -> Peer:
    request = assoc.requestor.primitive
    return Peer(
        calling_ae_title=_printable(request.calling_ae_title if request else ""),
        called_ae_title=_printable(request.called_ae_title if request else ""),
        address=gate.plain_address(assoc.requestor.address),
    )


def _printable(ae_title: str | None) -> str:
    """Return an AE title that can go into a log line; what it must not hold becomes ``?``."""
    text = (ae_title or "").strip()
    return "".join(sign if sign.isascii() and sign.isprintable() else "?" for sign in text)


def _checked(uid: object) -> str:
    try:
        return uids.checked(uid)
    except InvalidUid:
        return "not a UID"
