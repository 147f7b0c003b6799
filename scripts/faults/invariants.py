"""What must hold after every episode, whatever was broken; each check returns what it found."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from scripts.faults.hospital import Hospital, wait_for
from scripts.faults.outside import Eyes, JobSeen, heads
from scripts.faults.sender import Sent, data_set

LEASE_SLACK_S = 5.0
SEALED_S = 60.0
GENESIS = "0" * 64
TEXT_SR = "1.2.840.10008.5.1.4.1.1.88.22"
EVENTS_OF_DELIVERED = {
    *("job_opened", "job_claimed", "results_encoded", "sending_started", "object_sent"),
    *("results_sent", "delivery_proven"),
}


@dataclass
class AuditEyes:
    """Walks the chain of the audit trail with arithmetic of its own, on from where it stood."""

    position: int = 0
    sha256: str = GENESIS
    known_heads: int = field(default=0)

    def walk(self, hospital: Hospital, eyes: Eyes) -> Iterator[str]:
        """Check every link since the last walk, and that the file of heads agrees."""
        rows = eyes.ask(
            "SELECT position, chain_sha256, audit_events.* FROM audit_seals LEFT JOIN"
            " audit_events ON audit_events.id = audit_seals.event_id WHERE position > %s"
            " ORDER BY position",
            self.position,
        )
        links: dict[int, str] = {}
        for row in rows:
            if row["position"] != self.position + 1 or row["id"] is None:
                yield f"audit: link {self.position + 1} or its event is missing"
            self.sha256 = _link(self.sha256, row)
            if self.sha256 != row["chain_sha256"]:
                yield f"audit: link {row['position']} is not what was sealed"
                self.sha256 = row["chain_sha256"]
            self.position = row["position"]
            links[self.position] = self.sha256
        proven = heads(hospital.carina.home / "audit" / "heads.jsonl")
        for head in proven[self.known_heads :]:
            if links.get(head["position"], head["chain_sha256"]) != head["chain_sha256"]:
                yield f"audit: the head at {head['position']} is not the chain's"
        firsts = [head["first"] for head in proven]
        ends = [1, *(head["position"] + 1 for head in proven)]
        if firsts != ends[:-1]:
            yield "audit: the file of heads has a gap"
        self.known_heads = len(proven)
        if not proven or proven[-1]["position"] != self.position:
            yield "audit: the newest link is not proven outside the database"


def _link(previous: str, row: dict[str, Any]) -> str:
    """Return a link as docs/audit.md describes it."""
    when = row["event_date_time"].astimezone(UTC).isoformat(timespec="microseconds")
    names = ("id", "event_type", "event_action_code", "event_outcome_indicator", "user_id")
    rest = ("study_instance_uid", "sop_instance_uid", "duration_ms", "detail")
    event = {name: row[name] for name in (*names, *rest)}
    event |= {"event_date_time": when, "job_id": str(row["job_id"]) if row["job_id"] else None}
    canonical = json.dumps(event, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{previous}\n{canonical}".encode()).hexdigest()


def wait_until_sealed(eyes: Eyes) -> None:
    """Wait until every event has its link, or raise TimeoutError."""
    wait_for(
        lambda: eyes.ask("SELECT count(*) AS n FROM audit_pending") == [{"n": 0}],
        SEALED_S,
        "the audit trail to be sealed",
    )


def received(
    hospital: Hospital, eyes: Eyes, films: Sequence[Sent], rotten: Sequence[str] = ()
) -> Iterator[str]:
    """Every instance answered 0x0000 lies in the spool with its hash, and has its row.

    ``rotten`` are those whose file the campaign itself has changed.
    """
    for film in films:
        if not film.is_accepted:
            yield f"received: {film.path.name} was never accepted: {film.answers}"
            continue
        rows = eyes.ask(
            "SELECT spool_path, sha256 FROM instances WHERE sop_instance_uid = %s AND current",
            film.sop_instance_uid,
        )
        if len(rows) != 1:
            yield f"received: {film.path.name} was answered 0x0000 and has {len(rows)} rows"
            continue
        path = hospital.spool / rows[0]["spool_path"]
        if rows[0]["sha256"] != film.sha256:
            yield f"received: the row of {film.path.name} has another hash"
        if not path.exists():
            yield f"received: {film.path.name} was answered 0x0000 and is not in the spool"
        elif (
            hashlib.sha256(data_set(path.read_bytes())).hexdigest() != film.sha256
            and film.sop_instance_uid not in rotten
        ):
            yield f"received: the file of {film.path.name} in the spool is not what was sent"


def delivered(hospital: Hospital, eyes: Eyes, jobs: Sequence[JobSeen]) -> Iterator[str]:
    """One result set per study and revision is in the archive, byte for byte as kept."""
    for (study, revision), number in Counter(
        (job.study_instance_uid, job.revision) for job in jobs
    ).items():
        if number > 1:
            yield f"delivered: study {study[-8:]} has {number} jobs of revision {revision}"
    for study in sorted({job.study_instance_uid for job in jobs}):
        ours = [job for job in jobs if job.study_instance_uid == study]
        yield from _result_sets(hospital, eyes, study, ours)
    for job in jobs:
        yield from _trail(eyes, job)


def _result_sets(
    hospital: Hospital, eyes: Eyes, study: str, jobs: Sequence[JobSeen]
) -> Iterator[str]:
    expected: dict[str, str] = {}
    for job in jobs:
        rows = eyes.ask(
            "SELECT sop_instance_uid, sop_class_uid, path, sha256 FROM results WHERE job_id = %s",
            job.job_id,
        )
        for row in rows:
            content = (hospital.results / row["path"]).read_bytes()
            if hashlib.sha256(content).hexdigest() != row["sha256"]:
                yield f"delivered: the kept file {row['path']} is not what was encoded"
            if f"/{job.attempt}/" not in row["path"]:
                yield f"delivered: {row['path']} is of an attempt that had lost the job"
            if job.state == "DELIVERED":
                expected[row["sop_instance_uid"]] = hashlib.sha256(data_set(content)).hexdigest()
        texts = sum(row["sop_class_uid"] == TEXT_SR for row in rows)
        if rows and texts != 1:
            yield f"delivered: revision {job.revision} has {texts} text reports"
        if job.state == "DELIVERED" and not rows:
            yield f"delivered: revision {job.revision} is DELIVERED and has no results"
    yield from _differences(study, expected, _in_archive(hospital, study))


def _differences(study: str, expected: dict[str, str], there: dict[str, str]) -> Iterator[str]:
    short = study[-8:]
    if missing := expected.keys() - there.keys():
        yield f"delivered: {len(missing)} objects of study {short} are not in the archive"
    if surplus := there.keys() - expected.keys():
        yield f"delivered: {len(surplus)} objects too many of study {short} are in the archive"
    changed = [uid for uid in expected.keys() & there.keys() if expected[uid] != there[uid]]
    if changed:
        yield f"delivered: {len(changed)} objects of study {short} differ from those kept"


def _in_archive(hospital: Hospital, study: str) -> dict[str, str]:
    found = {}
    for uid in hospital.archive.sop_instance_uids(study):
        content = hospital.archive.file(uid)
        found[uid] = hashlib.sha256(data_set(content)).hexdigest()
    return found


def _trail(eyes: Eyes, job: JobSeen) -> Iterator[str]:
    """Look for the events of one job; what was encoded was so by the last who claimed it."""
    rows = eyes.ask(
        "SELECT event_type, user_id FROM audit_events WHERE job_id = %s ORDER BY id", job.job_id
    )
    if job.state == "DELIVERED":
        if missing := EVENTS_OF_DELIVERED - {row["event_type"] for row in rows}:
            yield f"audit: a delivered job left no {', '.join(sorted(missing))}"
        closed = eyes.ask(
            "SELECT event_type FROM audit_events WHERE study_instance_uid = %s"
            " AND event_type IN ('instance_received', 'study_closed')",
            job.study_instance_uid,
        )
        if {row["event_type"] for row in closed} != {"instance_received", "study_closed"}:
            yield "audit: a delivered study left no event of its arrival"
    claimed_by = ""
    for row in rows:
        if row["event_type"] == "job_claimed":
            claimed_by = row["user_id"]
        elif row["event_type"] == "results_encoded" and row["user_id"] != claimed_by:
            yield "fence: results were recorded by a worker that had lost the job"


def leases(eyes: Eyes) -> Iterator[str]:
    """No job and no sending is held past the end of its lease."""
    rows = eyes.ask(
        "SELECT count(*) AS n FROM (SELECT lease_until FROM jobs UNION ALL SELECT lease_until"
        " FROM consignments) AS held WHERE lease_until < now() - make_interval(secs => %s)",
        LEASE_SLACK_S,
    )
    if rows != [{"n": 0}]:
        yield f"leases: past their end: {rows}"
