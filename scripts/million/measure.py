"""What the questions of the service cost: time, and pages touched, which no load changes."""

import re
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event, text

from scripts.million.fill import ROOT
from service import consignments, jobs, retention, story, verified, verify
from service.consignments import Outbox
from service.db.engine import Database
from service.overview import overview
from service.retention import Rules
from service.seal import Sealer
from service.settings import Settings
from service.sweep import Sweep
from service.values import JobState
from tests import rows

REPEATS = 40
WARM = 3
MANY = 1000
SCAN = re.compile(r"Seq Scan on (?P<table>\w+).*actual time=\S+ rows=(?P<rows>[\d.]+)")
STATEMENTS_MAX = 12
TABLES = (
    "studies",
    "instances",
    "jobs",
    "results",
    "deliveries",
    "consignments",
    "audit_events",
    "audit_seals",
)
LEASE = timedelta(seconds=60)
PAGES = text("SELECT blks_hit + blks_read FROM pg_stat_database WHERE datname = current_database()")


@dataclass(frozen=True, slots=True)
class Cost:
    """One question at one size: milliseconds, and pages touched for one of it."""

    name: str
    median_ms: float
    p90_ms: float
    pages: float


class SilentBell:
    """Hears every ring and wakes nobody."""

    def ring_analyse(self, _job_ids: object) -> bool:
        """Take it."""
        return True

    def ring_deliver(self, _job_ids: object) -> bool:
        """Take it."""
        return True


@dataclass(frozen=True, slots=True)
class Bench:
    """One database and what is asked of it; ``now`` is the moment of the newest study."""

    database: Database
    home: Path
    heads: Path
    studies: int

    def questions(self) -> dict[str, Callable[[int], object]]:
        """Return what is measured, by name; the argument counts the repeats."""
        settings = Settings(home=self.home)
        sweep = Sweep(self.database, settings, SilentBell())  # type: ignore[arg-type]
        sweep.run_once(_now())  # looks at the spool once, at its start
        return {
            "intake of one instance": self._intake,
            "sweep round": lambda _: sweep.run_once(_now()),
            "claim of a job": self._claim,
            "claim of a delivery": self._claim_delivery,
            "status": self._status,
            "list of studies": self._list,
            "show of one study": self._show,
            "purge of one study": self._purge,
        }

    def _intake(self, number: int) -> object:
        study = f"{ROOT}.7.{self.studies}.{number}"
        received = rows.an_instance(self.home / "spool", study=study)
        return rows.accept(self.database, self.home / "spool", received, _now())

    def _claim(self, _number: int) -> object:
        now = _now() + timedelta(hours=1)  # everything queued is due
        with self.database.begin() as session:
            claimed = jobs.claim(session, "bench", 1, now, LEASE)
            for _, fence in claimed:
                jobs.move(session, fence, JobState.ENCODED, now)
            return claimed

    def _claim_delivery(self, _number: int) -> object:
        with self.database.begin() as session:
            outbox = Outbox(self.home / "results")
            now = _now() + timedelta(hours=1)
            return consignments.claim(session, "bench", now, LEASE, outbox)

    def _status(self, _number: int) -> object:
        with self.database.begin() as session:
            return overview(session, _now(), Settings(home=self.home).late_after)

    def _list(self, _number: int) -> object:
        with self.database.begin() as session:
            return story.studies(session, 25, _now())

    def _show(self, number: int) -> object:
        name = f"{ROOT}.{1 + (number * 7919) % self.studies}"
        with self.database.begin() as session:
            return story.story(session, name, _now())

    def _purge(self, _number: int) -> object:
        """Let go of the oldest study, as the sweep does."""
        rules = Rules(timedelta(hours=1), None, self.home / "spool", self.home / "results")
        now = _now()
        with self.database.begin() as session:
            (place,) = retention.candidates(session, rules, now, None, 1)
            return retention.let_go(session, place.study_instance_uid, rules, now)

    def verify(self, say: Callable[[str], None], *, recent: bool = False) -> float:
        """Verify the trail, whole or behind what was verified before; return the seconds it took.

        Raises
        ------
        RuntimeError
            If it is not intact.
        """
        started = time.perf_counter()
        Sealer(self.database, self.heads).seal_once(_now())
        since = verified.read(self.heads.parent) if recent else None
        report = verify.verify(self.database, self.heads, _now(), None, since)
        taken = time.perf_counter() - started
        if not report.is_intact or report.end is None:
            raise RuntimeError(f"the trail is not intact: {report.faults[:3]}")
        verified.write(self.heads.parent, report.end)
        say(f"{self.studies:>9,} studies: {report.events} events verified in {taken:.1f} s")
        return taken

    def plans(self) -> dict[str, list[str]]:
        """Return the plan of every statement of every question, one after the other."""
        found: dict[str, list[str]] = {}
        for name, ask in self.questions().items():
            with _captured(self.database.engine) as statements:
                ask(99)
            found[name] = _explained(self.database.engine, statements)
        return found

    def queue_some(self) -> None:
        """Take in films and close their studies, so that there is something to claim."""
        spool = self.home / "spool"
        for number in range(REPEATS + 20):
            study = f"{ROOT}.8.{self.studies}.{number}"
            rows.a_queued_job(self.database, spool, study=study, now=_now())

    def pages(self) -> int:
        """Return how many pages were touched in this database so far."""
        with self.database.begin() as session:
            session.execute(text("SELECT pg_stat_force_next_flush()"))
        with self.database.begin() as session:
            return int(session.execute(PAGES).scalar_one())


