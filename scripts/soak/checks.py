"""At the end, from outside: what was answered is there, and nothing more than once."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, text

from dicom import spool
from scripts.installation import CommandFailed
from scripts.soak.ward import Acked, Ward

AT_ONCE = 2000
NAMED = 5


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was counted, and every fault that was found; no fault: nothing lost, nothing twice."""

    counts: dict[str, int]
    faults: tuple[str, ...]


def check(ward: Ward, acked: list[Acked]) -> Verdict:
    """Compare what was answered with spool, database, archive and audit trail."""
    engine = create_engine(ward.installation.database_url())
    faults: list[str] = []
    counts = {"answered": len(acked)}
    try:
        with engine.connect() as connection:
            faults += _instances(connection, ward.installation.home / "spool", acked, counts)
            faults += _jobs(connection, acked, counts)
            faults += _archive(connection, ward, acked, counts)
    finally:
        engine.dispose()
    try:
        ward.installation.carina("audit", "verify", limit_s=600.0)
    except CommandFailed as error:
        faults.append(f"audit trail: {error}")
    return Verdict(counts, tuple(faults))


def _instances(
    connection: Connection, root: Path, acked: list[Acked], counts: dict[str, int]
) -> list[str]:
    rows = connection.execute(text("SELECT sop_instance_uid, spool_path, sha256 FROM instances"))
    found = {row.sop_instance_uid: row for row in rows}
    known = Counter(connection.execute(text("SELECT sop_instance_uid FROM instances")).scalars())
    counts["instances"] = sum(known.values())
    wanted = [one.sop_instance_uid for one in acked]
    lost = [uid for uid in wanted if uid not in found]
    broken = [
        uid
        for uid in wanted
        if uid in found and not _is_whole(root / found[uid].spool_path, found[uid].sha256)
    ]
    return [
        *_fault("answered and not in the database", lost),
        *_fault("answered and not whole in the spool", broken),
        *_fault("recorded twice", [uid for uid, count in known.items() if count > 1]),
    ]


def _is_whole(path: Path, sha256: str) -> bool:
    return path.exists() and spool.digest(path) == sha256


def _jobs(connection: Connection, acked: list[Acked], counts: dict[str, int]) -> list[str]:
    rows = connection.execute(text("SELECT study_instance_uid, state FROM jobs")).all()
    per_study = Counter(row.study_instance_uid for row in rows)
    states = Counter(row.state for row in rows)
    counts |= {f"jobs {state}": number for state, number in sorted(states.items())}
    ended = {row.study_instance_uid for row in rows if row.state == "DELIVERED"}
    studies = [one.study_instance_uid for one in acked]
    return [
        *_fault("not delivered", [uid for uid in studies if uid not in ended]),
        *_fault("more than one job", [uid for uid, count in per_study.items() if count > 1]),
    ]


def _archive(
    connection: Connection, ward: Ward, acked: list[Acked], counts: dict[str, int]
) -> list[str]:
    ours = set(connection.execute(text("SELECT sop_instance_uid FROM results")).scalars())
    sent = connection.execute(
        text("SELECT count(*) FILTER (WHERE attempts > 1), count(*) FROM deliveries")
    ).one()
    there = _stored(ward)
    counts |= {"results": len(ours), "in the archive": len(there), "sent again": int(sent[0])}
    per_study = Counter(
        connection.execute(text("SELECT study_instance_uid FROM results WHERE kind = 'text'"))
        .scalars()
        .all()
    )
    studies = [one.study_instance_uid for one in acked]
    return [
        *_fault("made and not in the archive", sorted(ours - there)),
        *_fault("in the archive and not ours", sorted(there - ours)),
        *_fault("not exactly one text SR", [uid for uid in studies if per_study[uid] != 1]),
    ]


def _stored(ward: Ward) -> set[str]:
    found: set[str] = set()
    while True:
        body = {"Level": "Instance", "Query": {}, "Expand": True}
        page: list[dict[str, Any]] = ward.archive.post(
            "/tools/find", json.dumps(body | {"Limit": AT_ONCE, "Since": len(found)})
        )
        found |= {str(one["MainDicomTags"]["SOPInstanceUID"]) for one in page}
        if len(page) < AT_ONCE:
            return found


def _fault(words: str, uids: list[str]) -> list[str]:
    return [f"{len(uids)} {words}: {', '.join(uids[:NAMED])}"] if uids else []
