import json
import tracemalloc
from dataclasses import asdict
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from service import chain, heads
from service.db.tables import AuditEventRow
from service.heads import Head


def an_event(**changes: object) -> AuditEventRow:
    fields: dict[str, object] = {
        "id": 7,
        "event_type": "analysed",
        "event_action_code": "E",
        "event_outcome_indicator": 0,
        "event_date_time": datetime(2026, 3, 1, 12, tzinfo=UTC),
        "user_id": "worker",
        "study_instance_uid": "1.2.3",
        "sop_instance_uid": None,
        "job_id": None,
        "duration_ms": 1.5,
        "detail": {"b": 1, "a": [1, "ü"]},
    }
    return AuditEventRow(**{**fields, **changes})


def test_the_order_of_keys_changes_nothing() -> None:
    turned = an_event(detail={"a": [1, "ü"], "b": 1})
    assert chain.link(chain.GENESIS, an_event()) == chain.link(chain.GENESIS, turned)


@pytest.mark.parametrize(
    "change",
    [
        {"id": 8},
        {"event_type": "job_failed"},
        {"event_action_code": "R"},
        {"event_outcome_indicator": 4},
        {"event_date_time": datetime(2026, 3, 1, 12, 0, 0, 1, tzinfo=UTC)},
        {"user_id": "Worker"},
        {"study_instance_uid": None},
        {"sop_instance_uid": "1"},
        {"duration_ms": 1.5000001},
        {"detail": {"b": 1, "a": [1, "u"]}},
    ],
)
def test_every_field_is_part_of_the_link(change: dict[str, object]) -> None:
    assert chain.link(chain.GENESIS, an_event()) != chain.link(chain.GENESIS, an_event(**change))


def test_every_column_of_the_table_is_part_of_the_link() -> None:
    assert set(chain.fields(an_event())) == set(AuditEventRow.__table__.columns.keys())


def test_the_link_hangs_on_the_one_before() -> None:
    assert chain.link("a" * 64, an_event()) != chain.link("b" * 64, an_event())


def a_head(first: int, position: int) -> Head:
    return Head(first, position, "ab" * 32, "2026-03-01T12:00:00+00:00")


def test_heads_are_read_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "audit" / "heads.jsonl"
    written = [a_head(1, 3), a_head(4, 4), a_head(5, 900)]
    for head in written:
        heads.append(path, head)
    assert list(map(asdict, heads.read(path))) == list(map(asdict, written))
    assert heads.last(path) == written[-1]


def test_no_file_is_no_heads_and_an_empty_one_too(tmp_path: Path) -> None:
    path = tmp_path / "heads.jsonl"
    assert heads.read(path) == ()
    assert heads.last(path) is None
    heads.begin(path)
    heads.begin(path)
    assert heads.read(path) == ()
    assert heads.last(path) is None


@pytest.mark.parametrize("cut", [1, 20, 70])
def test_a_torn_line_is_cut_off_before_the_next_is_written(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "heads.jsonl"
    heads.append(path, a_head(1, 3))
    heads.append(path, a_head(4, 5))
    path.write_bytes(path.read_bytes()[:-cut])
    assert heads.last(path) == a_head(1, 3)
    heads.append(path, a_head(4, 6))
    assert heads.read(path) == (a_head(1, 3), a_head(4, 6))


def test_the_first_line_may_be_torn_as_well(tmp_path: Path) -> None:
    path = tmp_path / "heads.jsonl"
    path.write_bytes(b'{"first": 1, "posi')
    heads.append(path, a_head(1, 3))
    assert heads.read(path) == (a_head(1, 3),)


def a_long_file(path: Path, count: int) -> None:
    """Write heads of ten links each, as the sealer would."""
    lines = [json.dumps(asdict(a_head(10 * n + 1, 10 * n + 10))) for n in range(count)]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")


@pytest.mark.parametrize("behind", [0, 3, 4_000, 39_999, 40_000, 99_995, 100_000, 999_999])
def test_heads_behind_a_link_are_all_given_and_little_of_the_others(
    tmp_path: Path, behind: int
) -> None:
    path = tmp_path / "heads.jsonl"
    a_long_file(path, 10_000)
    given = list(heads.stream(path, heads.size(path), behind))
    assert [one for one in given if one.position > behind] == [
        a_head(10 * n + 1, 10 * n + 10) for n in range(10_000) if 10 * n + 10 > behind
    ]
    asked = sum(one.position > behind for one in given)
    assert len(given) <= 2 * asked + 200


def test_what_is_added_while_the_file_is_read_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "heads.jsonl"
    heads.append(path, a_head(1, 3))
    ends = heads.size(path)
    heads.append(path, a_head(4, 5))
    assert list(heads.stream(path, ends)) == [a_head(1, 3)]
    assert list(heads.stream(path, ends - 1)) == []


def test_a_long_file_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "heads.jsonl"
    a_long_file(path, 20_000)
    tracemalloc.start()
    try:
        assert sum(1 for _ in heads.stream(path, heads.size(path))) == 20_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < path.stat().st_size / 5


@pytest.mark.parametrize("line", [b"rubbish\n", b'{"first": 1}\n', b"[1]\n"])
def test_a_finished_line_that_is_no_head_is_not_passed_over(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "heads.jsonl"
    path.write_bytes(line)
    with pytest.raises(ValueError, match="not a sealed head"):
        heads.read(path)
    with pytest.raises(ValueError, match="not a sealed head"):
        heads.last(path)


def test_a_moment_is_one_text_in_whatever_zone_it_comes() -> None:
    elsewhere = datetime(2026, 3, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    moved = an_event(event_date_time=elsewhere)
    assert chain.fields(moved)["event_date_time"] == "2026-03-01T12:00:00.000000+00:00"
    assert chain.link(chain.GENESIS, moved) == chain.link(chain.GENESIS, an_event())
