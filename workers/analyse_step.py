"""The analyse step: claim studies, show their films to the network, keep the results.

Every write carries the fence of its job, so a worker that lost its claim changes nothing. What
goes wrong with one study is written down for that study and never reaches another of the batch.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import SQLAlchemyError

from dicom.failpoints import Failpoint, reach
from dicom.values import WebNode
from models.errors import GpuOutOfMemory
from service import audit, jobs, sources
from service import reading as site
from service.errors import FenceLost
from service.values import JobFacts, JobState
from workers import backoff, drafting, encoding, failures, films, identities, looking
from workers.failures import Remedy, Treatment
from workers.heartbeat import Heartbeat, beating
from workers.trail import Trail

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

    from dicom.values import Rejected
    from models.errors import ModelError
    from models.protocols import Eye
    from models.values import Sight
    from service.values import AuditEvent, Fence, Job
    from workers.context import WorkerContext
    from workers.drafting import Drafted
    from workers.profiles import ProfileBook

log = structlog.get_logger(__name__)

NOTHING_TO_READ = "NOTHING_TO_READ"
NO_FILM_WORDS = "the study holds no film that could be read"
AT_ONCE = timedelta(0)


@dataclass(slots=True)
class Reading:
    """One claimed job on its way through the step; ``seconds`` by stage, for the bench."""

    job: "Job"
    fence: "Fence"
    picked: films.Picked = field(default_factory=lambda: films.Picked((), ()))
    seconds: dict[str, float] = field(default_factory=dict)


def analyse(context: "WorkerContext", book: "ProfileBook") -> "tuple[UUID, ...]":
    """Read up to one batch of studies; return the jobs that are ready to be delivered.

    The network is loaded before anything is claimed: without it no job is touched.
    """
    eye = context.eye()
    now = context.clock()
    with context.database.begin() as session:
        claimed = jobs.claim(session, context.owner, context.settings.batch, now, context.lease)
    if not claimed:
        return ()
    log.info("jobs_claimed", attempts={str(job.job_id): job.attempt for job, _ in claimed})
    readings = [Reading(job, fence) for job, fence in claimed]
    for reading in readings:
        reading.seconds["wait"] = (now - reading.job.queued_at).total_seconds()
    with beating(context.pulse, [reading.fence for reading in readings]) as heartbeat:
        batch = Batch(context, book, eye, heartbeat)
        try:
            return batch.run(readings)
        finally:
            batch.give_back(readings)


class Batch:
    """The jobs of one claim, carried as far as they go; each ends by itself."""

    def __init__(
        self, context: "WorkerContext", book: "ProfileBook", eye: "Eye", heartbeat: Heartbeat
    ) -> None:
        self._context = context
        self._book = book
        self._eye = eye
        self._heartbeat = heartbeat
        self._since = context.clock()

    def run(self, readings: Sequence[Reading]) -> "tuple[UUID, ...]":
        """Carry every job to its end; return those that are encoded."""
        for reading in readings:
            with self._contained(reading):
                self._pick(reading)
        going = [reading for reading in readings if self._is_ours(reading)]
        for reading in going:
            with self._contained(reading):
                self._charge(reading)
        going = [reading for reading in going if self._is_ours(reading)]
        log.info("network_entered", jobs=[str(reading.job.job_id) for reading in going])
        seen: list[tuple[Sight | ModelError, ...]] = []
        with self._contained(*going):
            seen = self._look(going)
        orders: list[encoding.Order] = []
        for reading, sights in zip(going, seen, strict=False):
            with self._contained(reading):
                orders.extend(self._conclude(reading, sights))
        for order in orders:
            # The job is in other hands already: what goes wrong here must not touch it.
            with failures.contained([order.job.job_id], _leave_alone):
                encoding.draw_overlays(order, self._context)
        return tuple(order.job.job_id for order in orders)

    def give_back(self, readings: Sequence[Reading]) -> None:
        """Return what an interrupted batch has not ended.

        Whoever stops a worker interrupts it early, and the jobs are not the reason. A job that
        meets the hard limit may be interrupted in the same way before it is killed; it keeps the
        charge, or it would hang one worker after another for ever.
        """
        now = self._context.clock()
        is_early = now - self._since < self._context.hard_limit / 2
        for reading in filter(self._is_ours, readings):
            with contextlib.suppress(SQLAlchemyError, FenceLost), self._database() as session:
                jobs.give_back(session, reading.fence, now, AT_ONCE, blameless=is_early)

    def _pick(self, reading: Reading) -> None:
        settings = self._context.settings
        with _timed(reading, "pick"):
            with self._database() as session:
                study = reading.job.study_instance_uid
                instances = sources.current(session, study, settings.spool)
            reading.picked = films.pick(instances, site.policy(settings))
        trail = self._trail(reading)
        chosen = trail.chosen(reading.picked.films)
        self._record(chosen, *trail.rejected(reading.picked.rejected))
        if not reading.picked.films:
            self._skip(reading, reading.picked.rejected)

    def _charge(self, reading: Reading) -> None:
        with self._database() as session:
            jobs.charge(session, reading.fence, self._context.clock())

    def _look(self, readings: Sequence[Reading]) -> "list[tuple[Sight | ModelError, ...]]":
        """Show all films of the batch together; return what was seen, job by job."""
        images = [film.image for reading in readings for film in reading.picked.films]
        network_before = getattr(self._eye, "session_seconds", 0.0)
        started = time.perf_counter()
        sights = iter(looking.look(self._eye, images, self._context.settings.batch))
        each = (time.perf_counter() - started) / max(1, len(images))
        spent = getattr(self._eye, "session_seconds", 0.0) - network_before
        for reading in readings:
            count = len(reading.picked.films)
            reading.seconds |= {"look": each * count, "network": spent * count / len(images)}
        return [tuple(next(sights) for _ in reading.picked.films) for reading in readings]

    def _conclude(
        self, reading: Reading, sights: "Sequence[Sight | ModelError]"
    ) -> "Iterator[encoding.Order]":
        with _timed(reading, "conclude"):
            drafted = drafting.draft(reading.picked.films, sights, self._eye)
        drafted = self._with_what_fits(reading, drafted)
        self._record(*self._trail(reading).rejected(drafted.rejected))
        rejected = (*reading.picked.rejected, *drafted.rejected)
        if not drafted.drafts:
            self._skip(reading, rejected)
        else:
            yield self._encode(reading, drafted, rejected)

    def _with_what_fits(self, reading: Reading, drafted: "Drafted") -> "Drafted":
        """Try again while a film has no room; in the end do without it, if another was read."""
        if not drafted.without_memory:
            return drafted
        if reading.job.attempt < self._context.settings.max_attempts or not drafted.drafts:
            raise GpuOutOfMemory("no room for one film alone")
        return drafting.without_the_rest(drafted)

    def _encode(
        self, reading: Reading, drafted: "Drafted", rejected: "tuple[Rejected, ...]"
    ) -> "encoding.Order":
        context, job = self._context, reading.job
        now = context.clock()
        settings = context.settings
        with _timed(reading, "ask"):
            # Results are made once: the first destination decides in which kinds of object.
            first = next((one.to for one in settings.archives), None)
            node = None if isinstance(first, WebNode) else first
            profile = self._book.of(node, settings.destination_profile, context.requestor, now)
        with self._database() as session:
            replaced = sources.replaced_by(session, job)
            drafts = identities.as_known(session, drafted.drafts, settings)
        order = encoding.Order(job, drafts, rejected, profile, replaced)
        encoded = encoding.encode(order, context)
        reading.seconds |= encoded.seconds
        facts = JobFacts(
            bundle=encoded.bundle, stage_seconds=reading.seconds, summary=encoded.summary
        )
        with self._database() as session:
            for event in self._trail(reading).analysed(drafted.drafts):
                audit.record(session, event, context.clock())
            jobs.keep_results(session, reading.fence, encoded.kept, settings.kept_results)
            jobs.move(session, reading.fence, JobState.ENCODED, context.clock(), facts)
            reach(Failpoint.BEFORE_ENCODED_COMMIT)
        reach(Failpoint.AFTER_ENCODED_COMMIT)
        self._heartbeat.drop(reading.fence)
        context.ring_deliver([job.job_id])
        return order

    def _skip(self, reading: Reading, rejected: "tuple[Rejected, ...]") -> None:
        words = "; ".join(dict.fromkeys(one.words for one in rejected)) or NO_FILM_WORDS
        codes = dict.fromkeys(one.code for one in rejected)
        facts = JobFacts(
            reason_code=next(iter(codes)) if len(codes) == 1 else NOTHING_TO_READ,
            reason=words,
            stage_seconds=reading.seconds,
            summary={"films": [], "rejected": encoding.turned_away(rejected)},
        )
        self._end(reading, JobState.SKIPPED, facts)

    def _fail(self, reading: Reading, error: Exception, how: Treatment) -> None:
        """Write down what becomes of a job that something went wrong with."""
        facts = JobFacts(
            reason_code=type(error).__name__,
            reason=failures.reason(error),
            stage_seconds=reading.seconds,
        )
        job = reading.job
        if how.remedy is Remedy.SKIP:
            self._end(reading, JobState.SKIPPED, facts)
        elif how.remedy is Remedy.RETRY and job.attempt < self._context.settings.max_attempts:
            with self._database() as session:
                delay = backoff.after(job.attempt)
                jobs.give_back(session, reading.fence, self._context.clock(), delay)
            self._heartbeat.drop(reading.fence)
        else:
            self._end(reading, JobState.FAILED, facts)

    def _end(self, reading: Reading, to: JobState, facts: JobFacts) -> None:
        with self._database() as session:
            jobs.move(session, reading.fence, to, self._context.clock(), facts)
        self._heartbeat.drop(reading.fence)

    @contextlib.contextmanager
    def _contained(self, *readings: Reading) -> Iterator[None]:
        """Keep what goes wrong inside from anything but these jobs.

        When it goes wrong for several at once, nobody knows for which: each is given back and,
        being charged, is claimed alone the next time.
        """

        def end(error: Exception, how: Treatment) -> None:
            if len(readings) == 1:
                self._fail(readings[0], error, how)
                return
            for reading in readings:
                with self._database() as session:
                    jobs.give_back(session, reading.fence, self._context.clock(), AT_ONCE)
                self._heartbeat.drop(reading.fence)

        job_ids = [reading.job.job_id for reading in readings]
        studies = [reading.job.study_instance_uid for reading in readings]
        with (
            structlog.contextvars.bound_contextvars(jobs=[*map(str, job_ids)], studies=studies),
            failures.contained(job_ids, end),
        ):
            yield

    def _record(self, *events: "AuditEvent") -> None:
        with self._database() as session:
            for event in events:
                audit.record(session, event, self._context.clock())

    def _trail(self, reading: Reading) -> Trail:
        return Trail(reading.job, self._context.owner)

    def _is_ours(self, reading: Reading) -> bool:
        return self._heartbeat.holds(reading.fence)

    @property
    def _database(self) -> "Callable[[], contextlib.AbstractContextManager[Session]]":
        return self._context.database.begin


def _leave_alone(_error: Exception, _how: Treatment) -> None:
    """Write nothing down."""


@contextlib.contextmanager
def _timed(reading: Reading, stage: str) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    finally:
        reading.seconds[stage] = time.perf_counter() - started
