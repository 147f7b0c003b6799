import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from postgres import running
from rows import (
    NOW,
    QUIET,
    SECOND,
    STUDY,
    a_patient,
    a_queued_job,
    a_result,
    accept,
    an_encoded_job,
    an_instance,
    claimed,
)
from sqlalchemy import func, select

from dicom.errors import IntakeUnavailable
from dicom.values import PatientIdentity, ReceivedInstance
from service import deliveries, jobs, studies
from service.consignments import Outbox
from service.db.engine import Database
from service.db.tables import AuditEventRow, InstanceRow, JobRow, StudyRow
from service.errors import FenceLost, StudyHeld
from service.values import EventType, Job, JobCause, JobState, Reception, StudyState

pytestmark = pytest.mark.integration


def study_of(database: Database, study: str = STUDY) -> StudyRow:
    with database.begin() as session:
        return session.get_one(StudyRow, study)


def versions_of(database: Database, received: ReceivedInstance) -> list[tuple[int, str, bool]]:
    with database.begin() as session:
        rows = session.scalars(
            select(InstanceRow)
            .where(InstanceRow.sop_instance_uid == received.ref.sop_instance_uid)
            .order_by(InstanceRow.version)
        )
        return [(row.version, row.reception, row.current) for row in rows]


def events_of(database: Database, event_type: EventType) -> list[AuditEventRow]:
    with database.begin() as session:
        return list(
            session.scalars(select(AuditEventRow).where(AuditEventRow.event_type == event_type))
        )


def states_of(database: Database, study: str = STUDY) -> list[str]:
    with database.begin() as session:
        return list(
            session.scalars(
                select(JobRow.state)
                .where(JobRow.study_instance_uid == study)
                .order_by(JobRow.revision)
            )
        )


def close(database: Database, now: datetime = NOW + QUIET) -> tuple[Job, ...]:
    with database.begin() as session:
        return studies.close_quiet(session, now)


def test_a_film_waits_for_its_study_to_be_quiet(database: Database, tmp_path: Path) -> None:
    assert accept(database, tmp_path, an_instance(tmp_path)) is Reception.FILM
    late = NOW + QUIET - SECOND
    assert accept(database, tmp_path, an_instance(tmp_path), late) is Reception.FILM
    assert close(database) == ()
    (job,) = close(database, late + QUIET)
    assert (job.state, job.revision, job.cause) == (JobState.QUEUED, 1, JobCause.NEW_STUDY)
    assert study_of(database).state == StudyState.CLOSED
    assert close(database, late + QUIET * 2) == ()


def test_an_identical_instance_leaves_an_event_and_nothing_else(
    database: Database, tmp_path: Path
) -> None:
    film = an_instance(tmp_path)
    accept(database, tmp_path, film)
    assert accept(database, tmp_path, film, NOW + SECOND) is Reception.IDENTICAL
    assert versions_of(database, film) == [(1, "FILM", True)]
    assert study_of(database).quiet_until == NOW + QUIET
    receptions = [
        row.detail["reception"] for row in events_of(database, EventType.INSTANCE_RECEIVED)
    ]
    assert receptions == ["FILM", "IDENTICAL"]


def test_the_same_pixels_in_another_encoding_are_kept_and_not_read(
    database: Database, tmp_path: Path
) -> None:
    film = an_instance(tmp_path, content=b"header|pixels")
    accept(database, tmp_path, film)
    again = an_instance(
        tmp_path, sop_instance_uid=film.ref.sop_instance_uid, content=b"header|PIXELS"
    )
    assert accept(database, tmp_path, again) is Reception.REENCODED
    assert versions_of(database, film) == [(1, "FILM", True), (2, "REENCODED", False)]


def a_corrected(tmp_path: Path, film: ReceivedInstance, **fields: Any) -> ReceivedInstance:
    return an_instance(
        tmp_path,
        sop_instance_uid=film.ref.sop_instance_uid,
        content=b"other header|pixels",
        **fields,
    )


