"""Fill the tables with studies that ended long ago, as the service would have left them.

Left out: files (no byte lies in spool or results), most events (two of a study, a real one leaves
fifteen or more), most results (two of a study), and the drafts' words (``jobs.summary``).
"""

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb
from sqlalchemy import Engine, text

from service import chain
from service.db.engine import Database
from service.heads import Head
from service.seal import Sealer

A_DAY = 1000
"""Studies of one day: the newest are of today, so every size has the same last day."""

ROOT = "1.2.826.0.1.3680043.10.99"
RESULTS = ("findings", "text")
EVENTS = ("instance_received", "delivery_proven")
PER_HEAD = 50
AT_ONCE = 50_000
SPACE = uuid.UUID("8f6d3c0e-4f3b-4ad1-9b55-8a3f3f2f0c11")

STUDIES = """
INSERT INTO studies (study_instance_uid, state, revision, next_cause, first_received_at,
    last_received_at, quiet_until)
SELECT study, 'CLOSED', 1, 'NEW_STUDY', at, at, at + interval '10 seconds' FROM filling
"""
INSTANCES = """
INSERT INTO instances (sop_instance_uid, version, study_instance_uid, series_instance_uid,
    sop_class_uid, transfer_syntax_uid, reception, candidate, eligible, current, acquisition,
    patient_key, issuer_key, name_key, sha256, size_bytes, spool_path, calling_ae_title,
    called_ae_title, peer_address, received_at)
SELECT study || '.1.1', 1, study, study || '.1', '1.2.840.10008.5.1.4.1.1.1.1',
    '1.2.840.10008.1.2.1', 'FILM', true, true, true, '',
    encode(sha256(convert_to(study || 'p', 'UTF8')), 'hex'), '', '',
    encode(sha256(convert_to(study, 'UTF8')), 'hex'), 7200000,
    'objects/' || left(md5(study), 2) || '/' || md5(study) || '/' || md5(study || '.1') || '.dcm',
    'MODALITY', 'CARINA', '127.0.0.1', at
FROM filling
"""
JOBS = """
INSERT INTO jobs (job_id, study_instance_uid, revision, cause, state, attempt, charged,
    delivery_attempts, next_attempt_at, queued_at, started_at, encoded_at, sent_at, delivered_at,
    changed_at, bundle, stage_seconds, consigned)
SELECT job_id, study, 1, 'NEW_STUDY', 'DELIVERED', 1, 1, 1, at, at, at, at, at, at,
    at, 'filled 1 000000000000', '{"encode": 1.0}', true
FROM filling
"""
MADE = """
INSERT INTO results (job_id, kind, number, study_instance_uid, series_instance_uid, sop_class_uid,
    sop_instance_uid, transfer_syntax_uid, path, sha256, size_bytes)
SELECT job_id, kind, 1, study, study || '.2.' || k, '1.2.840.10008.5.1.4.1.1.88.11',
    study || '.2.' || k || '.1', '1.2.840.10008.1.2.1', job_id || '/1/' || kind || '-1.dcm',
    encode(sha256(convert_to(study || kind, 'UTF8')), 'hex'), 30000
FROM filling, unnest(CAST(:kinds AS text[])) WITH ORDINALITY AS made (kind, k)
"""
ANSWERED = """
INSERT INTO deliveries (result_id, destination, status, attempts, tried_at, sent_at, proven_at)
SELECT id, 'pacs', 0, 1, at, at, at FROM results JOIN filling USING (job_id)
"""
CONSIGNED = """
INSERT INTO consignments (job_id, destination, state, attempt, tries, next_attempt_at, opened_at,
    sent_at, delivered_at)
SELECT job_id, 'pacs', 'DELIVERED', 1, 1, at, at, at, at FROM filling
"""
FILLING = """
CREATE TEMPORARY TABLE filling ON COMMIT DROP AS
SELECT CAST(md5(study) AS uuid) AS job_id, study, at
FROM (SELECT CAST(:root AS text) || '.' || n AS study,
          CAST(:newest AS timestamptz) - (CAST(:last AS int) - n) * CAST(:each AS interval) AS at
      FROM generate_series(CAST(:first AS int), CAST(:last AS int)) AS n) AS one
"""
STEPS = (FILLING, STUDIES, INSTANCES, JOBS, MADE, ANSWERED, CONSIGNED)


@dataclass(frozen=True, slots=True)
class _Event:
    """What :func:`service.chain.fields` asks of a row."""

    id: int
    event_type: str
    event_action_code: str
    event_outcome_indicator: int
    event_date_time: datetime
    user_id: str
    study_instance_uid: str
    sop_instance_uid: str | None
    job_id: uuid.UUID
    duration_ms: float | None
    detail: dict[str, Any]


