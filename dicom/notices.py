"""What the listener tells the audit trail beside the instances themselves."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from dicom.values import Peer


class NoticeKind(StrEnum):
    """What happened beside an instance being received; the words are those of the audit trail."""

    ASSOCIATION_REJECTED = "association_rejected"
    ASSOCIATION_ABORTED = "association_aborted"
    CONTEXT_REJECTED = "context_rejected"
    INSTANCE_REFUSED = "instance_refused"


@dataclass(frozen=True, slots=True)
class AssociationNotice:
    """Something for the audit trail, without patient data.

    ``reason`` is in our words. ``status`` and ``sop_instance_uid`` belong to a refused instance,
    ``contexts`` are the SOP Class UIDs that were offered and not accepted.
    """

    kind: NoticeKind
    peer: "Peer"
    reason: str
    occurred_at: "datetime"
    status: int | None = None
    sop_instance_uid: str | None = None
    contexts: tuple[str, ...] = ()
