import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import collector
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from service import spans, stretches, tracing
from service.db.outbox_tables import ConsignmentRow
from service.db.tables import JobRow, StudyRow
from service.settings import Settings
from service.spans import Span
from service.values import JobFacts, JobState

STUDY = "1.2.826.0.1.3680043.8.498.1"
BEGUN = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
JOB = UUID("00000000-0000-4000-8000-000000000001")


@pytest.fixture
def heard() -> Iterator[collector.Collector]:
    with collector.running() as running:
        tracing.configure(Settings(otlp_endpoint=running.url), "test")
        yield running
        if tracing._sender.cache_info().currsize:
            tracing._sender(*sender_key(running.url)).close()
        tracing._sender.cache_clear()
        tracing.configure(Settings(), "test")


def sender_key(url: str) -> tuple[int, str, str]:
    return os.getpid(), url, "test"


def after(seconds: float) -> datetime:
    return BEGUN + timedelta(seconds=seconds)


def a_job(**changes: object) -> JobRow:
    known: dict[str, object] = {
        "job_id": JOB,
        "study_instance_uid": STUDY,
        "revision": 1,
        "cause": "NEW_STUDY",
        "state": "RUNNING",
        "attempt": 1,
        "queued_at": after(10),
        "next_attempt_at": after(10),
        "claimed_at": after(12),
        "started_at": after(13),
    }
    return JobRow(**{**known, **changes})


def a_study() -> StudyRow:
    return StudyRow(study_instance_uid=STUDY, first_received_at=after(0), last_received_at=after(5))


def a_consignment(**changes: object) -> ConsignmentRow:
    known: dict[str, object] = {
        "job_id": JOB,
        "destination": "pacs",
        "state": "SENT",
        "tries": 1,
        "claimed_at": after(20),
        "sent_at": after(21),
    }
    return ConsignmentRow(**{**known, **changes})


def way_of_a_study() -> tuple[Span, ...]:
    facts = JobFacts(stage_seconds={"look": 4.0, "encode": 1.0, "keep": 0.5})
    return (
        stretches.of_opening(a_study(), a_job(), after(10)),
        *stretches.of_move(a_job(), JobState.QUEUED, after(12), JobFacts()),
        *stretches.of_move(a_job(state="ENCODED"), JobState.RUNNING, after(19), facts),
        *stretches.of_consignment(a_job(), a_consignment(), after(21)),
        *stretches.of_consignment(a_job(), a_consignment(state="DELIVERED"), after(22)),
    )


def test_a_study_is_one_trace_with_one_root_at_a_real_collector(
    heard: collector.Collector,
) -> None:
    tracing.tell(*way_of_a_study())
    found = heard.wait_for(7)
    assert set(found) == {"close", "claim", "read", "network", "encode", "send", "prove"}
    assert {span.trace_id.hex() for span in found.values()} == {spans.trace_id(STUDY)}
    root, read = found["close"], found["read"]
    assert root.parent_span_id == b""
    assert {found[name].parent_span_id for name in ("claim", "read", "send", "prove")} == {
        root.span_id
    }
    assert {found[name].parent_span_id for name in ("network", "encode")} == {read.span_id}


def test_spans_take_as_long_as_the_rows_say(heard: collector.Collector) -> None:
    tracing.tell(*way_of_a_study())
    found = heard.wait_for(7)
    took = {
        name: (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9
        for name, span in found.items()
    }
    assert took == {
        "close": 10,
        "claim": 2,
        "read": 7,
        "network": 4,
        "encode": 1,
        "send": 1,
        "prove": 1,
    }


def test_another_study_is_another_trace_and_another_attempt_another_span() -> None:
    one, again = a_job(state="QUEUED"), a_job(state="QUEUED", attempt=2)
    (first,) = stretches.of_move(one, JobState.RUNNING, after(19), JobFacts())
    (second,) = stretches.of_move(again, JobState.RUNNING, after(19), JobFacts())
    assert first.trace_id == second.trace_id
    assert first.span_id != second.span_id
    assert spans.trace_id(STUDY) != spans.trace_id(STUDY + "1")


def test_a_second_revision_hangs_below_the_root_of_the_first() -> None:
    first = stretches.of_opening(a_study(), a_job(), after(10))
    second = stretches.of_opening(a_study(), a_job(revision=2, cause="REPLAY"), after(90))
    assert second.parent_id == first.span_id
    assert second.begun == second.ended == after(90)


def test_what_failed_is_marked(heard: collector.Collector) -> None:
    given_back = a_job(state="QUEUED")
    tracing.tell(
        *stretches.of_move(given_back, JobState.RUNNING, after(19), JobFacts()),
        *stretches.of_consignment(a_job(), a_consignment(state="SENDING"), after(21)),
    )
    found = heard.wait_for(2)
    assert {span.status.code for span in found.values()} == {2}  # STATUS_CODE_ERROR


def test_no_fact_but_the_named_ones_leaves_the_house(heard: collector.Collector) -> None:
    secrets = {
        "patient_name": "DOE^JANE",
        "patient_id": "MRN-0815",
        "patient_birth_date": "19470401",
        "accession_number": "ACC-4711",
        "reason": "quoted DOE^JANE",
        "study_instance_uid": STUDY,
        "institution_name": "ST. ELSEWHERE",
    }
    tracing.tell(Span("read", STUDY, BEGUN, after(1), {**secrets, "attempt": 1}))
    span = heard.wait_for(1)["read"]
    assert [one.key for one in span.attributes] == ["carina.attempt"]
    for body in heard.bodies:
        for value in secrets.values():
            assert value.encode() not in body


def test_what_is_rolled_back_is_not_told(heard: collector.Collector) -> None:
    engine = create_engine("sqlite://")
    with Session(engine) as session:
        session.execute(text("SELECT 1"))
        tracing.tell_after_commit(session, Span("lost", STUDY, BEGUN, after(1)))
        session.rollback()
    with Session(engine) as session:
        session.execute(text("SELECT 1"))
        tracing.tell_after_commit(session, Span("kept", STUDY, BEGUN, after(1)))
        session.commit()
        session.commit()
    assert set(heard.wait_for(1)) == {"kept"}
    assert len(heard.spans) == 1
    engine.dispose()


def test_a_collector_that_is_away_holds_nobody_up() -> None:
    tracing.configure(Settings(otlp_endpoint="http://127.0.0.1:9"), "test")
    try:
        started = datetime.now(UTC)
        tracing.tell(*way_of_a_study() * 100)
        assert datetime.now(UTC) - started < timedelta(seconds=5)
    finally:
        tracing._sender(os.getpid(), "http://127.0.0.1:9", "test").close()
        tracing._sender.cache_clear()
        tracing.configure(Settings(), "test")


def test_nothing_of_opentelemetrys_sdk_is_loaded_while_tracing_is_off() -> None:
    script = """
import sys
from service import tracing, stretches, jobs
from service.settings import Settings
tracing.configure(Settings(), "test")
sys.exit(any(name.startswith("opentelemetry.sdk") for name in sys.modules))
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
