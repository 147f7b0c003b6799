"""The deliver step: send kept results, then make the archive say that it has them.

Each destination is served by itself. ENCODED is either kept in shadow or becomes SENDING; from
there the same bytes are sent until every answer is there (SENT), and asked for until the archive
shows them (DELIVERED). A broken line is tried for ever at a capped interval; a refusal is a dead
letter with its cause.
"""

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from dicom import failpoints
from dicom.errors import AssociationFailed
from dicom.failpoints import Failpoint
from service import audit, breaker, consignments, deliveries, jobs, retiring, sources
from service.consignments import Outbox
from service.errors import NothingToDeliver
from service.values import JobFacts, JobState
from workers import backoff, demographics, destination, encoding, failures, lines
from workers.committing import Committing, Next, Step
from workers.destination import Route, RouteKind
from workers.failures import Remedy, Treatment
from workers.heartbeat import beating
from workers.trail import Trail
from workers.verdict import Verdict, judge, not_taken

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from dicom.values import InstanceRef, KeptResult, StoreOutcome
    from service.values import Destination, Fence, Job
    from workers.context import WorkerContext
    from workers.lines import Line

PROOF_CAP: Final = timedelta(seconds=30)  # between two questions for proof
SHADOW: Final = "SHADOW"
NOT_TAKEN: Final = "NOT_TAKEN"
NOT_PROVEN: Final = "NOT_PROVEN"


def deliver(context: "WorkerContext", only: str | None = None) -> "Job | None":
    """Carry the delivery that waits longest as far as it goes now; None when none is due.

    ``only`` is the name of the one destination to serve (see :class:`service.consignments.Outbox`).
    """
    now = context.clock()
    names = tuple(one.name for one in context.settings.archives)
    outbox = Outbox(context.settings.kept_results, names, only)
    with context.database.begin() as session:
        claimed = deliveries.claim(session, context.owner, now, context.lease, outbox)
    if claimed is None:
        return None
    failpoints.reach(Failpoint.DELIVERY_CLAIMED)
    job, fence, kept = claimed
    with beating(context.pulse, [fence]):
        delivery = Delivery(context, job, fence, kept)
        with (
            structlog.contextvars.bound_contextvars(
                jobs=[str(job.job_id)],
                studies=[job.study_instance_uid],
                destination=fence.destination,
            ),
            failures.contained([job.job_id], delivery.end),
        ):
            delivery.go_on()
    failpoints.reach(Failpoint.DELIVERY_ENDED)
    return job


