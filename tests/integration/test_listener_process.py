"""``carina listen`` as a process: what it needs, what it answers, how it ends."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import postgres as postgres_server
import psutil
import pytest
from film_builders import a_film
from orthanc import free_port
from postgres import DatabaseUrls, Postgres
from sqlalchemy import func, select

from dicom import film
from dicom.associate import Requestor
from dicom.errors import AssociationFailed
from dicom.values import PacsNode
from service import sending
from service.db.engine import Database
from service.db.tables import AuditEventRow, InstanceRow
from service.processes import wait_until

pytestmark = pytest.mark.integration

LIMIT_S = 60.0
OUT_OF_RESOURCES = "0xA700"


class ListenerProcess:
    """The command, its port, and a way to send to it."""

    def __init__(self, folder: Path, url: str, **settings: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.ready = folder / "listen.ready"
        self.log = folder / "listen.log"
        environment = {
            "PATH": os.defpath,
            "PYTHONPATH": str(Path.cwd()),
            "CARINA_HOME": str(folder / "home"),
            "CARINA_DATABASE_URL": url,
            "CARINA_LISTENER_PORT": str(self.port),
            "CARINA_READY_FILE": str(self.ready),
            **settings,
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "service", "listen"], env=environment, stdout=log, stderr=log
            )

    def wait_until_ready(self) -> None:
        def is_ready() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            return self.ready.exists()

        assert wait_until(is_ready, LIMIT_S), self.log.read_text()

    def send(self, seed: str, calling: str = "MODALITY") -> sending.Answer:
        path = self.folder / f"{seed}.dcm"
        path.write_bytes(film.encode(a_film(seed)))
        files, _ = sending.find([path])
        to = PacsNode("CARINA", "127.0.0.1", self.port)
        (answer,) = sending.send(files, to, Requestor(calling))
        return answer

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LIMIT_S)


@contextmanager
def listening(folder: Path, url: str, **settings: str) -> Iterator[ListenerProcess]:
    listener = ListenerProcess(folder, url, **settings)
    try:
        listener.wait_until_ready()
        yield listener
    finally:
        if listener.process.poll() is None:
            listener.process.kill()
            listener.process.wait()


def instances(database: Database) -> int:
    with database.begin() as session:
        return session.scalar(select(func.count()).select_from(InstanceRow)) or 0


def test_success_is_answered_for_what_is_recorded_and_sigterm_ends_it_well(
    tmp_path: Path, database: Database, database_urls: DatabaseUrls
) -> None:
    with listening(tmp_path, database_urls.service) as listener:
        answer = listener.send("one")
        assert answer.words == "0x0000"
        assert instances(database) == 1
        assert listener.end() == 0
    lines = [json.loads(line) for line in listener.log.read_text().splitlines()]
    assert {line["process"] for line in lines} == {"listen"}, "also on lines of other threads"
    assert "instance_received" in [line["event"] for line in lines]
    assert "Film" not in listener.log.read_text(), "the patient of the film is in no log line"


def test_several_processes_share_one_port_and_end_together(
    tmp_path: Path, database: Database, database_urls: DatabaseUrls
) -> None:
    with listening(tmp_path, database_urls.service, CARINA_LISTENER_PROCESSES="2") as listener:
        for number in range(6):
            assert listener.send(f"film-{number}").is_taken
        assert instances(database) == 6
        listeners = [
            child
            for child in psutil.Process(listener.process.pid).children()
            if "spawn_main" in " ".join(child.cmdline())
        ]
        assert len(listeners) == 2
        assert listener.end() == 0
        assert not any(child.is_running() for child in listeners)


def test_when_one_of_several_processes_dies_the_whole_ends_to_be_started_again(
    tmp_path: Path, database_urls: DatabaseUrls
) -> None:
    with listening(tmp_path, database_urls.service, CARINA_LISTENER_PROCESSES="2") as listener:
        children = [
            child
            for child in psutil.Process(listener.process.pid).children()
            if "spawn_main" in " ".join(child.cmdline())
        ]
        children[0].kill()
        assert listener.process.wait(LIMIT_S) == 1
        assert not any(child.is_running() for child in children)


def test_a_caller_that_is_not_allowed_leaves_a_trace(
    tmp_path: Path, database: Database, database_urls: DatabaseUrls
) -> None:
    with listening(tmp_path, database_urls.service, CARINA_CALLERS="KNOWN@127.0.0.1") as listener:
        with pytest.raises(AssociationFailed):
            listener.send("refused", calling="STRANGER")
        assert listener.send("taken", calling="KNOWN").is_taken

        def event() -> str | None:
            with database.begin() as session:
                return session.scalar(
                    select(AuditEventRow.user_id).where(
                        AuditEventRow.event_type == "association_rejected"
                    )
                )

        assert wait_until(lambda: event() == "STRANGER", LIMIT_S)


def test_without_the_database_films_are_put_off_and_taken_when_it_is_back(
    tmp_path: Path,
) -> None:
    with postgres_server.running(tmp_path / "own") as server:
        urls = server.migrated_database()
        database = Database(urls.service)
        with listening(tmp_path, urls.service) as listener:
            assert listener.send("before").is_taken
            server.stop()
            answer = listener.send("while")
            assert not answer.is_taken
            assert answer.words == OUT_OF_RESOURCES
            server.start()
            assert listener.send("while").is_taken
            assert instances(database) == 2
        database.dispose()


def test_tables_of_another_version_are_refused_with_the_remedy(
    tmp_path: Path, postgres: Postgres
) -> None:
    empty = postgres.create_database()
    listener = ListenerProcess(tmp_path, empty.superuser)
    assert listener.process.wait(LIMIT_S) == 1
    assert "carina db upgrade" in listener.log.read_text()
    postgres.drop_database(empty.name)


def test_a_database_that_forgets_is_refused(tmp_path: Path) -> None:
    with postgres_server.running(tmp_path / "own", ("fsync=off",)) as server:
        urls = server.create_database()
        listener = ListenerProcess(tmp_path, urls.superuser)
        assert listener.process.wait(LIMIT_S) == 1
        assert "fsync" in listener.log.read_text()


def test_a_port_in_use_is_named(tmp_path: Path, database_urls: DatabaseUrls) -> None:
    with listening(tmp_path, database_urls.service) as first:
        second = ListenerProcess(
            tmp_path, database_urls.service, CARINA_LISTENER_PORT=str(first.port)
        )
        assert second.process.wait(LIMIT_S) == 1
        assert f"{first.port}: Address already in use" in second.log.read_text()