def a_film(tmp_path: Path, **fields: Any) -> ReceivedInstance:
    return an_instance(tmp_path, content=b"header|pixels", **fields)


def test_a_corrected_header_before_sending_makes_the_draft_again(
    database: Database, tmp_path: Path
) -> None:
    film = a_film(tmp_path)
    accept(database, tmp_path, film)
    close(database)
    ((_, fence),) = claimed(database)
    later = NOW + QUIET + SECOND
    assert accept(database, tmp_path, a_corrected(tmp_path, film), later) is Reception.CORRECTED
    assert versions_of(database, film) == [(1, "FILM", False), (2, "CORRECTED", True)]
    assert states_of(database) == [JobState.SUPERSEDED]
    with pytest.raises(FenceLost), database.begin() as session:
        jobs.move(session, fence, JobState.ENCODED, later)
    (job,) = close(database, later + QUIET)
    assert (job.cause, job.revision) == (JobCause.CORRECTED_HEADER, 2)


def test_a_corrected_header_after_sending_flags_the_study(
    database: Database, tmp_path: Path
) -> None:
    film = a_film(tmp_path)
    accept(database, tmp_path, film)
    job = close(database)[0]
    ((_, fence),) = claimed(database)
    with database.begin() as session:
        jobs.keep_results(session, fence, [a_result(tmp_path, job)], tmp_path)
        jobs.move(session, fence, JobState.ENCODED, NOW + QUIET)
        found = deliveries.claim(session, "sender", NOW + QUIET, QUIET, Outbox(tmp_path))
        assert found is not None
        jobs.move(session, found[1], JobState.SENDING, NOW + QUIET)
    accept(database, tmp_path, a_corrected(tmp_path, film), NOW + QUIET + SECOND)
    study = study_of(database)
    assert (study.state, study.corrected_after_sending) == (StudyState.CLOSED, True)
    assert states_of(database) == [JobState.SENDING]
    assert len(events_of(database, EventType.STUDY_CORRECTED)) == 1


def test_changed_pixels_hold_the_study_until_a_person_acts(
    database: Database, tmp_path: Path
) -> None:
    film = a_film(tmp_path)
    accept(database, tmp_path, film)
    close(database)
    other = an_instance(
        tmp_path, sop_instance_uid=film.ref.sop_instance_uid, content=b"header|others"
    )
    assert accept(database, tmp_path, other) is Reception.QUARANTINED
    assert versions_of(database, film) == [(1, "FILM", True), (2, "QUARANTINED", False)]
    assert study_of(database).state == StudyState.HELD
    assert states_of(database) == [JobState.SUPERSEDED]
    assert close(database, NOW + QUIET * 100) == ()
    assert [row.event_outcome_indicator for row in events_of(database, EventType.STUDY_HELD)] == [8]
    with database.begin() as session:
        studies.release(session, STUDY, "operator", NOW + QUIET * 100)
    assert [job.revision for job in close(database, NOW + QUIET * 100)] == [2]


def test_pixels_that_cannot_be_compared_are_not_taken_for_the_same(
    database: Database, tmp_path: Path
) -> None:
    film = a_film(tmp_path)
    accept(database, tmp_path, film)
    film.spool_path.unlink()
    assert accept(database, tmp_path, a_corrected(tmp_path, film)) is Reception.QUARANTINED


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (a_patient("4711"), a_patient("4712")),
        (a_patient("4711"), a_patient("4711", issuer_of_patient_id="ELSEWHERE")),
        (a_patient("4711"), a_patient("", patient_name="ROE^JANE")),
    ],
)
def test_two_patients_in_one_study_are_held(
    database: Database, tmp_path: Path, first: PatientIdentity, second: PatientIdentity
) -> None:
    accept(database, tmp_path, an_instance(tmp_path, patient=first))
    accept(database, tmp_path, an_instance(tmp_path, patient=second, candidate=False))
    study = study_of(database)
    assert (study.state, study.held_code) == (StudyState.HELD, studies.TWO_PATIENTS)
    assert close(database, NOW + QUIET * 2) == ()
    with pytest.raises(StudyHeld), database.begin() as session:
        studies.release(session, STUDY, "operator", NOW)


