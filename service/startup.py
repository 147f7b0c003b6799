"""From settings to a plan: what ``carina up`` runs, after all that it needs was looked at."""

import os
import shutil
import signal
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import psutil

from dicom import spool
from service import installation, logs
from service.embedded import credentials, place
from service.embedded.servers import BROKER_URL, DATABASE_URL, OWNER_URL, Servers, Wanted, settle
from service.errors import ServiceError, SettingsInvalid, StartFailed
from service.files import private_folder
from service.installation import SECRET_FILE
from service.parts import CarinaProcess, import_path
from service.processes import identify
from service.runstate import Phase, RunState, run_folder, write
from service.settings import Settings, load
from service.supervisor import Plan, Supervisor
from service.takeover import end_all, left_behind

PROCESSES = ("listen", "work", "deliver", "sweep", "web")
WORKER_GRACE_S = 45.0  # Celery finishes the film it is at
PROCESS_GRACE_S = 15.0
TAKEOVER_GRACE_S = 30.0
MEGABYTE = 1_000_000
PREFIX = "CARINA_"


def run(home: Path) -> None:
    """Run the installation in ``home`` until it is asked to stop; the caller holds its lock.

    Raises
    ------
    ServiceError
        If it cannot be started; the fault also stands in the state file.
    """
    try:
        logs.configure(load(), "supervisor")
        supervisor = Supervisor(plan(home))
    except ServiceError as error:
        _write_fault(home, str(error))
        raise
    supervisor.run()


def prepare_home(home: Path) -> None:
    """Make the folder of an installation.

    Raises
    ------
    StartFailed
        If it cannot be made or written to.
    """
    try:
        if not home.is_dir():
            spool.make_durably(home)
            # Others may pass through, not look around: Postgres, as another user, lives inside.
            home.chmod(place.SEARCHABLE)
        for name in ("audit", "corrections", "logs", "results", "run", "spool"):
            private_folder(home / name)
        probe = home / "run" / "probe"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise StartFailed(f"{error.filename}: {error.strerror}: choose another --data") from None


def plan(home: Path) -> Plan:
    """Return what to run for the installation in ``home``; its ``carina.env`` is written.

    What an earlier supervisor left behind is ended first.

    Raises
    ------
    StartFailed
        If a port is in use or the disk is full, naming it.
    SettingsInvalid, EmbeddedServerFailed
        As their names say.
    """
    settings = load()
    known = credentials.load_or_make(home)
    left = list(left_behind(known.installation_id, keep=("postgres", "valkey")))
    end_all(left, signal.SIGTERM, TAKEOVER_GRACE_S)
    _check(settings)
    wanted = _wanted(home, settings)
    servers = settle(home, known, wanted)
    own = servers.urls | {"CARINA_WEB_PORT": str(settings.web_port or credentials.free_port())}
    _require_servers(settings, own)
    _remember(home, own, servers)
    environment = {**os.environ, **own, **import_path()}
    untold = {OWNER_URL: "", OWNER_URL + SECRET_FILE: ""}
    is_told = any(environment.get(name) for name in untold)
    return Plan(
        home=home,
        installation_id=known.installation_id,
        servers=servers.parts,
        # Only the upgrade may change tables: nobody else is told the owner's password.
        processes=tuple(process(home, name, environment | untold) for name in _names(settings)),
        set_up=servers.set_up,
        upgrade=process(home, "db upgrade", environment) if is_told else None,
        addresses=_addresses(home, settings, own["CARINA_WEB_PORT"]),
    )


def _names(settings: Settings) -> tuple[str, ...]:
    return (*PROCESSES, *(("hl7",) if settings.hl7_port else ()))


def process(home: Path, name: str, environment: Mapping[str, str]) -> CarinaProcess:
    """Return the part that runs ``carina <name>`` for an installation."""
    word = name.replace(" ", "-")
    return CarinaProcess(
        name=name,
        command=tuple(name.split()),
        environment=environment,
        log=home / "logs" / f"{word}.log",
        ready_file=run_folder(home) / f"{word}.ready",
        grace_s=WORKER_GRACE_S if name in ("work", "deliver") else PROCESS_GRACE_S,
    )


def _wanted(home: Path, settings: Settings) -> Wanted:
    return Wanted(
        installation.is_embedded(home, "postgres", settings.database_url.get_secret_value()),
        installation.is_embedded(home, "valkey", settings.broker_url.get_secret_value()),
        settings.pg_bin,
    )


def _require_servers(settings: Settings, own: Mapping[str, str]) -> None:
    faults = [
        f"{name}: not set"
        for name, value in (
            (DATABASE_URL, settings.database_url.get_secret_value()),
            (BROKER_URL, settings.broker_url.get_secret_value()),
        )
        if not (value or own.get(name))
    ]
    if faults:
        raise SettingsInvalid(faults)


def _check(settings: Settings) -> None:
    for name, host, port in (
        ("LISTENER", settings.listener_host, settings.listener_port),
        ("WEB", settings.web_host, settings.web_port),
        ("HL7", settings.hl7_host, settings.hl7_port),
    ):
        if port and not credentials.port_is_free(port, host):
            raise StartFailed(
                f"port {port} is in use{_by_whom(port)}: stop that program, or set"
                f" {PREFIX}{name}_PORT to another port"
            )
    free = shutil.disk_usage(settings.home).free // MEGABYTE
    if free < settings.disk_reserve_mb:
        raise StartFailed(
            f"only {free} MB are free in {settings.home}: every film would be refused below"
            f" {settings.disk_reserve_mb} MB (CARINA_DISK_RESERVE_MB)"
        )


def _by_whom(port: int) -> str:
    try:
        links = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return ""
    for link in links:
        if link.status == psutil.CONN_LISTEN and link.laddr and link.laddr[1] == port and link.pid:
            try:
                return f" by {psutil.Process(link.pid).name()} (process {link.pid})"
            except psutil.Error:
                return ""
    return ""


def _remember(home: Path, own: Mapping[str, str], servers: Servers) -> None:
    names = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    files = {f"{name}{SECRET_FILE}" for name in (DATABASE_URL, OWNER_URL, BROKER_URL)}
    names = names - {installation.HOME} | {"CARINA_CONFIG"} | files
    kept = {name: os.environ[name] for name in names if os.environ.get(name)}
    embedded = ",".join(server.name for server in servers.parts)
    installation.remember(home, kept | dict(own) | {installation.EMBEDDED: embedded})


def _addresses(home: Path, settings: Settings, web_port: str) -> tuple[tuple[str, str], ...]:
    listener = f"{settings.listener_ae_title}@{settings.listener_host}:{settings.listener_port}"
    pacs = "not set (CARINA_PACS): drafts are kept, not sent"
    hl7 = (("HL7 listener", f"{settings.hl7_host}:{settings.hl7_port}"),)
    return (
        ("DICOM listener", listener),
        *(hl7 if settings.hl7_port else ()),
        ("PACS", str(settings.pacs or pacs)),
        ("Web", f"http://{settings.web_host}:{web_port}/"),
        ("Logs", str(home / "logs")),
    )


def _write_fault(home: Path, fault: str) -> None:
    identity = identify(os.getpid())
    assert identity is not None
    write(home, RunState("", identity, datetime.now(UTC), Phase.FAILED, fault=fault))
