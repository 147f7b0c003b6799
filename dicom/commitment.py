"""Storage Commitment, push model (PS3.4 annex J): ask an archive to vouch, and hear its report.

The request is an N-ACTION. The report is an N-EVENT-REPORT: on the same association when the
archive is quick, else on one that it opens itself, to our listener and in the role of SCP.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import structlog
from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from dicom import uids
from dicom.associate import associated
from dicom.errors import InvalidUid
from dicom.status import StoreStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom.associate import Requestor
    from dicom.values import InstanceRef, PacsNode

log = structlog.get_logger(__name__)

PUSH_MODEL: Final = str(StorageCommitmentPushModel)
REQUEST: Final = 1  # action type ID, PS3.4 J.3.2
EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
PROCESSING_FAILURE: Final = 0x0110  # PS3.7 annex C
INVALID_ARGUMENT: Final = 0x0115  # PS3.7 annex C
MAXIMUM_REFERENCES: Final = 10_000  # in one report; ours name less than a hundred


@dataclass(frozen=True, slots=True)
class CommitmentReport:
    """What an archive reported: SOP Instance UIDs it keeps, and those it does not with reasons.

    ``failures`` are values of Failure Reason (0008,1197), PS3.3 C.14.1.1.
    """

    transaction_uid: str
    committed: frozenset[str]
    failures: "Mapping[str, int]"


class Asked(StrEnum):
    """What became of a request."""

    TAKEN = "TAKEN"
    REFUSED = "REFUSED"  # by status, or by breaking off, as Orthanc does with who it does not know
    NOT_OFFERED = "NOT_OFFERED"


@dataclass(frozen=True, slots=True)
class Request:
    """One transaction: its UID, what is asked about, how long the same association is kept."""

    transaction_uid: str
    refs: "tuple[InstanceRef, ...]"
    wait_s: float = field(default=1.0)


def request(
    what: Request, to: "PacsNode", requestor: "Requestor"
) -> tuple[Asked, CommitmentReport | None]:
    """Ask ``to`` to commit; return whether it took the request, and its report if it came at once.

    Raises
    ------
    AssociationFailed
        If there is no association.
    """
    arrived = threading.Event()
    reports: list[CommitmentReport] = []

    def hear(report: CommitmentReport) -> bool:
        reports.append(report)
        if report.transaction_uid == what.transaction_uid:
            arrived.set()
        return True

    offers = [(PUSH_MODEL, EXPLICIT_VR_LITTLE_ENDIAN), (PUSH_MODEL, IMPLICIT_VR_LITTLE_ENDIAN)]
    with associated(to, offers, requestor) as association:
        if not association.accepted_contexts:
            return Asked.NOT_OFFERED, None
        association.bind(evt.EVT_N_EVENT_REPORT, answer_with(hear))
        status = _act(association, what)
        if status != StoreStatus.SUCCESS:
            return Asked.REFUSED, None
        arrived.wait(what.wait_s)
    ours = [one for one in reports if one.transaction_uid == what.transaction_uid]
    return Asked.TAKEN, ours[0] if ours else None


def answer_with(
    accept: Callable[[CommitmentReport], bool],
) -> Callable[[Any], tuple[int, None]]:
    """Return a handler of N-EVENT-REPORT for pynetdicom.

    ``accept`` records a report and returns after its commit; False means that nobody here asked
    for it. Only then, or when it raises, is the report answered with a failure.
    """

    def handle(event: Any) -> tuple[int, None]:  # noqa: ANN401  (pynetdicom is untyped)
        try:
            known = accept(read(event.event_information))
        except InvalidUid:
            return INVALID_ARGUMENT, None
        except Exception as error:  # noqa: BLE001  (the border of N-EVENT-REPORT: it must answer)
            log.warning("commitment_report_not_recorded", error=type(error).__name__)
            return PROCESSING_FAILURE, None
        return (StoreStatus.SUCCESS.value if known else INVALID_ARGUMENT), None

    return handle


def read(information: Dataset) -> CommitmentReport:
    """Read the Event Information of a report (PS3.4 table J.3-2).

    Raises
    ------
    InvalidUid
        If it names something that is no UID, or far more than we ever ask about.
    """
    kept = list(information.get("ReferencedSOPSequence") or ())
    failed = list(information.get("FailedSOPSequence") or ())
    if len(kept) + len(failed) > MAXIMUM_REFERENCES:
        raise InvalidUid("more references than were ever asked about")
    return CommitmentReport(
        transaction_uid=uids.checked(information.get("TransactionUID", "")),
        committed=frozenset(uids.checked(one.get("ReferencedSOPInstanceUID", "")) for one in kept),
        failures={
            str(uids.checked(one.get("ReferencedSOPInstanceUID", ""))): int(
                one.get("FailureReason", None) or PROCESSING_FAILURE
            )
            for one in failed
        },
    )


def _act(association: Any, what: Request) -> int:  # noqa: ANN401  (pynetdicom is untyped)
    try:
        answer, _ = association.send_n_action(
            _information(what.transaction_uid, what.refs),
            REQUEST,
            StorageCommitmentPushModel,
            StorageCommitmentPushModelInstance,
        )
    except RuntimeError:  # pynetdicom's word for: ended in between
        return PROCESSING_FAILURE
    return int(answer.get("Status", PROCESSING_FAILURE))


def _information(transaction_uid: str, refs: "Iterable[InstanceRef]") -> Dataset:
    asked = Dataset()
    asked.TransactionUID = transaction_uid
    asked.ReferencedSOPSequence = []
    for ref in refs:
        item = Dataset()
        item.ReferencedSOPClassUID = ref.sop_class_uid
        item.ReferencedSOPInstanceUID = ref.sop_instance_uid
        asked.ReferencedSOPSequence.append(item)
    return asked
