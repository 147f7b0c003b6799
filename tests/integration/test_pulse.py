"""Signs of life: written, renewed, taken away, and missed."""

import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from postgres import DatabaseUrls
from pydantic import SecretStr

from service import pulse
from service.db.engine import Database
from service.pulse import FORGOTTEN_AFTER, SILENT_AFTER, ProcessSeen, Pulse
from service.settings import Settings

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(database_urls: DatabaseUrls, tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, database_url=SecretStr(database_urls.service))


def who(settings: Settings, now: datetime) -> tuple[ProcessSeen, ...]:
    database = Database(settings.database_url.get_secret_value(), pool_size=1)
    try:
        with database.begin() as session:
            return pulse.seen(session, now)
    finally:
        database.dispose()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "did not come about"
        time.sleep(0.02)


def test_a_process_is_seen_while_it_runs_and_gone_when_it_ended_well(settings: Settings) -> None:
    with Pulse(settings, "work", every_s=0.05) as beating:
        until(lambda: len(who(settings, datetime.now(UTC))) == 1)
        first = who(settings, datetime.now(UTC))[0]
        assert (first.name, first.role, first.is_silent) == (beating.name, "work", False)
        until(lambda: who(settings, datetime.now(UTC))[0].seen_at > first.seen_at)
    assert who(settings, datetime.now(UTC)) == ()


def test_a_process_that_falls_silent_is_missed_until_forgotten(settings: Settings) -> None:
    beating = Pulse(settings, "deliver", every_s=3600)
    beating.__enter__()
    until(lambda: len(who(settings, datetime.now(UTC))) == 1)
    later = datetime.now(UTC) + SILENT_AFTER + timedelta(seconds=1)
    assert [one.name for one in pulse.missed(who(settings, later))] == [beating.name]
    assert who(settings, later + FORGOTTEN_AFTER) == ()
    beating.__exit__()


def test_a_silent_process_whose_role_another_fills_is_not_missed() -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    gone = ProcessSeen("work@a:1", "work", now, now, is_silent=True)
    heir = ProcessSeen("work@b:2", "work", now, now, is_silent=False)
    assert pulse.missed((gone, heir)) == ()
    assert pulse.missed((gone,)) == (gone,)


def test_a_database_that_is_away_never_stops_the_process(tmp_path: Path) -> None:
    away = SecretStr("postgresql+psycopg://carina@127.0.0.1:9/none")
    with Pulse(Settings(home=tmp_path, database_url=away), "listen", every_s=0.01) as beating:
        assert beating.name.startswith("listen@")


def test_no_process_forks_in_the_middle_of_a_beat() -> None:
    """What a thread holds while its process forks is never released in the child."""
    nowhere = SecretStr("postgresql+psycopg://nobody@127.0.0.1:1/none")
    held, begun = threading.Lock(), threading.Event()

    def slowly(*_: object) -> None:
        with held:
            begun.set()
            time.sleep(0.5)

    beating = Pulse(Settings(database_url=nowhere), "work", every_s=3600)
    beating._beat = beating._leave = slowly  # type: ignore[method-assign]
    with beating:
        assert begun.wait(30)
        child = os.fork()
        if child == 0:
            os._exit(0 if held.acquire(timeout=2) else 1)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        begun.clear()
    assert begun.is_set()  # and the parent goes on beating
