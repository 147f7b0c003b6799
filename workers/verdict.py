"""What the answers of an archive mean for the delivery as a whole: one pure function."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from dicom.status import is_stored, is_transient
from dicom.values import ResultKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom.values import KeptResult, StoreOutcome

PROCESSING_FAILURE: Final = 0x0110  # PS3.7 annex C.5.5
PROCESSING_FAILURES_MAX: Final = 10


class Verdict(StrEnum):
    """What to do next."""

    STORED = "STORED"  # everything the archive takes was answered with success
    TRY_AGAIN = "TRY_AGAIN"  # it may pass by itself
    REFUSED = "REFUSED"  # it will not change by itself: dead letter


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict, and for an administrator why; ``code`` is for counting."""

    verdict: Verdict
    code: str = ""
    reason: str = ""


def judge(
    results: "Sequence[KeptResult]", outcomes: "Sequence[StoreOutcome]", tries: int
) -> Judgement:
    """Judge the answers to one sending of a study; ``tries`` counts this one.

    Out of resources (0xA7xx) is tried for ever: archives run full and are emptied. Processing
    failure (0x0110) stands for anything, so it is tried a few times only. Without its text the
    draft says nothing, so an archive that takes no text SR refuses the whole.
    """
    kinds = {result.ref.sop_instance_uid: result.kind for result in results}
    for outcome in outcomes:
        if not outcome.taken:
            if kinds[outcome.sop_instance_uid] is ResultKind.TEXT_SR:
                return Judgement(Verdict.REFUSED, "NO_TEXT_SR", "the archive takes no text SR")
        elif not is_stored(outcome.status):
            return _refused(outcome, kinds[outcome.sop_instance_uid], tries)
    return Judgement(Verdict.STORED)


def not_taken(results: "Sequence[KeptResult]", outcomes: "Sequence[StoreOutcome]") -> str:
    """Return the kinds that the archive accepted no context for, "" when it took all."""
    unwanted = {one.sop_instance_uid for one in outcomes if not one.taken}
    kinds = (one.kind.value for one in results if one.ref.sop_instance_uid in unwanted)
    names = ", ".join(dict.fromkeys(kinds))
    return f"not taken: {names}" if names else ""


def _refused(outcome: "StoreOutcome", kind: ResultKind, tries: int) -> Judgement:
    status = outcome.status
    if status is None:  # no answer is a broken line, which never exhausts
        return Judgement(Verdict.TRY_AGAIN, "NO_ANSWER", f"{kind}: no answer")
    comment = f" ({outcome.error_comment})" if outcome.error_comment else ""
    reason = f"{kind}: the archive answered 0x{status:04X}{comment}"
    code = f"STATUS_{status:04X}"
    worn_out = status == PROCESSING_FAILURE and tries >= PROCESSING_FAILURES_MAX
    if is_transient(status) and not worn_out:
        return Judgement(Verdict.TRY_AGAIN, code, reason)
    return Judgement(Verdict.REFUSED, code, reason)
