"""What can be seen from outside: our own SQL, our own reading of files, the archive's REST."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

ENDED = frozenset({"DELIVERED", "FAILED", "SKIPPED", "SHADOW", "SUPERSEDED", "WITHDRAWN"})
TRIED = frozenset({"tried"})
CONNECT_S = 5


DOUBLES: dict[str, dict[str, LiteralString]] = {
    "jobs": {
        "job_id": "gen_random_uuid()",
        "state": "'QUEUED'",
        "owner": "NULL",
        "lease_until": "NULL",
        "consigned": "false",
        "next_attempt_at": "now()",
    },
    "instances": {"version": "version + 1"},
    "results": {"sop_instance_uid": "sop_instance_uid || '.1'"},
}
"""Tables, and what a second writer would write otherwise."""


@dataclass(frozen=True, slots=True)
class JobSeen:
    """One row of jobs."""

    job_id: UUID
    study_instance_uid: str
    revision: int
    state: str
    attempt: int
    reason_code: str | None


@dataclass
class Eyes:
    """Looks at one running system; a database that is away is asked again by the caller."""

    database_url: Callable[[], str]

    def ask(self, query: LiteralString, *values: Any) -> list[dict[str, Any]]:  # noqa: ANN401
        """Return the rows of one statement; nothing when the database is away."""
        try:
            with self._connected() as connection:
                return connection.execute(query, values).fetchall()
        except psycopg.OperationalError:
            return []

    def jobs(self, study_uids: Sequence[str]) -> list[JobSeen]:
        """Return every job of these studies."""
        rows = self.ask(
            "SELECT job_id, study_instance_uid, revision, state, attempt, reason_code FROM jobs"
            " WHERE study_instance_uid = ANY(%s) ORDER BY study_instance_uid, revision",
            list(study_uids),
        )
        return [JobSeen(**row) for row in rows]

    def any_job(self, study_uids: Sequence[str], states: frozenset[str]) -> bool:
        """Return whether a job is in one of the states; TRIED: whether a sending was tried."""
        if states == TRIED:
            rows = self.ask(
                "SELECT 1 FROM audit_events WHERE event_type = 'sending_failed'"
                " AND study_instance_uid = ANY(%s) LIMIT 1",
                list(study_uids),
            )
            return bool(rows)
        return any(job.state in states for job in self.jobs(study_uids))

    def have_ended(self, study_uids: Sequence[str]) -> bool:
        """Return whether every study has a job and every job has ended."""
        jobs = self.jobs(study_uids)
        return {job.study_instance_uid for job in jobs} == set(study_uids) and all(
            job.state in ENDED for job in jobs
        )

    def was_taken_over(self, study_uids: Sequence[str]) -> bool:
        """Return whether a job, or its sending, was claimed a second time."""
        rows = self.ask(
            "SELECT 1 FROM jobs LEFT JOIN consignments USING (job_id) WHERE study_instance_uid"
            " = ANY(%s) AND (jobs.attempt > 1 OR consignments.attempt > 1) LIMIT 1",
            list(study_uids),
        )
        return bool(rows)

    def spool_path(self, sop_instance_uid: str) -> str:
        """Return where an instance lies, relative to the spool."""
        (row,) = self.ask(
            "SELECT spool_path FROM instances WHERE sop_instance_uid = %s AND current",
            sop_instance_uid,
        )
        return str(row["spool_path"])

    def write_twice(self, study_uids: Sequence[str]) -> list[str]:
        """Copy rows that may be there once only; return what the database let through."""
        through = []
        for table, instead in DOUBLES.items():
            try:
                with self._connected() as connection:
                    if connection.execute(
                        _copy(connection, table, instead), [list(study_uids)]
                    ).rowcount:
                        through.append(f"a second row of {table} was let in")
            except psycopg.errors.UniqueViolation:
                continue
        return through

    def _connected(self) -> "psycopg.Connection[dict[str, Any]]":
        return psycopg.connect(
            self.database_url(), autocommit=True, connect_timeout=CONNECT_S, row_factory=dict_row
        )


def _copy(
    connection: "psycopg.Connection[dict[str, Any]]",
    table: str,
    instead: dict[str, LiteralString],
) -> sql.Composed:
    """Return the statement that copies the rows of some studies within their table."""
    rows = connection.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public'"
        " AND table_name = %s AND is_identity = 'NO' AND is_generated = 'NEVER'",
        [table],
    ).fetchall()
    names = [str(row["column_name"]) for row in rows]
    values = [sql.SQL(instead[name]) if name in instead else sql.Identifier(name) for name in names]
    return sql.SQL(
        "INSERT INTO {table} ({names}) SELECT {values} FROM {table} WHERE study_instance_uid"
        " = ANY(%s)"
    ).format(
        table=sql.Identifier(table),
        names=sql.SQL(", ").join(map(sql.Identifier, names)),
        values=sql.SQL(", ").join(values),
    )


def heads(path: Path) -> list[dict[str, Any]]:
    """Return the sealed heads outside the database."""
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith(b"\n")]
