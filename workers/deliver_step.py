"""The deliver step: send kept results, then make the archive say that it has them.

ENCODED is either kept in shadow or becomes SENDING; from there the same bytes are sent until every
answer is there (SENT), and asked for until the archive shows them (DELIVERED). A broken line is
tried for ever at a capped interval; a refusal is a dead letter with its cause.
"""

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from dicom import query, send
from dicom.errors import AssociationFailed
from service import audit, deliveries, jobs, sources
from service.errors import NothingToDeliver
from service.values import JobFacts, JobState
from workers import backoff, destination, encoding, failures
from workers.destination import Route, RouteKind
from workers.failures import Remedy, Treatment
from workers.heartbeat import beating
from workers.trail import Trail
from workers.verdict import Verdict, judge, not_taken

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from dicom.values import KeptResult, PacsNode, StoreOutcome
    from service.values import Fence, Job
    from workers.context import WorkerContext

PROOF_CAP: Final = timedelta(seconds=30)  # between two questions for proof
SHADOW: Final = "SHADOW"
NOT_TAKEN: Final = "NOT_TAKEN"
NOT_PROVEN: Final = "NOT_PROVEN"


def deliver(context: "WorkerContext") -> "Job | None":
    """Carry the delivery that waits longest as far as it goes now; None when none is due."""
    now = context.clock()
    with context.database.begin() as session:
        root = context.settings.kept_results
        claimed = deliveries.claim(session, context.owner, now, context.lease, root)
    if claimed is None:
        return None
    job, fence, kept = claimed
    with beating(context.pulse, [fence]):
        delivery = Delivery(context, job, fence, kept)
        with (
            structlog.contextvars.bound_contextvars(
                jobs=[str(job.job_id)], studies=[job.study_instance_uid]
            ),
            failures.contained([job.job_id], delivery.end),
        ):
            delivery.go_on()
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
        self._trail = Trail(job, context.owner)

    def go_on(self) -> None:
        """Do what the state asks for."""
        if not self._kept:
            raise NothingToDeliver("no kept results")
        with self._context.database.begin() as session:
            record = sources.record_of(session, self._job.job_id)
        # Decided anew each time: an override may be taken back while a delivery is retried.
        use = encoding.use_in(record.summary)
        route = destination.decide(use, self._context.settings)
        if route.kind is RouteKind.SHADOW or route.to is None:
            self._keep_back(route)
        elif self._state is JobState.SENT:
            self._prove(route.to, record.sent_at)
        else:
            self._send(route, route.to, record)

    def end(self, error: Exception, how: Treatment) -> None:
        """Write down what becomes of a delivery that something went wrong with.

        What has been sent has been sent: from there on only proof is missing, so it never fails.
        """
        if how.remedy is Remedy.RETRY or self._state is JobState.SENT:
            self._try_later(failures.reason(error))
        else:
            self._fail(type(error).__name__, failures.reason(error))

    def _send(self, route: Route, to: "PacsNode", record: sources.JobRecord) -> None:
        name = str(to)
        try:
            announce = partial(self._announce, route, to, record)
            outcomes = send.store(self._kept, to, self._context.requestor, announce)
        except AssociationFailed as error:
            self._record(name, error.outcomes)
            raise
        self._record(name, outcomes)
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
            self._prove(to, self._context.clock())

    def _announce(self, route: Route, to: "PacsNode", record: sources.JobRecord) -> None:
        """From here on something may be in the archive; a lost fence stops it before that."""
        with self._context.database.begin() as session:
            now = self._context.clock()
            if route.overridden:
                use = encoding.use_in(record.summary)
                audit.record(session, self._trail.override_used(str(to), use), now)
            if self._state is JobState.ENCODED:
                jobs.move(session, self._fence, JobState.SENDING, now)
        self._state = JobState.SENDING

    def _prove(self, to: "PacsNode", sent_at: "datetime | None") -> None:
        refs = [result.ref for result in self._kept]
        found = query.present(refs, to, self._context.requestor)
        settings = self._context.settings
        with self._context.database.begin() as session:
            now = self._context.clock()
            owed = deliveries.prove(session, self._fence, str(to), found, now)
            if not owed:
                jobs.move(session, self._fence, JobState.DELIVERED, now)
                return
            waited = now - (sent_at or now)
            if waited >= timedelta(seconds=settings.proof_timeout_s):
                reason = f"the archive does not show {len(owed)} of {len(refs)} objects"
                facts = JobFacts(reason_code=NOT_PROVEN, reason=reason)
                jobs.move(session, self._fence, JobState.SENDING, now, facts)
                delay = backoff.after(self._job.delivery_attempts)
            else:
                delay = backoff.after(self._job.delivery_attempts, PROOF_CAP)
            deliveries.retry_later(session, self._fence, now, delay)

    def _keep_back(self, route: Route) -> None:
        """Keep results in shadow; a delivery that had begun ends, since it is not allowed now."""
        if self._state is JobState.SENT:
            self._try_later(route.reason)
            return
        begun = self._state is not JobState.ENCODED
        facts = JobFacts(reason_code=SHADOW, reason=route.reason)
        self._move(JobState.FAILED if begun else JobState.SHADOW, facts)

    def _try_later(self, reason: str) -> None:
        """Leave the delivery in its state, due again later: the line may be broken for days."""
        with self._context.database.begin() as session:
            now = self._context.clock()
            event = self._trail.sending_failed(str(self._context.settings.pacs), reason)
            audit.record(session, event, now)
            delay = backoff.after(self._job.delivery_attempts)
            deliveries.retry_later(session, self._fence, now, delay)

    def _fail(self, code: str, reason: str) -> None:
        self._move(JobState.FAILED, JobFacts(reason_code=code, reason=reason))

    def _move(self, to: JobState, facts: JobFacts) -> None:
        with self._context.database.begin() as session:
            jobs.move(session, self._fence, to, self._context.clock(), facts)
        self._state = to

    def _record(self, destination_name: str, outcomes: "Sequence[StoreOutcome]") -> None:
        with self._context.database.begin() as session:
            now = self._context.clock()
            deliveries.record(session, self._fence, destination_name, outcomes, now)
