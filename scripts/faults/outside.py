"""What can be seen from outside: our own SQL, our own reading of files, the archive's REST."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

ENDED = frozenset({"DELIVERED", "FAILED", "SKIPPED", "SHADOW", "SUPERSEDED", "WITHDRAWN"})
TRIED = frozenset({"tried"})
CONNECT_S = 5


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
        statements: dict[str, LiteralString] = {
            "job": "INSERT INTO jobs (job_id, study_instance_uid, revision, cause, state,"
            " next_attempt_at, queued_at, changed_at) SELECT gen_random_uuid(),"
            " study_instance_uid, revision, cause, 'QUEUED', now(), now(), now() FROM jobs"
            " WHERE study_instance_uid = ANY(%s)",
            "instance": "INSERT INTO instances (sop_instance_uid, version, study_instance_uid,"
            " series_instance_uid, sop_class_uid, transfer_syntax_uid, reception, candidate,"
            " eligible, current, acquisition, patient_key, issuer_key, name_key, sha256,"
            " size_bytes, spool_path, calling_ae_title, called_ae_title, peer_address,"
            " received_at) SELECT sop_instance_uid, version + 1, study_instance_uid,"
            " series_instance_uid, sop_class_uid, transfer_syntax_uid, reception, candidate,"
            " eligible, current, acquisition, patient_key, issuer_key, name_key, sha256,"
            " size_bytes, spool_path, calling_ae_title, called_ae_title, peer_address,"
            " received_at FROM instances WHERE study_instance_uid = ANY(%s)",
            "result": "INSERT INTO results (job_id, kind, number, study_instance_uid,"
            " series_instance_uid, sop_class_uid, sop_instance_uid, transfer_syntax_uid, path,"
            " sha256, size_bytes) SELECT job_id, kind, number, study_instance_uid,"
            " series_instance_uid, sop_class_uid, sop_instance_uid || '.1', transfer_syntax_uid,"
            " path, sha256, size_bytes FROM results WHERE study_instance_uid = ANY(%s)",
        }
        through = []
        for name, statement in statements.items():
            try:
                with self._connected() as connection:
                    if connection.execute(statement, [list(study_uids)]).rowcount:
                        through.append(f"a second {name} row was let in")
            except psycopg.errors.UniqueViolation:
                continue
        return through

    def _connected(self) -> "psycopg.Connection[dict[str, Any]]":
        return psycopg.connect(
            self.database_url(), autocommit=True, connect_timeout=CONNECT_S, row_factory=dict_row
        )


def heads(path: Path) -> list[dict[str, Any]]:
    """Return the sealed heads outside the database."""
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith(b"\n")]