def in_turns(benches: Sequence[Bench], say: Callable[[str], None]) -> list[list[Cost]]:
    """Ask everything of every database, in turns; return what it cost, by database."""
    asked = [bench.questions() for bench in benches]
    costs: list[list[Cost]] = [[] for _ in benches]
    for name in asked[0]:
        taken: list[list[float]] = [[] for _ in benches]
        for number in range(WARM):
            for questions in asked:
                questions[name](number)
        before = [bench.pages() for bench in benches]
        for number in range(100, 100 + REPEATS):
            for questions, times in zip(asked, taken, strict=True):
                times.append(_timed(questions[name], number))
        for bench, start, times, cost in zip(benches, before, taken, costs, strict=True):
            pages = round((bench.pages() - start) / REPEATS, 1)
            cost.append(Cost(name, statistics.median(times), _p90(times), pages))
            say(f"{bench.studies:>9,} studies: {name}: {cost[-1].median_ms:.1f} ms, {pages} pages")
    return costs


def scanned(plans: dict[str, list[str]]) -> list[str]:
    """Return where a table was read from its beginning for many rows, which no question may do."""
    found = []
    for name, texts in plans.items():
        for line in (line for plan in texts for line in plan.splitlines()):
            scan = SCAN.search(line)
            if scan and scan["table"].startswith(TABLES) and float(scan["rows"]) >= MANY:
                found.append(f"{name}: {line.strip()}")
    return found


def _now() -> datetime:
    return datetime.now(tz=rows.NOW.tzinfo)


def _timed(ask: Callable[[int], object], number: int) -> float:
    started = time.perf_counter()
    ask(number)
    return (time.perf_counter() - started) * 1000


def _p90(taken: Sequence[float]) -> float:
    return sorted(taken)[int(len(taken) * 0.9)]


@contextmanager
def _captured(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    statements: list[tuple[str, Any]] = []

    def note(*details: Any) -> None:  # noqa: ANN401  (SQLAlchemy's event)
        statements.append((details[2], details[3]))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


def _explained(engine: Engine, statements: list[tuple[str, Any]]) -> list[str]:
    """Explain each statement, on a transaction that is rolled back."""
    plans = []
    for statement, parameters in list(dict(statements).items()):
        verb = statement.split(maxsplit=1)[0].upper()
        if verb not in {"SELECT", "UPDATE", "DELETE", "WITH"} or "pg_" in statement:
            continue
        with engine.connect() as connection:
            plan = _explain(connection, statement, parameters)
            connection.rollback()
        plans.append(f"{' '.join(statement.split())[:200]}\n{plan}")
    return plans[:STATEMENTS_MAX]


def _explain(connection: Connection, statement: str, parameters: Any) -> str:  # noqa: ANN401
    found = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS) {statement}", parameters)
    return "\n".join(str(line) for (line,) in found)
