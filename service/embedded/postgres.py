"""The embedded Postgres: made once, started as a child, adopted when it already serves.

Loopback TCP only, no Unix socket (its path is too long in a deep folder), scram passwords for
everybody, data checksums on. SIGINT is Postgres's fast shutdown: clients are cut, nothing is lost.
"""

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from service.embedded import binaries
from service.embedded.adoption import ENDING_S, adopt
from service.embedded.credentials import LOOPBACK, Credentials
from service.embedded.place import Place, runnable
from service.errors import EmbeddedServerFailed
from service.files import tail, write_private
from service.processes import ProcessIdentity, Program, identify

if TYPE_CHECKING:
    from collections.abc import Mapping

SUPERUSER = "postgres"
OWNER = "carina_owner"
SERVICE = "carina"
DATABASE = "carina"
STOP_SIGNAL = signal.SIGINT
CONNECT_S = 3
LOCK_FILE = "postmaster.pid"  # line 1 the process, line 4 the port
LOCK_FILE_PORT = 3


class EmbeddedPostgres:
    """One Postgres of one installation.

    Parameters
    ----------
    place
        Where its folder is and as whom it runs.
    credentials
        Its passwords and its port.
    log
        What it says goes here.
    pg_bin
        The operator's own programs, see :func:`service.embedded.binaries.postgres`.
    """

    name: str = "postgres"
    stop_signal: signal.Signals = STOP_SIGNAL
    grace_s = ENDING_S

    def __init__(
        self, place: Place, credentials: Credentials, log: Path, pg_bin: Path | None = None
    ) -> None:
        self._place = place
        self._credentials = credentials
        self._log = log
        installed = binaries.postgres(pg_bin)
        version = binaries.postgres_version(installed.folder)
        self.major = version.partition(".")[0]
        self._programs = runnable(installed, place, f"postgres-{version}")

    @property
    def port(self) -> int:
        """Where it listens on the loopback."""
        return self._credentials.postgres_port

    @property
    def data(self) -> Path:
        """The cluster's data folder."""
        return self._place.folder / "postgres"

    def url(self, role: str) -> str:
        """Return the SQLAlchemy URL for one of the roles ``OWNER`` and ``SERVICE``."""
        password = {
            OWNER: self._credentials.owner_password,
            SERVICE: self._credentials.service_password,
        }[role]
        at = f"{LOOPBACK}:{self._credentials.postgres_port}"
        return f"postgresql+psycopg://{role}:{password}@{at}/{DATABASE}"

    def prepare(self) -> None:
        """Make the cluster if there is none; clear away the lock of a process that has gone.

        Raises
        ------
        EmbeddedServerFailed
            If the cluster is of another major version, or could not be made.
        """
        if not (self.data / "PG_VERSION").exists():
            self._make_cluster()
        found = (self.data / "PG_VERSION").read_text(encoding="ascii").strip()
        if found != self.major:
            raise EmbeddedServerFailed(_other_version(self.data, found, self.major))
        self._clear_lock_of_stranger()

    def program(self, environment: "Mapping[str, str]") -> Program:
        """Return how to start the server; ``environment`` is added to the little it gets."""
        options = {
            "port": self._credentials.postgres_port,
            "listen_addresses": LOOPBACK,
            "unix_socket_directories": "",
            "password_encryption": "scram-sha-256",
            "fsync": "on",
            "full_page_writes": "on",
            "synchronous_commit": "on",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_line_prefix": "%m [%p] ",
            # A statement in the log could hold what it was about.
            "log_min_error_statement": "panic",
        }
        settings = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        return Program(
            argv=(str(self._programs / "postgres"), "-D", str(self.data), *settings),
            log=self._log,
            environment={**_plain_environment(), **environment},
            working_folder=self.data,
            account=self._place.account,
            at_parents_death=STOP_SIGNAL,
        )

    def adopt(self) -> ProcessIdentity | None:
        """Return the server that already runs on this cluster and answers our password.

        Raises
        ------
        EmbeddedServerFailed
            If one runs that neither answers nor ends.
        """
        return adopt(self._running(), STOP_SIGNAL, self._serves_us)

    def is_ready(self) -> bool:
        """Return whether it takes our password and answers a query."""
        try:
            with self._connect("postgres") as connection:
                connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def explain(self) -> str:
        """Return the last words of its log, for an error message."""
        return tail(self._log)

    def set_up_roles(self) -> None:
        """Make the two roles and the database where they are missing; renew the passwords."""
        with self._connect("postgres") as connection:
            for role, password in (
                (OWNER, self._credentials.owner_password),
                (SERVICE, self._credentials.service_password),
            ):
                _set_up_role(connection, role, password)
            known = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)
            ).fetchone()
            name, owner = sql.Identifier(DATABASE), sql.Identifier(OWNER)
            if known is None:
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, owner))
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
            service = sql.Identifier(SERVICE)
            connection.execute(
                sql.SQL("GRANT CONNECT, TEMPORARY ON DATABASE {} TO {}").format(name, service)
            )

    def _connect(self, database: str) -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(
            host=LOOPBACK,
            port=self._credentials.postgres_port,
            user=SUPERUSER,
            password=self._credentials.superuser_password,
            dbname=database,
            connect_timeout=CONNECT_S,
            autocommit=True,
        )

    def _make_cluster(self) -> None:
        if self.data.is_dir() and any(self.data.iterdir()):
            raise EmbeddedServerFailed(f"{self.data} is not empty and not a Postgres cluster")
        # Made beside and renamed: a cluster that was cut off in the making is never mistaken.
        scratch = self._place.folder / "postgres.new"
        shutil.rmtree(scratch, ignore_errors=True)
        self._place.data_folder(scratch.name)
        password = self._place.folder / "superuser"
        write_private(password, self._credentials.superuser_password)
        self._place.hand_over(password)
        try:
            self._run_initdb(scratch, password)
        finally:
            password.unlink()
        if self.data.is_dir():
            self.data.rmdir()
        scratch.rename(self.data)

    def _run_initdb(self, folder: Path, password: Path) -> None:
        account = self._place.account
        done = subprocess.run(  # noqa: S603
            [
                str(self._programs / "initdb"),
                *("-D", str(folder), "-U", SUPERUSER, "-E", "UTF8", "--locale=C"),
                *("--data-checksums", "-A", "scram-sha-256", f"--pwfile={password}"),
            ],
            env=_plain_environment(),
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            user=None if account is None else account.uid,
            group=None if account is None else account.gid,
            extra_groups=None if account is None else [],
        )
        if done.returncode != 0:
            said = "\n".join((done.stdout + done.stderr).splitlines()[-8:])
            raise EmbeddedServerFailed(f"initdb could not make {self.data}:\n{said}")

    def _running(self) -> ProcessIdentity | None:
        """Return the process that has this cluster open."""
        identity = identify(self._locked_by() or 0)
        if identity is None:
            return None
        return identity if _working_folder(identity.pid) == self.data.resolve() else None

    def _clear_lock_of_stranger(self) -> None:
        # Postgres judges the lock by the number alone: after a crash the number may have gone to
        # another program of the same user, and Postgres would refuse to start for ever.
        pid = self._locked_by()
        if pid is not None and identify(pid) is not None and self._running() is None:
            (self.data / LOCK_FILE).unlink()

    def _lock_lines(self) -> list[str]:
        try:
            return (self.data / LOCK_FILE).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []

    def _locked_by(self) -> int | None:
        lines = self._lock_lines()
        return int(lines[0]) if lines and lines[0].isdigit() else None

    def _locked_port(self) -> int | None:
        lines = self._lock_lines()
        return int(lines[LOCK_FILE_PORT]) if len(lines) > LOCK_FILE_PORT else None

    def _serves_us(self) -> bool:
        return self._locked_port() == self._credentials.postgres_port and self.is_ready()


def _set_up_role(
    connection: "psycopg.Connection[tuple[object, ...]]", role: str, password: str
) -> None:
    known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
    verb = sql.SQL("CREATE" if known is None else "ALTER")
    connection.execute(
        sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(
            verb, sql.Identifier(role), sql.Literal(password)
        )
    )


def _plain_environment() -> dict[str, str]:
    return {"LC_ALL": "C", "PATH": os.defpath, "TZ": "UTC"}


def _working_folder(pid: int) -> Path | None:
    try:
        return Path(f"/proc/{pid}/cwd").resolve(strict=True)
    except OSError:
        return None


def _other_version(data: Path, found: str, ours: str) -> str:
    return (
        f"the database in {data} was made by Postgres {found}; the installed programs are Postgres"
        f" {ours}. Start it once more with CARINA_PG_BIN=<bin folder of Postgres {found}>, dump it"
        " with pg_dump, stop, move the folder aside, start with the new programs and restore the"
        " dump (docs/operations.md, 'A new major version of Postgres')"
    )
