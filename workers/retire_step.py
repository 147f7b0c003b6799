"""The retire step: have an archive hide or delete objects that were replaced or withdrawn.

It comes after delivery: only what has a successor, proven in that same archive, retires there.
Asking twice is asking once: the note is kept like a result and sent again byte for byte, and what
is deleted already is not deleted again. A broken line is tried for ever at a capped interval; what
an archive does not do is told to a person.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from dicom import deletion, inherited, rejection
from dicom.errors import DeletionRefused, QueryNotOffered
from dicom.rejection import Rejection
from dicom.status import is_stored, is_transient
from dicom.values import WebNode
from service import keeping, retiring
from service.consignments import Outbox
from service.replaced import Replaced, RetirementState
from workers import backoff, destination, encoding, failures, lines
from workers.destination import RouteKind
from workers.failures import Remedy, Treatment

if TYPE_CHECKING:
    from dicom.values import KeptResult
    from service.retiring import Retirement
    from service.values import Destination
    from workers.context import WorkerContext
    from workers.lines import Line

log = structlog.get_logger(__name__)

NOT_TAKEN: Final = "the archive does not take Key Object Selection documents"
NOTHING_THERE: Final = "the archive holds nothing of it"
NOT_ASKED: Final = "stored; the archive cannot be asked what it shows"


def retire(context: "WorkerContext", only: str | None = None) -> bool:
    """Do the retirement that waits longest; False when none is due.

    ``only`` is the name of the one destination to serve (see :class:`service.consignments.Outbox`).
    """
    names = tuple(one.name for one in context.settings.archives)
    outbox = Outbox(context.settings.kept_results, names, only)
    # No heartbeat: one question to one archive, bounded by the time-outs of the line.
    with context.database.begin() as session:
        claimed = retiring.claim(
            session, context.owner, context.clock(), context.hard_limit, outbox
        )
    if claimed is None:
        return False
    work = _Retiring(context, claimed)
    with (
        structlog.contextvars.bound_contextvars(
            jobs=[str(claimed.job_id)],
            studies=[claimed.study_instance_uid],
            destination=claimed.destination,
        ),
        failures.contained([claimed.job_id], work.end),
    ):
        work.go_on()
    return True


@dataclass(frozen=True, slots=True)
class _Retiring:
    """One claimed retirement."""

    context: "WorkerContext"
    one: "Retirement"

    def go_on(self) -> None:
        """Do what the destination's setting asks for, as it is now."""
        use = encoding.use_in(self.one.summary)
        route = destination.decide(use, self.context.settings, self.one.destination)
        if route.archive is None:
            self._finish(RetirementState.FAILED, route.reason)
        elif route.archive.replaced is Replaced.LEAVE or not self.one.objects:
            self._finish(RetirementState.LEFT, "" if self.one.objects else NOTHING_THERE)
        elif route.kind is RouteKind.SHADOW:
            self._later(route.reason)
        elif route.archive.replaced is Replaced.REJECT:
            self._reject(lines.to(route.archive.to, self.context.requestor))
        else:
            self._delete(route.archive)

    def end(self, error: Exception, how: Treatment) -> None:
        """Write down what becomes of it when something went wrong."""
        if how.remedy is Remedy.RETRY:
            self._later(failures.reason(error))
        else:
            self._finish(RetirementState.FAILED, failures.reason(error))

    def _reject(self, line: "Line") -> None:
        """Send the note; then see that the archive shows it, or hides what it names."""
        note = self._note()
        (outcome,) = line.store((note,), lambda: None)
        if not outcome.taken:
            self._finish(RetirementState.FAILED, NOT_TAKEN)
        elif outcome.status is None or is_transient(outcome.status):
            self._later("the archive did not take the rejection note now")
        elif not is_stored(outcome.status):
            self._finish(RetirementState.FAILED, f"refused with status 0x{outcome.status:04X}")
        else:
            self._prove(line, note)

    def _prove(self, line: "Line", note: "KeptResult") -> None:
        """See the note, or its effect: an archive that acts on a note may hide the note too."""
        old = [each.ref for each in self.one.objects]
        try:
            shown = line.present((note.ref, *old))
        except QueryNotOffered:
            self._finish(RetirementState.REJECTED, NOT_ASKED)
            return
        if note.ref.sop_instance_uid in shown or len(shown) < len(old):
            self._finish(RetirementState.REJECTED, "")
        else:
            self._later("the archive shows neither the rejection note nor any effect of it")

    def _delete(self, archive: "Destination") -> None:
        refs = [each.ref for each in self.one.objects]
        timeouts = self.context.timeouts
        if archive.orthanc is not None:
            deletion.through_orthanc(refs, archive.orthanc, timeouts)
        elif isinstance(archive.to, WebNode):
            deletion.through_dicomweb(refs, archive.to, timeouts)
        else:
            raise DeletionRefused("no interface to delete through is configured")
        left = lines.to(archive.to, self.context.requestor).present(refs)
        if left:
            self._later(f"the archive still shows {len(left)} of {len(refs)} objects")
        else:
            self._finish(RetirementState.DELETED, "")

    def _note(self) -> "KeptResult":
        """Return the note, made once: a later version of Carina would write other bytes."""
        one = self.one
        folder = self.context.settings.kept_results / str(one.successor_job_id)
        folder = folder / f"rejection-{one.revision}-{one.destination}"
        made = rejection.build(
            Rejection(
                job_id=one.job_id,
                destination=one.destination,
                revision=one.revision,
                objects=one.objects,
                is_withdrawn=one.is_withdrawn,
                words=one.words,
                source=inherited.header_of(one.header),
                produced_at=one.opened_at,
                software_version=self.context.software_version,
            )
        )
        return keeping.found(folder, made) or keeping.write(folder, made)

    def _later(self, reason: str) -> None:
        context = self.context
        delay = backoff.after(self.one.tries)
        with context.database.begin() as session:
            now = context.clock()
            retiring.later(session, self.one, (context.owner, reason), now, delay)
        log.info("retirement_later", reason=reason)

    def _finish(self, to: RetirementState, reason: str) -> None:
        context = self.context
        with context.database.begin() as session:
            retiring.finish(session, self.one, to, (context.owner, reason), context.clock())
        tell = log.error if to is RetirementState.FAILED else log.info
        tell("retirement_ended", state=to.value, reason=reason)
