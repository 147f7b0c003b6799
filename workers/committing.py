"""Proof by storage commitment: when to ask, when to ask anew, when to ask otherwise."""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from dicom import commitment
from dicom.commitment import Asked
from dicom.errors import AssociationFailed
from dicom.status import SOP_CLASS_NOT_SUPPORTED
from dicom.values import PacsNode
from service import commitments
from service.values import CommitmentState, Proof

if TYPE_CHECKING:
    from datetime import datetime

    from dicom.values import InstanceRef
    from service.commitments import Commitment
    from service.values import Destination, Fence
    from workers.context import WorkerContext

EXPIRED_MAX: Final = 2
"""Reports that may stay out before ``auto`` asks by a query: an archive that takes requests but
does not know our listener's address never reports."""


class Next(StrEnum):
    """What to do now about the proof of a consignment."""

    LOOK = "LOOK"  # there is a report: see whether anything is still owed
    QUERY = "QUERY"
    WAIT = "WAIT"
    SEND_AGAIN = "SEND_AGAIN"


@dataclass(frozen=True, slots=True)
class Step:
    """What to do, when to come back, and why."""

    what: Next
    delay: timedelta = timedelta(0)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Committing:
    """The commitment of one claimed consignment."""

    context: "WorkerContext"
    fence: "Fence"
    archive: "Destination"
    refs: "tuple[InstanceRef, ...]"

    def advance(self, since: "datetime") -> Step:
        """Ask, or look at what has become of asking; ``since`` is when everything was sent.

        Raises
        ------
        AssociationFailed
            If there is no association, or it breaks.
        """
        if self.archive.proof is Proof.QUERY or not isinstance(self.archive.to, PacsNode):
            return Step(Next.QUERY)
        found = self._newest(since)
        if found is not None and self._is_overdue(found):
            self._end(found.transaction_uid, CommitmentState.EXPIRED)
            found = self._newest(since)
        if found is None or self._asks_anew(found):
            self._ask(self.archive.to)
            found = self._newest(since)
        assert found is not None
        return self._judge(found)

    def _judge(self, found: "Commitment") -> Step:
        strict = self.archive.proof is Proof.COMMITMENT
        match found.state:
            case CommitmentState.COMMITTED:
                return Step(Next.LOOK)
            case CommitmentState.PARTIAL:
                if set(found.failures.values()) == {SOP_CLASS_NOT_SUPPORTED} and not strict:
                    return Step(Next.QUERY)
                return Step(Next.SEND_AGAIN, reason=_words(found))
            case CommitmentState.REQUESTED:
                left = found.requested_at + self._timeout - self.context.clock()
                return Step(Next.WAIT, max(left, timedelta(0)), "no commitment reported yet")
            case _:
                words = "the archive took no request for storage commitment"
                return Step(Next.WAIT, self._timeout, words) if strict else Step(Next.QUERY)

    def _asks_anew(self, found: "Commitment") -> bool:
        strict = self.archive.proof is Proof.COMMITMENT
        if found.state is CommitmentState.EXPIRED:
            return strict or found.expired < EXPIRED_MAX
        refused = (CommitmentState.REFUSED, CommitmentState.NOT_OFFERED)
        return strict and found.state in refused and self._is_old(found)

    def _ask(self, to: PacsNode) -> None:
        transaction_uid = f"2.25.{uuid.uuid4().int}"  # PS3.5 B.2; nobody else can guess it
        with self.context.database.begin() as session:
            commitments.begin(session, self.fence, transaction_uid, self.context.clock())
        what = commitment.Request(transaction_uid, self.refs, self.context.commitment_wait_s)
        try:
            asked, heard = commitment.request(what, to, self.context.requestor)
        except AssociationFailed:
            self._end(transaction_uid, CommitmentState.EXPIRED)
            raise
        if asked is not Asked.TAKEN:
            self._end(transaction_uid, CommitmentState(asked.value))
            return
        with self.context.database.begin() as session:
            now = self.context.clock()
            commitments.taken(session, self.fence, transaction_uid, now)
            if heard is not None:
                commitments.report(session, heard, to.ae_title, now)

    def _newest(self, since: "datetime") -> "Commitment | None":
        with self.context.database.begin() as session:
            return commitments.newest(session, self.fence, since)

    def _end(self, transaction_uid: str, state: CommitmentState) -> None:
        with self.context.database.begin() as session:
            commitments.end(session, transaction_uid, state, self.context.clock())

    def _is_overdue(self, found: "Commitment") -> bool:
        return found.state is CommitmentState.REQUESTED and self._is_old(found)

    def _is_old(self, found: "Commitment") -> bool:
        return self.context.clock() >= found.requested_at + self._timeout

    @property
    def _timeout(self) -> timedelta:
        return timedelta(seconds=self.context.settings.commitment_timeout_s)


def _words(found: "Commitment") -> str:
    codes = ", ".join(sorted({f"0x{code:04X}" for code in found.failures.values()}))
    return f"the archive did not commit {len(found.failures)} objects ({codes})"
