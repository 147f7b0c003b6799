"""How the installation is: healthy, degraded or down, and why, without patient data."""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from pathlib import Path
from typing import Any, Self

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from service import checks, destinations, pulse, runstate
from service.checks import Check
from service.db import migrate
from service.db.engine import Database
from service.errors import DatabaseNotMigrated
from service.overview import RECENT, Overview, overview
from service.runstate import PartState, PartStatus, RunState
from service.settings import Settings

UNSEALED_LIMIT = timedelta(seconds=60)
ASK_AGAIN_S = 15.0  # archives and brokers are not asked more often than this


class Health(IntEnum):
    """The verdict; its number is the exit code of ``carina status``."""

    HEALTHY = 0
    DEGRADED = 1
    DOWN = 2


@dataclass(frozen=True, slots=True)
class Status:
    """Everything that ``carina status`` and the web page show.

    ``parts`` is empty where no supervisor runs the processes.
    """

    looked_at: datetime
    installation_id: str
    health: Health
    faults: tuple[str, ...]
    parts: tuple[PartStatus, ...]
    checks: tuple[Check, ...]
    overview: Overview

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it: times in ISO 8601, ages in seconds."""
        oldest = self.overview.oldest_open_at
        whole: dict[str, Any] = _plain(dataclasses.asdict(self))
        whole["health"] = self.health.name.lower()
        whole["oldest_open_s"] = None if oldest is None else _seconds(self.looked_at - oldest)
        return whole


class Source:
    """Where the status comes from; remembers slow answers, holds connections: use ``with``."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        url = settings.database_url.get_secret_value()
        self._database = (
            Database(url, pool_size=2, application_name="carina-status") if url else None
        )
        self._remembered: dict[str, tuple[float, Check]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._database is not None:
            self._database.dispose()

    def database_fault(self) -> str:
        """Return what is wrong with the database; "" when it can be worked with."""
        if self._database is None:
            return "CARINA_DATABASE_URL is not set"
        try:
            with self._database.begin() as session:
                session.execute(text("SELECT 1"))
            migrate.check(self._database)
        except SQLAlchemyError as error:
            return f"does not answer ({type(error).__name__})"
        except DatabaseNotMigrated as error:
            return str(error)
        return ""

    def look(self, now: datetime) -> Status:
        """Return how things are now."""
        settings = self._settings
        state = runstate.read(Path(settings.home).absolute())
        fault = self.database_fault()
        found = (
            Check("database", is_well=not fault, words=fault or "serves, at this version"),
            self._asked("broker", checks.broker),
            self._asked("pacs", checks.pacs),
            checks.disk(settings),
            checks.kept(settings),
            checks.short_way(settings),
        )
        seen = Overview() if fault else self._overview(now)
        faults = (
            *_faults_of_parts(state),
            *(f"{check.name}: {check.words}" for check in found if not check.is_well),
            *_faults_of_overview(seen, now),
        )
        return Status(
            looked_at=now,
            installation_id="" if state is None else state.installation_id,
            health=_verdict(state, fault, faults),
            faults=faults,
            parts=() if state is None else state.parts,
            checks=found,
            overview=seen,
        )

    def _overview(self, now: datetime) -> Overview:
        assert self._database is not None
        with self._database.begin() as session:
            seen = overview(session, now, self._settings.late_after)
            archives = self._settings.archives
            found = destinations.standings(session, archives, now - RECENT)
            return dataclasses.replace(seen, destinations=found)

    def _asked(self, name: str, ask: Callable[[Settings], Check]) -> Check:
        asked_at, answer = self._remembered.get(name, (0.0, None))
        if answer is None or time.monotonic() - asked_at > ASK_AGAIN_S:
            answer = ask(self._settings)
            self._remembered[name] = (time.monotonic(), answer)
        return answer


def _verdict(state: RunState | None, database_fault: str, faults: tuple[str, ...]) -> Health:
    is_stopped = state is not None and not state.is_live
    if database_fault or is_stopped:
        return Health.DOWN
    return Health.DEGRADED if faults else Health.HEALTHY


def _faults_of_parts(state: RunState | None) -> tuple[str, ...]:
    if state is None:
        return ()
    if not state.is_live:
        return ("nothing runs: the supervisor has ended",)
    return tuple(
        f"{part.name}: {part.state}" + (f", {part.fault}" if part.fault else "")
        for part in state.parts
        if part.state is not PartState.READY
    )


def _faults_of_overview(seen: Overview, now: datetime) -> tuple[str, ...]:
    faults = []
    if seen.late:
        why = f"; the oldest: {seen.open_jobs[0].why}" if seen.open_jobs else ""
        faults.append(f"{seen.late} drafts are late{why}")
    waiting = seen.audit.oldest_unsealed_at
    if waiting is not None and now - waiting > UNSEALED_LIMIT:
        faults.append(f"audit: {seen.audit.unsealed} events are not sealed")
    faults.extend(
        f"{one.name}: rests since its line kept breaking; {one.waiting} drafts wait"
        for one in seen.destinations
        if one.resting_since is not None
    )
    faults.extend(
        f"{one.name}: old objects of {one.not_retired} drafts are still there, a person must act"
        for one in seen.destinations
        if one.not_retired
    )
    faults.extend(
        f"{gone.name}: silent for {_seconds(now - gone.seen_at):.0f} s"
        for gone in pulse.missed(seen.processes)
    )
    return tuple(faults)


def _plain(value: Any) -> Any:  # noqa: ANN401  (any value of a status)
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _seconds(length: timedelta) -> float:
    return round(length.total_seconds(), 1)
