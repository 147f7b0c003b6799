"""What a claim costs with few and with many studies waiting: plans, pages, times.

``python -m scripts.day.cost`` fills an empty Postgres by SQL and asks it the two queries of
:mod:`service.order` at each size.
"""

import re
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from scripts.day.queues import MIDNIGHT
from service import order
from service.db import migrate
from service.db.engine import Database
from tests import postgres

if TYPE_CHECKING:
    from sqlalchemy import Select

    from service.db.tables import JobRow

SIZES: Final = (1_000, 100_000)
TIMES: Final = 50
BATCH: Final = 4
NOW: Final[datetime] = MIDNIGHT + timedelta(days=1)

STUDIES = text("""
    INSERT INTO studies (study_instance_uid, state, first_received_at, last_received_at,
        quiet_until)
    SELECT '1.2.' || n, 'CLOSED', :now, :now, :now
    FROM generate_series(CAST(:first AS int), CAST(:last AS int)) AS n
""")
JOBS = text("""
    INSERT INTO jobs (job_id, study_instance_uid, revision, cause, state, next_attempt_at,
        queued_at, changed_at, lane, overdue_at)
    SELECT gen_random_uuid(), '1.2.' || n, 1, 'NEW_STUDY', 'QUEUED',
        CAST(:now AS timestamptz) - n * interval '1 s',
        CAST(:now AS timestamptz) - n * interval '1 s', :now, n % 4,
        CAST(:now AS timestamptz) - n * interval '1 s'
    FROM generate_series(CAST(:first AS int), CAST(:last AS int)) AS n
""")


def main() -> int:
    """Print, for each size and query, its plan, the pages it touched, its best time of many."""
    with tempfile.TemporaryDirectory(prefix="carina-cost-") as name:
        Path(name).chmod(0o755)
        with postgres.running(Path(name) / "server") as server:
            urls = server.create_database()
            migrate.upgrade(urls.owner, urls.service)
            database, owner = Database(urls.service), Database(urls.owner)
            print("| waiting | turn | plan | pages | best ms |\n|--:|---|---|--:|--:|")
            first = 1
            for size in SIZES:
                _fill(owner, first, size)
                first = size + 1
                _ask(database, size, "by lane", order.by_lane(BATCH, NOW))
                _ask(database, size, "overdue", order.overdue(BATCH, NOW))
            database.dispose()
            owner.dispose()
    return 0


def _fill(owner: Database, first: int, last: int) -> None:
    with owner.begin() as session:
        for statement in (STUDIES, JOBS):
            session.execute(statement, {"now": NOW, "first": first, "last": last})
    with owner.begin() as session:
        session.execute(text("ANALYZE studies, jobs"))


def _ask(database: Database, size: int, turn: str, query: "Select[JobRow]") -> None:
    words = query.compile(database.engine, compile_kwargs={"literal_binds": True})
    with database.begin() as session:
        plan = "\n".join(session.scalars(text(f"EXPLAIN (ANALYZE, BUFFERS) {words}")))
        session.rollback()
    pages = sum(map(int, re.findall(r"(?:hit|read)=(\d+)", plan.partition("\n")[2].split("\n")[0])))
    index = ", ".join(re.findall(r"(?:Index Scan|Bitmap Index Scan|Seq Scan)[^(]*", plan))
    print(f"| {size} | {turn} | {index.strip()} | {pages} | {_best_ms(database, query):.2f} |")


def _best_ms(database: Database, query: "Select[JobRow]") -> float:
    spent = []
    for _ in range(TIMES):
        with database.begin() as session:
            began = time.perf_counter()
            session.scalars(query).all()
            spent.append(time.perf_counter() - began)
            session.rollback()
    return min(spent) * 1000


if __name__ == "__main__":
    sys.exit(main())