@pytest.mark.parametrize(
    "other",
    [
        a_patient("4711", issuer_of_patient_id=""),
        a_patient("4711", patient_name="Doe^John^^"),
        a_patient("", patient_name="DOE^JOHN"),
        a_patient("", patient_name=""),
    ],
)
def test_a_silent_or_differently_spelled_header_is_not_another_patient(
    database: Database, tmp_path: Path, other: PatientIdentity
) -> None:
    accept(database, tmp_path, an_instance(tmp_path))
    accept(database, tmp_path, an_instance(tmp_path, patient=other))
    assert study_of(database).state == StudyState.COLLECTING


def test_a_patient_merge_resolves_itself_when_every_header_has_come_again(
    database: Database, tmp_path: Path
) -> None:
    films = [a_film(tmp_path), a_film(tmp_path)]
    for film in films:
        accept(database, tmp_path, film)
    close(database)
    merged = a_patient("4712")
    accept(database, tmp_path, a_corrected(tmp_path, films[0], patient=merged), NOW + QUIET)
    assert study_of(database).held_code == studies.TWO_PATIENTS
    accept(database, tmp_path, a_corrected(tmp_path, films[1], patient=merged), NOW + QUIET * 2)
    assert study_of(database).state == StudyState.COLLECTING
    (job,) = close(database, NOW + QUIET * 3)
    assert job.cause is JobCause.CORRECTED_HEADER


def test_no_patient_stands_in_the_database(database: Database, tmp_path: Path) -> None:
    accept(database, tmp_path, an_instance(tmp_path))
    with database.begin() as session:
        rows = session.execute(select(InstanceRow.__table__)).all()
        events = session.execute(select(AuditEventRow.__table__)).all()
    everything = f"{rows}{events}"
    assert "MODALITY" in everything  # the scan does see the rows
    assert not [word for word in ("DOE", "4711", "HOSPITAL", "1960") if word in everything]


def test_our_own_result_coming_back_ends_there(database: Database, tmp_path: Path) -> None:
    job = an_encoded_job(database, tmp_path)
    before = study_of(database)
    with database.begin() as session:
        (text_sr,) = (
            kept
            for kept in deliveries.kept(session, job.job_id, tmp_path / "results")
            if kept.kind == "text"
        )
    spool = tmp_path / "spool"
    back = an_instance(spool, sop_instance_uid=text_sr.ref.sop_instance_uid, candidate=False)
    assert accept(database, spool, back, NOW + QUIET * 3) is Reception.OWN_RESULT
    sibling = an_instance(spool, series=text_sr.ref.series_instance_uid, candidate=False)
    assert accept(database, spool, sibling, NOW + QUIET * 3) is Reception.OWN_RESULT
    after = study_of(database)
    assert (after.state, after.last_received_at) == (before.state, before.last_received_at)
    assert states_of(database) == [JobState.ENCODED]
    assert not back.spool_path.exists()


def test_a_study_without_anything_that_is_read_makes_no_job(
    database: Database, tmp_path: Path
) -> None:
    report = an_instance(tmp_path, candidate=False)
    assert accept(database, tmp_path, report) is Reception.NOT_READ
    assert close(database) == ()
    assert study_of(database).state == StudyState.NO_FILM
    accept(database, tmp_path, an_instance(tmp_path), NOW + QUIET)
    assert len(close(database, NOW + QUIET * 2)) == 1


