"""A small hospital for tests of the worker's steps: a clock to turn, jobs in any state."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import numpy as np
from kept_results import SOP_CLASSES, keep
from pydicom.dataset import Dataset
from rows import NOW, PEER, QUIET, a_queued_job, claimed
from sqlalchemy import select

from dicom import film, spool, uids
from dicom.associate import Timeouts
from dicom.film import FilmDescription
from dicom.header import received_from_file
from dicom.values import InstanceRef, KeptResult, PacsNode, ResultKind
from models.fakes import FakeEye
from models.protocols import Eye
from service import intake, jobs, reading, studies
from service.db.engine import Database
from service.db.outbox_tables import DeliveryRow
from service.db.tables import AuditEventRow, JobRow, ResultRow
from service.settings import Settings
from service.values import Job, JobFacts, JobState
from workers.analyse_step import analyse
from workers.context import WorkerContext
from workers.profiles import ProfileBook

# Loopback answers at once, but a machine that is busy elsewhere may let seconds pass.
PATIENT = Timeouts(connect_s=10, acse_s=20, dimse_s=60, network_s=60)


@dataclass
class Clock:
    """Stands still until it is turned."""

    now: datetime = NOW + QUIET

    def __call__(self) -> datetime:
        return self.now

    def turn(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Ward:
    """One installation: its database, its folder, its clock, its bells."""

    database: Database
    home: Path
    clock: Clock = field(default_factory=Clock)
    eye: Callable[[], Eye] = FakeEye
    rung: list[UUID] = field(default_factory=list)

    def context(
        self,
        pacs: PacsNode | None = None,
        *,
        owner: str = "worker-1",
        commitment_wait_s: float = 1.0,
        **settings: object,
    ) -> WorkerContext:
        """Return the context of one worker process."""
        # Pictures and masks take a second of a processor; a test that is about them asks for them.
        values = {"home": self.home, "pacs": pacs, "results": "text", **settings}
        return WorkerContext(
            settings=Settings.model_validate(values),
            database=self.database,
            owner=owner,
            eye=self.eye,
            ring_deliver=self._ring,
            clock=self.clock,
            software_version="0.0.test",
            timeouts=PATIENT,
            commitment_wait_s=commitment_wait_s,
        )

    def an_encoded_job(
        self, *kinds: ResultKind, study: str = "1.2.3", use: str = "demo"
    ) -> tuple[Job, tuple[KeptResult, ...]]:
        """Return a job whose results lie on disk and wait for delivery."""
        queued = a_queued_job(self.database, self.home / "spool", study=study, now=self.clock.now)
        self.clock.turn(QUIET.total_seconds())
        ((job, fence),) = claimed(self.database, now=self.clock.now)
        assert job.job_id == queued.job_id
        root = self.home / "results"
        kept = tuple(
            keep(
                root / str(job.job_id) / "1",
                InstanceRef(
                    study,
                    uids.for_series(job.job_id, kind),
                    SOP_CLASSES[kind],
                    uids.for_result(job.job_id, kind, 1),
                ),
                kind,
            )
            for kind in kinds or tuple(ResultKind)
        )
        with self.database.begin() as session:
            jobs.keep_results(session, fence, kept, root)
            facts = JobFacts(summary={"use": use, "films": []})
            encoded = jobs.move(session, fence, JobState.ENCODED, self.clock.now, facts)
        return encoded, kept

    def receive(self, *data_sets: Dataset) -> None:
        """Put films into the spool and take them in, as the listener does."""
        settings = self.context().settings
        for ds in data_sets:
            content = film.encode(ds)
            instance = str(ds.SOPInstanceUID)
            digest = hashlib.sha256(content).hexdigest()
            path = spool.object_path(settings.spool, str(ds.StudyInstanceUID), instance, digest)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            received = received_from_file(path, PEER, self.clock.now)
            intake.accept(self.database, received, reading.intake_rules(settings), self.clock.now)

    def close(self) -> tuple[Job, ...]:
        """Let the quiet period pass; return the jobs that were opened, oldest first."""
        self.clock.turn(self.context().settings.quiet_period_s)
        with self.database.begin() as session:
            return studies.close_quiet(session, self.clock.now)

    def queue(self, *data_sets: Dataset) -> Job:
        """Take in the films of one study and return its job."""
        self.receive(*data_sets)
        (job,) = self.close()
        return job

    def analyse(self, **settings: object) -> tuple[UUID, ...]:
        """Let one worker do one round."""
        context = self.context(**settings)  # type: ignore[arg-type]
        return analyse(context, ProfileBook(self.home))

    def job(self, job: Job) -> JobRow:
        """Return the job's row as it is now."""
        with self.database.begin() as session:
            return session.get_one(JobRow, job.job_id)

    def state(self, job: Job) -> JobState:
        """Return the job's state as it is now."""
        return JobState(self.job(job).state)

    def delay_s(self, job: Job) -> float:
        """Return after how many seconds the job is due again."""
        return (self.job(job).next_attempt_at - self.clock.now).total_seconds()

    def events(self, job: Job) -> list[str]:
        """Return the types of the job's audit events, oldest first."""
        with self.database.begin() as session:
            asked = select(AuditEventRow.event_type).where(AuditEventRow.job_id == job.job_id)
            return list(session.scalars(asked.order_by(AuditEventRow.id)))

    def answers(self, job: Job) -> dict[ResultKind, DeliveryRow]:
        """Return what the archive answered, by kind."""
        with self.database.begin() as session:
            found = session.execute(
                select(ResultRow.kind, DeliveryRow)
                .join(DeliveryRow, DeliveryRow.result_id == ResultRow.id)
                .where(ResultRow.job_id == job.job_id)
            )
            return {ResultKind(kind): row for kind, row in found}

    def _ring(self, job_ids: Sequence[UUID]) -> None:
        self.rung.extend(job_ids)


def a_film(seed: str, **description: object) -> Dataset:
    """Return a small legal film; the same seed gives the same film, in a study of its own."""
    rng = np.random.default_rng(int.from_bytes(seed.encode()[:6], "little"))
    pixels = (rng.random((320, 288)) * 40000 + 8000).astype(np.uint16)
    return film.from_pixels(pixels, FilmDescription(seed=seed, **description))  # type: ignore[arg-type]


def renamed(context: WorkerContext, owner: str) -> WorkerContext:
    """Return the same context for another worker process."""
    return replace(context, owner=owner)
