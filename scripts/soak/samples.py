"""What is looked at again and again: memory and processor time of each process, queues, tables."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import create_engine, text

from scripts.soak.ward import Ward

MB = 1_000_000
TABLES = ("studies", "instances", "jobs", "results", "deliveries", "audit_events", "audit_seals")
COUNTS = text(
    "SELECT count(*) FILTER (WHERE state = 'QUEUED'),"
    " count(*) FILTER (WHERE state = 'RUNNING'),"
    " count(*) FILTER (WHERE state IN ('ENCODED', 'SENDING', 'SENT'))"
    " FROM jobs WHERE state IN ('QUEUED', 'RUNNING', 'ENCODED', 'SENDING', 'SENT')"
)
COLLECTING = text("SELECT count(*) FROM studies WHERE state = 'COLLECTING'")
ENDED = text(
    "SELECT count(*) FROM jobs"
    " WHERE state NOT IN ('QUEUED', 'RUNNING', 'ENCODED', 'SENDING', 'SENT')"
)
UNSEALED = text("SELECT count(*) FROM audit_pending")
SIZE = text(
    "SELECT coalesce((SELECT sum(pg_total_relation_size(relid))"
    " FROM pg_partition_tree(to_regclass(:name)) WHERE isleaf),"
    " pg_total_relation_size(to_regclass(:name)))"
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One look. Memory: proportional set size, MB, of each process with its children.

    ``cpu_s`` is processor time since each process was started, its ended children included;
    ``run`` tells one start of the system from the next.
    """

    run: str
    at_s: float
    ended: int
    open: dict[str, int]
    memory_mb: dict[str, float]
    cpu_s: dict[str, float]
    tables_mb: dict[str, float]
    load: float


class Watch:
    """Takes samples of one running system and appends them to a file."""

    def __init__(self, ward: Ward, path: Path) -> None:
        self._ward = ward
        self._path = path
        self._run = f"{time.time():.0f}"
        self._engine = create_engine(ward.installation.database_url(), pool_pre_ping=True)

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def waiting(self) -> int:
        """Return how many studies have not ended yet."""
        with self._engine.connect() as connection:
            row = connection.execute(COUNTS).one()
            return sum(row) + int(connection.execute(COLLECTING).scalar_one())

    def take(self) -> Sample:
        """Take one sample and write it down."""
        families = self._families()
        with self._engine.connect() as connection:
            queued, being_read, outgoing = connection.execute(COUNTS).one()
            sample = Sample(
                run=self._run,
                at_s=round(time.time(), 1),
                ended=int(connection.execute(ENDED).scalar_one()),
                open={
                    "collecting": int(connection.execute(COLLECTING).scalar_one()),
                    "queued": int(queued),
                    "being read": int(being_read),
                    "outgoing": int(outgoing),
                    "unsealed events": int(connection.execute(UNSEALED).scalar_one()),
                },
                memory_mb={name: _memory_mb(family) for name, family in families.items()},
                cpu_s={name: _cpu_s(family) for name, family in families.items()},
                tables_mb={
                    name: round(int(connection.execute(SIZE, {"name": name}).scalar_one()) / MB, 2)
                    for name in TABLES
                },
                load=round(psutil.getloadavg()[0], 2),
            )
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(sample)) + "\n")
        return sample

    def _families(self) -> dict[str, list[psutil.Process]]:
        """Return every part with its children, and the archive."""
        process_ids = self._ward.installation.processes()
        process_ids["archive"] = _process_id_of(self._ward)
        return {
            name: [parent, *parent.children(recursive=True)]
            for name, process_id in process_ids.items()
            for parent in _alive(process_id)
        }


def read(path: Path) -> list[Sample]:
    """Return the samples of a file."""
    lines: list[dict[str, Any]] = [
        json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()
    ]
    return [Sample(**one) for one in lines]


def _process_id_of(ward: Ward) -> int:
    for connection in psutil.net_connections("tcp4"):
        is_it = connection.laddr and connection.laddr.port == ward.archive.http_port
        if is_it and connection.status == psutil.CONN_LISTEN and connection.pid:
            return int(connection.pid)
    raise LookupError("the archive does not listen")


def _alive(process_id: int) -> list[psutil.Process]:
    try:
        return [psutil.Process(process_id)]
    except psutil.NoSuchProcess:
        return []


def _memory_mb(family: list[psutil.Process]) -> float:
    return round(sum(map(_proportional, family)) / MB, 1)


def _proportional(process: psutil.Process) -> int:
    try:
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except (OSError, ProcessLookupError):
        return 0  # it has just ended
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def _cpu_s(family: list[psutil.Process]) -> float:
    total = 0.0
    for process in family:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return round(total, 2)
