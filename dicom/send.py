"""Send kept result objects to an archive, as they lie on disk, and count every answer."""

import hashlib
from typing import TYPE_CHECKING, Any

from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from dicom import failpoints
from dicom.associate import Offer, Requestor, accepted, associated
from dicom.errors import AssociationFailed, KeptResultDamaged
from dicom.failpoints import Failpoint
from dicom.status import SOP_CLASS_NOT_SUPPORTED, StoreStatus, is_stored
from dicom.values import ResultKind, StoreOutcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pynetdicom.association import Association

    from dicom.values import KeptResult, PacsNode

COMMENT_MAX = 64  # (0000,0902) Error Comment has VR LO, PS3.5 Table 6.2-1
IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
_SENDING_ORDER = tuple(ResultKind)  # masks and pictures first, the SRs last


def store(
    results: "Sequence[KeptResult]",
    to: "PacsNode",
    requestor: Requestor,
    announce: "Callable[[], None]" = lambda: None,
) -> tuple[StoreOutcome, ...]:
    """Send the results of one study over one association; one outcome per object dealt with.

    Only contexts that are needed are proposed: the SOP class of each object with the transfer
    syntax its file is in. An object without an accepted context, or answered with *SOP class not
    supported*, is ``taken=False`` and the rest goes on: the archive does not want that kind. An
    object that is refused by any other status ends the sending, since what comes after it might
    point at it; its outcome is the last one.

    ``announce`` is called once the archive has accepted the association, before the first object
    leaves: until then nothing can have been sent.

    Raises
    ------
    AssociationFailed
        If there is no association or it breaks; ``outcomes`` holds the answers up to then.
    KeptResultDamaged
        If a file is gone or is not the bytes that were kept; nothing has been sent then.
    """
    ordered = in_sending_order(results)
    for result in ordered:
        check_kept(result)
    outcomes: list[StoreOutcome] = []
    with associated(to, [_offer(result) for result in ordered], requestor) as association:
        wanted = accepted(association)
        announce()
        for number, result in enumerate(ordered, start=1):
            if _offer(result) not in wanted:
                outcomes.append(_not_taken(result))
                continue
            outcome = _store_one(association, result, number, outcomes)
            failpoints.reach(Failpoint.OBJECT_SENT)
            outcomes.append(outcome)
            if outcome.taken and not is_stored(outcome.status):
                break
    return tuple(outcomes)


def in_sending_order(results: "Iterable[KeptResult]") -> tuple["KeptResult", ...]:
    """Return masks and pictures first, the SRs last, so that no SR points at nothing."""
    return tuple(sorted(results, key=lambda one: (_SENDING_ORDER.index(one.kind), one.number)))


def check_kept(result: "KeptResult") -> None:
    """Compare a kept file with the hash taken when it was encoded.

    Raises
    ------
    KeptResultDamaged
        If it cannot be read or differs.
    """
    try:
        with result.path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise KeptResultDamaged(f"{result.kind} {result.number}: {type(error).__name__}") from error
    if found != result.sha256:
        raise KeptResultDamaged(f"{result.kind} {result.number}: not the bytes that were kept")


def accepted_offers(
    to: "PacsNode", offers: "Iterable[Offer]", requestor: Requestor
) -> frozenset[Offer]:
    """Ask which ``(SOP class, transfer syntax)`` pairs an archive takes; nothing is sent.

    Raises
    ------
    AssociationFailed
        If there is no association: then nothing is known.
    """
    with associated(to, tuple(offers), requestor) as association:
        return accepted(association)


def echo(to: "PacsNode", requestor: Requestor) -> None:
    """Ask whether a node is there (C-ECHO, PS3.4 annex A).

    Raises
    ------
    AssociationFailed
        If it is not, or does not answer with success.
    """
    with associated(to, [(Verification, IMPLICIT_VR_LITTLE_ENDIAN)], requestor) as association:
        status = None
        if association.is_established:
            status = _status(association.send_c_echo())
    if status != StoreStatus.SUCCESS:
        raise AssociationFailed(f"{to}: no answer to C-ECHO")


def _store_one(
    association: "Association",
    result: "KeptResult",
    number: int,
    so_far: "Sequence[StoreOutcome]",
) -> StoreOutcome:
    if not association.is_established:
        raise AssociationFailed("the association was ended by the archive", so_far)
    try:
        answer = association.send_c_store(result.path, msg_id=number)
    except RuntimeError:  # pynetdicom's word for: ended between two objects
        raise AssociationFailed("the association was ended by the archive", so_far) from None
    except OSError as error:
        raise KeptResultDamaged(f"{result.kind} {result.number}: {type(error).__name__}") from error
    status = _status(answer)
    if status is None:
        lost = StoreOutcome(result.ref.sop_instance_uid, None, None)
        raise AssociationFailed("no answer to C-STORE", (*so_far, lost))
    comment = str(answer.get("ErrorComment", "") or "")[:COMMENT_MAX] or None
    # Some archives accept any context and say only now that they do not take the kind.
    taken = status != SOP_CLASS_NOT_SUPPORTED
    return StoreOutcome(result.ref.sop_instance_uid, status, comment, taken)


def _offer(result: "KeptResult") -> Offer:
    return result.ref.sop_class_uid, result.transfer_syntax_uid


def _not_taken(result: "KeptResult") -> StoreOutcome:
    return StoreOutcome(result.ref.sop_instance_uid, None, None, taken=False)


def _status(answer: Any) -> int | None:  # noqa: ANN401  (pynetdicom is untyped)
    """Return the status of a response; pynetdicom answers an empty data set for silence."""
    return int(answer.Status) if "Status" in answer else None
