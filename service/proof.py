"""What the file of heads speaks for, followed along the chain: one head at a time, in one pass."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.heads import Head


@dataclass(frozen=True, slots=True)
class AuditFault:
    """One thing that is not as it was: a code for counting, words for the auditor."""

    code: str
    words: str
    event_id: int | None = None
    position: int | None = None


class Proof:
    """Compares the links of a walk with the heads, both oldest first.

    ``behind`` is the link that the walk begins behind. ``position`` is the last link that the file
    speaks for, as far as it has been read; 0: nothing yet.
    """

    def __init__(self, heads: "Iterator[Head]", behind: int) -> None:
        self._heads = heads
        self._behind = behind
        self._expected = behind + 1
        self._head: Head | None = None
        self._is_over = False

    @property
    def position(self) -> int:
        """The last link that the heads read so far speak for."""
        return 0 if self._head is None else self._head.position

    def compare(
        self, position: int, chain_sha256: str, event_id: int | None = None
    ) -> "Iterator[AuditFault]":
        """Say what is wrong with the heads up to this link, and with the link by its head."""
        while not self._is_over and self.position < position:
            yield from self._take()
        head = self._head
        if head and head.position == position and head.chain_sha256 != chain_sha256:
            words = f"link {position} is not the one proven outside: the chain was made anew"
            yield AuditFault("CHAIN_REWRITTEN", words, event_id=event_id, position=position)

    def end(self, last_position: int) -> "Iterator[AuditFault]":
        """Say what is wrong with the heads behind the last link there is, and with their number."""
        while not self._is_over:
            yield from self._take()
        if self.position > last_position:
            words = f"links {last_position + 1} to {self.position} were sealed and are gone"
            yield AuditFault("TAIL_CUT", words, position=self.position)
        if self._head is None and last_position:
            yield AuditFault("HEADS_MISSING", "there is no file of heads: nothing is proven")

    def _take(self) -> "Iterator[AuditFault]":
        try:
            head = next(self._heads, None)
        except ValueError as error:
            yield AuditFault("HEADS_UNREADABLE", str(error))
            head = None
        if head is None:
            self._is_over = True
            return
        if head.position > self._behind or head.position < head.first:
            is_hung_on = head.first == self._expected or head.first <= self._behind
            if not is_hung_on or head.position < head.first:
                words = (
                    "the file of heads does not speak for links"
                    f" {self._expected} to {head.first - 1}"
                )
                yield AuditFault("HEADS_GAP", words, position=head.first)
            self._expected = head.position + 1
        self._head = head