class Filler:
    """Adds studies to one database; the sealed chain goes on from where it stands.

    Nothing else may write events while it fills.
    """

    def __init__(
        self, owner: Engine, heads_path: Path, newest: datetime, say: Callable[[str], None]
    ) -> None:
        self._say = say
        self._owner = owner
        self._heads_path = heads_path
        self._newest = newest
        self._studies = 0
        self._link = chain.GENESIS
        self._position = self._event_id = 0

    def fill_to(self, studies: int) -> None:
        """Add studies, the newest of them of the newest moment, until there are so many."""
        self._take_up()
        for first in range(self._studies + 1, studies + 1, AT_ONCE):
            last = min(first + AT_ONCE - 1, studies)
            # Those added later are older, so that the last day stays as it is.
            age = timedelta(days=self._studies / A_DAY)
            self._rows(first, last, self._newest - age)
            self._events(first, last, self._newest - age)
            self._studies = last
            self._say(f"filled {last:,} studies")
        with self._owner.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))

    def _take_up(self) -> None:
        """Seal what the service has written since, and go on behind it."""
        database = Database(self._owner.url.render_as_string(hide_password=False))
        Sealer(database, self._heads_path).seal_once(datetime.now(UTC))
        database.dispose()
        with self._owner.connect() as connection:
            top = connection.execute(
                text("SELECT position, chain_sha256 FROM audit_seals ORDER BY position DESC")
            ).first()
            if top is not None:
                self._position, self._link = int(top.position), str(top.chain_sha256)
            newest = connection.execute(text("SELECT max(id) FROM audit_events")).scalar_one()
            self._event_id = int(newest or 0)

    def _rows(self, first: int, last: int, newest: datetime) -> None:
        values = {
            "root": ROOT,
            "first": first,
            "last": last,
            "newest": newest,
            "each": timedelta(days=1) / A_DAY,
            "kinds": list(RESULTS),
        }
        with self._owner.begin() as connection:
            connection.execute(text("SET LOCAL synchronous_commit = off"))
            for step in STEPS:
                named = {name: value for name, value in values.items() if f":{name}" in step}
                connection.execute(text(step), named)

    def _events(self, first: int, last: int, newest: datetime) -> None:
        sealed = list(self._sealed(first, last, newest))
        with self._owner.begin() as connection:
            connection.execute(text("SET LOCAL synchronous_commit = off"))
            driver = connection.connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            _copy_events(driver, [event for event, _, _ in sealed])
            _copy_seals(driver, sealed)
            connection.execute(
                text("SELECT setval(pg_get_serial_sequence('audit_events', 'id'), :last)"),
                {"last": self._event_id},
            )
        self._write_heads(sealed)

    def _sealed(self, first: int, last: int, newest: datetime) -> Iterator[tuple[_Event, int, str]]:
        for number in range(first, last + 1):
            study = f"{ROOT}.{number}"
            at = newest - (last - number) * timedelta(days=1) / A_DAY
            job_id = uuid.UUID(hashlib.md5(study.encode()).hexdigest())  # noqa: S324
            for name in EVENTS:
                self._position += 1
                self._event_id += 1
                event = _Event(
                    id=self._event_id,
                    event_type=name,
                    event_action_code="U",
                    event_outcome_indicator=0,
                    event_date_time=at,
                    user_id="carina",
                    study_instance_uid=study,
                    sop_instance_uid=f"{study}.1.1" if name == EVENTS[0] else None,
                    job_id=job_id,
                    duration_ms=None,
                    detail={"revision": 1, "filled": True},
                )
                self._link = chain.link(self._link, event)  # type: ignore[arg-type]
                yield event, self._position, self._link

    def _write_heads(self, sealed: list[tuple[_Event, int, str]]) -> None:
        self._heads_path.parent.mkdir(parents=True, exist_ok=True)
        with self._heads_path.open("a", encoding="utf-8") as file:
            for start in range(0, len(sealed), PER_HEAD):
                batch = sealed[start : start + PER_HEAD]
                event, position, link = batch[-1]
                head = Head(batch[0][1], position, link, event.event_date_time.isoformat())
                line = {name: getattr(head, name) for name in Head.__dataclass_fields__}
                file.write(json.dumps(line, separators=(",", ":")) + "\n")


def _copy_events(driver: "psycopg.Connection[Any]", events: list[_Event]) -> None:
    columns = ", ".join(_Event.__dataclass_fields__)
    statement = f"COPY audit_events ({columns}) FROM STDIN"
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for event in events:
            values = [getattr(event, name) for name in _Event.__dataclass_fields__]
            copy.write_row([*values[:-1], Jsonb(event.detail)])


def _copy_seals(driver: "psycopg.Connection[Any]", sealed: list[tuple[_Event, int, str]]) -> None:
    statement = "COPY audit_seals (position, event_id, chain_sha256, sealed_at) FROM STDIN"
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for event, position, link in sealed:
            copy.write_row([position, event.id, link, event.event_date_time])


def now_of_fill() -> datetime:
    """Return the moment that a fill calls now, to the second."""
    return datetime.now(UTC).replace(microsecond=0)