def test_an_object_that_is_not_read_may_change_without_holding_anything(
    database: Database, tmp_path: Path
) -> None:
    report = an_instance(tmp_path, candidate=False, content=b"draft|text")
    accept(database, tmp_path, report)
    changed = an_instance(
        tmp_path,
        sop_instance_uid=report.ref.sop_instance_uid,
        candidate=False,
        content=b"final|other",
    )
    assert accept(database, tmp_path, changed) is Reception.NOT_READ
    assert versions_of(database, report) == [(1, "NOT_READ", False), (2, "NOT_READ", True)]
    assert study_of(database).state == StudyState.COLLECTING


def test_a_new_acquisition_after_closing_opens_a_revision(
    database: Database, tmp_path: Path
) -> None:
    first = a_queued_job(database, tmp_path)
    later = NOW + QUIET * 5
    accept(database, tmp_path, an_instance(tmp_path, acquisition="event 2"), later)
    assert states_of(database) == [JobState.SUPERSEDED]
    (job,) = close(database, later + QUIET)
    assert (job.revision, job.cause) == (2, JobCause.NEW_ACQUISITION)
    assert job.replaces_job_id is None  # nothing of the first has reached the archive
    assert first.revision == 1


@pytest.mark.parametrize(
    "late",
    [
        lambda spool, _: an_instance(spool, view_position="LL"),
        lambda spool, _: an_instance(spool, candidate=False),
        lambda spool, _: an_instance(spool, acquisition="event 1"),
        lambda spool, film: an_instance(spool, sources=(film.ref.sop_instance_uid,)),
    ],
    ids=["a lateral", "a report", "a copy of the exposure", "a derived copy"],
)
def test_nothing_else_that_comes_late_opens_a_revision(
    database: Database,
    tmp_path: Path,
    late: Callable[[Path, ReceivedInstance], ReceivedInstance],
) -> None:
    film = an_instance(tmp_path, acquisition="event 1")
    accept(database, tmp_path, film)
    close(database)
    accept(database, tmp_path, late(tmp_path, film), NOW + QUIET * 5)
    assert study_of(database).state == StudyState.CLOSED
    assert states_of(database) == [JobState.QUEUED]


def test_an_instance_that_moves_to_another_study_takes_its_film_along(
    database: Database, tmp_path: Path
) -> None:
    film = a_film(tmp_path)
    accept(database, tmp_path, film)
    close(database)
    moved = a_corrected(tmp_path, film, study="1.2.4")
    accept(database, tmp_path, moved, NOW + QUIET)
    opened = close(database, NOW + QUIET * 2)
    assert [job.study_instance_uid for job in opened] == ["1.2.4"]
    assert study_of(database).state == StudyState.NO_FILM


def test_the_same_instance_from_two_listeners_at_once_is_recorded_once(
    database: Database, tmp_path: Path
) -> None:
    film = an_instance(tmp_path)
    receptions: list[Reception] = []
    barrier = threading.Barrier(8)

    def send() -> None:
        barrier.wait()
        receptions.append(accept(database, tmp_path, film))

    senders = [threading.Thread(target=send) for _ in range(8)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert sorted(receptions) == [Reception.FILM, *[Reception.IDENTICAL] * 7]
    assert versions_of(database, film) == [(1, "FILM", True)]


def test_many_films_of_one_study_at_once_all_arrive(database: Database, tmp_path: Path) -> None:
    films = [an_instance(tmp_path) for _ in range(8)]
    senders = [threading.Thread(target=accept, args=(database, tmp_path, film)) for film in films]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    with database.begin() as session:
        assert session.scalar(select(func.count()).select_from(InstanceRow)) == 8


def test_a_database_that_is_down_is_told_from_a_fault(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        database = Database(server.migrated_database().service)
        film = an_instance(tmp_path)
        server.stop()
        with pytest.raises(IntakeUnavailable):
            accept(database, tmp_path, film)
        server.start()
        assert accept(database, tmp_path, film) is Reception.FILM
        database.dispose()