class Delivery:
    """One claimed delivery."""

    def __init__(
        self, context: "WorkerContext", job: "Job", fence: "Fence", kept: "Sequence[KeptResult]"
    ) -> None:
        self._context = context
        self._job = job
        self._fence = fence
        self._kept = tuple(kept)
        self._state = job.state
        self._sent_at = job.sent_at
        self._trail = Trail(job, context.owner)

    def go_on(self) -> None:
        """Do what the state asks for."""
        if not self._kept:
            raise NothingToDeliver("no kept results")
        with self._context.database.begin() as session:
            record = sources.record_of(session, self._job.job_id)
        # Decided anew each time: an override may be taken back while a delivery is retried.
        use = encoding.use_in(record.summary)
        route = destination.decide(use, self._context.settings, self._fence.destination)
        if route.kind is RouteKind.SHADOW or route.archive is None:
            self._keep_back(route)
        elif self._state is JobState.SENT:
            self._prove(route.archive)
        elif self._state is not JobState.ENCODED or demographics.may_go(
            self._context, self._fence, self._kept, route.archive
        ):
            self._send(route, route.archive, record)

    def end(self, error: Exception, how: Treatment) -> None:
        """Write down what becomes of a delivery that something went wrong with.

        What has been sent has been sent: from there on only proof is missing, so it never fails.
        """
        if how.remedy is Remedy.RETRY or self._state is JobState.SENT:
            self._try_later(failures.reason(error), broken=isinstance(error, AssociationFailed))
        else:
            self._fail(type(error).__name__, failures.reason(error))

    def _send(self, route: Route, archive: "Destination", record: sources.JobRecord) -> None:
        try:
            announce = partial(self._announce, route, archive, record)
            outcomes = self._line(archive).store(self._kept, announce)
        except AssociationFailed as error:
            self._record(error.outcomes)
            raise
        failpoints.reach(Failpoint.ALL_SENT)
        self._record(outcomes)
        judgement = judge(self._kept, outcomes, self._job.delivery_attempts)
        if judgement.verdict is Verdict.REFUSED:
            self._fail(judgement.code, judgement.reason)
        elif judgement.verdict is Verdict.TRY_AGAIN:
            self._try_later(judgement.reason)
        else:
            left_out = (str(record.summary.get("not_taken", "")), not_taken(self._kept, outcomes))
            reason = "; ".join(filter(None, left_out))
            facts = JobFacts(reason_code=NOT_TAKEN, reason=reason) if reason else JobFacts()
            self._move(JobState.SENT, facts)
            failpoints.reach(Failpoint.SENT_COMMITTED)
            self._prove(archive)

    def _announce(self, route: Route, archive: "Destination", record: sources.JobRecord) -> None:
        """From here on something may be in the archive; a lost fence stops it before that."""
        with self._context.database.begin() as session:
            now = self._context.clock()
            if route.overridden:
                use = encoding.use_in(record.summary)
                audit.record(session, self._trail.override_used(str(archive.to), use), now)
            if self._state is JobState.ENCODED:
                jobs.move(session, self._fence, JobState.SENDING, now)
        self._state = JobState.SENDING

    def _prove(self, archive: "Destination") -> None:
        refs = tuple(result.ref for result in self._kept)
        step = self._committing(archive, refs)
        asks = step.what is Next.QUERY
        found = self._line(archive).present(refs) if asks else frozenset()
        with self._context.database.begin() as session:
            now = self._context.clock()
            owed = deliveries.prove(session, self._fence, archive.name, found, now)
            if not owed:
                jobs.move(session, self._fence, JobState.DELIVERED, now)
                retiring.open_for(session, self._fence, archive, now)
                failpoints.reach(Failpoint.BEFORE_PROOF_COMMIT)
                return
            tries = self._job.delivery_attempts
            reason, delay = step.reason, step.delay
            if asks:
                reason = f"the archive does not show {len(owed)} of {len(refs)} objects"
                delay = backoff.after(tries, PROOF_CAP)
            if step.what in {Next.SEND_AGAIN, Next.LOOK} or (asks and self._is_overdue(now)):
                reason = reason or f"the archive did not commit {len(owed)} of {len(refs)} objects"
                facts = JobFacts(reason_code=NOT_PROVEN, reason=reason)
                jobs.move(session, self._fence, JobState.SENDING, now, facts)
                delay = backoff.after(tries)
            consignments.retry_later(session, self._fence, now, delay)

    def _committing(self, archive: "Destination", refs: "tuple[InstanceRef, ...]") -> Step:
        since = self._sent_at or self._context.clock()
        return Committing(self._context, self._fence, archive, refs).advance(since)

    def _is_overdue(self, now: "datetime") -> bool:
        patience = timedelta(seconds=self._context.settings.proof_timeout_s)
        return now - (self._sent_at or now) >= patience

    def _keep_back(self, route: Route) -> None:
        """Keep results in shadow; a delivery that had begun ends, since it is not allowed now."""
        if self._state is JobState.SENT:
            self._try_later(route.reason)
            return
        begun = self._state is not JobState.ENCODED
        facts = JobFacts(reason_code=SHADOW, reason=route.reason)
        self._move(JobState.FAILED if begun else JobState.SHADOW, facts)

    def _try_later(self, reason: str, *, broken: bool = False) -> None:
        """Leave the delivery in its state, due again later: the line may be broken for days."""
        with self._context.database.begin() as session:
            now = self._context.clock()
            event = self._trail.sending_failed(self._fence.destination, reason)
            audit.record(session, event, now)
            tries = self._job.delivery_attempts
            delay = backoff.after(tries)
            consignments.retry_later(session, self._fence, now, delay)
            if broken and self._state is not JobState.SENT:
                breaker.rest(session, self._fence, tries, now, delay)

    def _fail(self, code: str, reason: str) -> None:
        self._move(JobState.FAILED, JobFacts(reason_code=code, reason=reason))

    def _move(self, to: JobState, facts: JobFacts) -> None:
        with self._context.database.begin() as session:
            moved = jobs.move(session, self._fence, to, self._context.clock(), facts)
        self._state, self._sent_at = to, moved.sent_at

    def _record(self, outcomes: "Sequence[StoreOutcome]") -> None:
        name = self._fence.destination
        with self._context.database.begin() as session:
            now = self._context.clock()
            deliveries.record(session, self._fence, name, outcomes, now)
            if outcomes and outcomes[-1].status is not None:
                breaker.wake(session, self._fence, self._job.delivery_attempts, now)

    def _line(self, archive: "Destination") -> "Line":
        return lines.to(archive.to, self._context.requestor)
