from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dicom import header
from dicom.values import Peer
from scripts.soak import report
from scripts.soak.films import Maker
from scripts.soak.samples import Sample
from scripts.soak.ward import Acked, Book

FIRST = Sample("1", 0.0, 0, {"queued": 0}, {"work": 500.0}, {"work": 10.0}, {"jobs": 1.0}, 1.0)


def run(name: str, mb_per_study: float, level: float = 500.0) -> list[Sample]:
    return [
        replace(
            FIRST,
            run=name,
            ended=ended,
            memory_mb={"work": level + mb_per_study * ended},
            cpu_s={"work": 10.0 + 0.5 * ended},
        )
        for ended in range(0, 1000, 50)
    ]


def test_memory_that_grows_has_its_slope() -> None:
    found = report.slope(run("1", 0.01), "work")
    assert found is not None
    assert found.per_1000 == pytest.approx(10.0)
    assert found.half_width == pytest.approx(0.0, abs=1e-6)


def test_a_restart_at_another_level_is_no_slope() -> None:
    taken = [*run("1", 0.0, 500.0), *run("2", 0.0, 700.0)]
    found = report.slope(taken, "work")
    assert found is not None
    assert found.per_1000 == pytest.approx(0.0)


def test_too_few_samples_have_no_slope() -> None:
    assert report.slope(run("1", 0.0)[:3], "work") is None
    assert report.slope([FIRST] * 20, "work") is None


def test_the_report_says_cost_and_faults() -> None:
    told = {"counts": {"answered": 950}, "faults": ["2 not delivered: 1.2.3"]}
    words = report.words(run("1", 0.0), told)
    assert "0.500, 0.500" in words
    assert "2 not delivered" in words
    assert report.chart(run("1", 0.0)).count("<polyline") == 2


def test_a_film_is_the_same_for_one_number_and_another_for_the_next(tmp_path: Path) -> None:
    maker = Maker("test")
    one, again, other = maker.make(3), Maker("test").make(3), maker.make(4)
    assert one == again
    assert one.study_instance_uid != other.study_instance_uid
    assert len(one.content) < 1_000_000
    path = tmp_path / "film.dcm"
    path.write_bytes(one.content)
    received = header.received_from_file(path, Peer("A", "B", ""), datetime(2026, 3, 1, tzinfo=UTC))
    assert received.header.is_candidate
    assert received.header.view_position == "PA"


def test_a_soak_is_taken_up_where_it_was_left(tmp_path: Path) -> None:
    path = tmp_path / "acked.jsonl"
    Book(path).write([Acked(0, "1.2", "1.2.1"), Acked(1, "1.3", "1.3.1")])
    book = Book(path)
    assert book.next_number == 2
    assert book.acked[1].sop_instance_uid == "1.3.1"
