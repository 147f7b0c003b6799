"""What is let go in the background, a little in every round of the sweep: never a long one.

A pass looks at every study that is old enough and at every folder of results; then it rests for an
hour, or begins again at once when the disk runs low. What it did is written to a small file that
``carina status`` reads.
"""

import json
import uuid
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from dicom import spool
from service import removing, retention
from service.db import partitions
from service.db.tables import OPEN, JobRow, ResultRow
from service.files import private_folder, write_private
from service.retention import Gone, Place, Rules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from service.db.engine import Database
    from service.settings import Settings

STUDIES_AT_ONCE = 10
FOLDERS_AT_ONCE = 100
REST = timedelta(hours=1)
REST_WHEN_LOW = timedelta(minutes=1)
ABANDONED = timedelta(days=1)
"""A folder of results that no row speaks of may be one that is being written: not after a day."""

NOT_FINISHED = timedelta(minutes=10)
"""What nobody has written to for so long is not being received: no network limit is longer."""

MEGABYTE = 1_000_000
FILE = "housekeeping.json"
HELD_ON = "another table holds on to it"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass did; ``kept`` counts old studies that stay, by the reason."""

    began_at: str
    studies: int = 0
    instances: int = 0
    results: int = 0
    size_bytes: int = 0
    leftovers: int = 0
    kept: dict[str, int] = field(default_factory=dict)
    fault: str = ""


class Housekeeper:
    """One pass after the other; :meth:`step` does a little of it."""

    def __init__(self, database: "Database", settings: "Settings") -> None:
        self._database = database
        self._settings = settings
        self._rules = retention.rules_of(settings)
        self._pass: Pass | None = None
        self._place: Place | None = None
        self._folders: Iterator[Path] = iter(())
        self._kept: Counter[str] = Counter()
        self._next: datetime | None = None
        self._hurry_at: datetime | None = None
        self._is_ahead = False
        self.last: Pass | None = None

    def step(self, now: datetime) -> bool:
        """Do a little; return whether the pass goes on.

        A disk or a database that refuses ends the pass and is told; nothing else waits for it.
        """
        if self._pass is None:
            if self._next is not None and now < self._next and not self._must_hurry(now):
                return False
            self._begin(now)
        try:
            if not self._is_ahead:
                self._make_partitions()
            goes_on = self._studies(now) or self._leftovers(now)
        except (OSError, SQLAlchemyError) as error:
            log.warning("housekeeping_stopped", error=type(error).__name__)
            self._count(fault=type(error).__name__)
            goes_on = False
        if not goes_on:
            self._end(now)
        return goes_on

    def run(self, now: datetime) -> Pass:
        """Do one whole pass; return what it did."""
        self._begin(now)
        while self.step(now):
            pass
        assert self.last is not None
        return self.last

    def _make_partitions(self) -> None:
        with self._database.begin() as session:
            partitions.make_ahead(session)
        self._is_ahead = True

    def _begin(self, now: datetime) -> None:
        self._is_ahead = False
        self._pass = Pass(now.isoformat())
        self._place = None
        self._kept.clear()
        self._folders = _folders(self._settings.kept_results)

    def _end(self, now: datetime) -> None:
        self._count(kept=dict(self._kept))
        assert self._pass is not None
        self.last, self._pass = self._pass, None
        self._next, self._hurry_at = now + REST, now + REST_WHEN_LOW
        log.info("housekeeping_done", **asdict(self.last))
        try:
            run = private_folder(self._settings.home / "run")
            write_private(run / FILE, json.dumps(asdict(self.last)) + "\n")
        except OSError as error:
            log.warning("housekeeping_not_noted", error=type(error).__name__)

    def _must_hurry(self, now: datetime) -> bool:
        """Return whether the disk runs low: our own leftovers must not stop the intake."""
        if self._hurry_at is None or now < self._hurry_at:
            return False
        self._hurry_at = now + REST_WHEN_LOW
        try:
            free = spool.free_bytes(self._settings.spool)
            if free >= self._settings.resume_mb * MEGABYTE:
                return False
            spool.sweep_incoming(self._settings.spool, now - NOT_FINISHED)
        except OSError:
            return False
        return True

    def _studies(self, now: datetime) -> bool:
        """Let go of a few studies; False when none is left to look at."""
        if self._rules is None:
            return False
        with self._database.begin() as session:
            found = retention.candidates(session, self._rules, now, self._place, STUDIES_AT_ONCE)
        for place in found:
            went = self._let_go(place, self._rules, now)
            if isinstance(went, Gone):
                self._add(went)
            else:
                self._kept[went] += 1
            self._place = place
        return len(found) == STUDIES_AT_ONCE

    def _let_go(self, place: Place, rules: Rules, now: datetime) -> Gone | str:
        try:
            with self._database.begin() as session:
                return retention.let_go(session, place.study_instance_uid, rules, now)
        except IntegrityError:
            return HELD_ON  # a table of a newer version: its rows are not ours to judge

    def _leftovers(self, now: datetime) -> bool:
        """Remove folders of results that no row speaks of; False when all were looked at."""
        folders = list(islice(self._folders, FOLDERS_AT_ONCE))
        old = [one for one in folders if _changed_before(one, now - ABANDONED)]
        for folder in self._without_row(old):
            removing.folders([folder])
            self._count(leftovers=1)
        return len(folders) == FOLDERS_AT_ONCE

    def _without_row(self, folders: "list[Path]") -> "list[Path]":
        """Return which folders ``<job>/<attempt>`` hold nothing that a result's row names."""
        jobs = {uuid.UUID(folder.parent.name) for folder in folders}
        with self._database.begin() as session:
            paths = session.scalars(select(ResultRow.path).where(ResultRow.job_id.in_(jobs))).all()
            still_open = set(
                session.scalars(
                    select(JobRow.job_id).where(JobRow.job_id.in_(jobs), JobRow.state.in_(OPEN))
                )
            )
        named = {path.rpartition("/")[0] for path in paths}
        return [
            folder
            for folder in folders
            if f"{folder.parent.name}/{folder.name}" not in named
            and uuid.UUID(folder.parent.name) not in still_open
        ]

    def _add(self, went: Gone) -> None:
        self._count(
            studies=1, instances=went.instances, results=went.results, size_bytes=went.size_bytes
        )

    def _count(
        self, *, kept: dict[str, int] | None = None, fault: str | None = None, **more: int
    ) -> None:
        assert self._pass is not None
        summed = {name: getattr(self._pass, name) + number for name, number in more.items()}
        self._pass = replace(self._pass, **summed)
        if kept is not None:
            self._pass = replace(self._pass, kept=kept)
        if fault is not None:
            self._pass = replace(self._pass, fault=fault)


def read(home: "Path") -> Pass | None:
    """Return what the last pass did; None when there was none, or its file cannot be read."""
    try:
        return Pass(**json.loads((home / "run" / FILE).read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError):
        return None


def _folders(root: "Path") -> "Iterator[Path]":
    """Give every folder ``<job>/<attempt>`` of kept results."""
    for job in root.iterdir() if root.is_dir() else ():
        if _is_job(job.name) and job.is_dir():
            yield from (one for one in job.iterdir() if one.is_dir())


def _is_job(name: str) -> bool:
    try:
        uuid.UUID(name)
    except ValueError:
        return False
    return True


def _changed_before(path: "Path", moment: datetime) -> bool:
    try:
        return path.stat().st_mtime < moment.timestamp()
    except FileNotFoundError:
        return False
