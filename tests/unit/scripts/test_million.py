from scripts.million import measure
from scripts.million.__main__ import table

PLAN = """Limit  (actual time=0.1..0.2 rows=1.00 loops=1)
  ->  Seq Scan on {table}  (cost=0..9 rows=5 width=7) (actual time=0.0..0.2 rows={rows} loops=1)
  ->  Seq Scan on jobs  (cost=0.00..99999.0 rows=999999 width=7) (never executed)"""


def found(name: str, rows: str) -> list[str]:
    return measure.scanned({"status": [PLAN.format(table=name, rows=rows)]})


def test_a_table_that_is_read_whole_is_named() -> None:
    (line,) = found("studies", "1000000.00")
    assert line.startswith("status: ->  Seq Scan on studies")


def test_a_partition_counts_as_its_table() -> None:
    assert len(found("audit_events_000000000500000", "500000.00")) == 1


def test_few_rows_and_other_tables_are_no_fault() -> None:
    assert found("studies", "20.00") == []
    assert found("workers", "1000000.00") == []


def test_both_sizes_stand_beside_each_other() -> None:
    cost = {"name": "status", "median_ms": 1.0, "p90_ms": 2.0, "pages": 40.0}
    told = table(
        {
            "sizes": [1000, 1000000],
            "costs": [[cost], [cost | {"median_ms": 1.1}]],
            "verify_s": [0.1, 99.0],
            "verify_recent_s": [0.1, 0.1],
        }
    )
    assert "| status | 1.0 (2.0), 40 | 1.1 (2.0), 40 |" in told
    assert "| whole audit trail verified, s | 0.1 | 99.0 |" in told
