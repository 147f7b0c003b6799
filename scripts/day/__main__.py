"""Simulate one day under both orders; print the waits by lane; fail if anybody starved."""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.day import picture, ward
from scripts.day.arrivals import day
from scripts.day.queues import FirstCome, InDatabase, Lanes
from scripts.day.ward import Shift
from service.values import Lane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.day.arrivals import Arrival
    from scripts.day.ward import Claimed

STARVED, DIFFERS = 1, 2


def main() -> int:
    """Run it: 0 when nobody starved (and the database claimed in the same order)."""
    arguments = _arguments()
    arrivals, shift = day(arguments.studies, arguments.seed), Shift(arguments.workers)
    first_come = ward.run(arrivals, FirstCome(), shift)
    lanes = ward.run(arrivals, Lanes(), shift)
    print(table(first_come, lanes))
    starved = ward.starved(lanes, shift)
    print(f"claimed later than the order promises: {len(starved)} of {len(lanes)}")
    if arguments.picture is not None:
        panels = (("first come, first served", first_come), ("lanes", lanes))
        arguments.picture.write_text(picture.svg(panels), encoding="utf-8")
    if arguments.database:
        same = _by_database(arrivals, shift) == lanes
        print(f"claimed by the database in the very same order: {'yes' if same else 'NO'}")
        if not same:
            return DIFFERS
    return STARVED if starved else 0


def table(first_come: "Sequence[Claimed]", lanes: "Sequence[Claimed]") -> str:
    """Return the waits in minutes as a table in Markdown."""
    lines = [
        "| lane | studies | first come: p50 | p95 | max | lanes: p50 | p95 | max |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    before, after = ward.waits(first_come), ward.waits(lanes)
    for lane in Lane:
        cells = [_minutes(each[lane], part) for each in (before, after) for part in (0.5, 0.95, 1)]
        lines.append(f"| {lane} | {len(before[lane])} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _minutes(waits: "Sequence[float]", part: float) -> str:
    if not waits:
        return "-"
    return f"{waits[min(len(waits) - 1, int(part * len(waits)))] / 60:.1f}"


def _by_database(arrivals: "Sequence[Arrival]", shift: Shift) -> "tuple[Claimed, ...]":
    from service.db import migrate  # noqa: PLC0415  (only for who asks for it)
    from service.db.engine import Database  # noqa: PLC0415
    from tests import postgres  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="carina-day-") as name:
        Path(name).chmod(0o755)
        with postgres.running(Path(name) / "server") as server:
            urls = server.create_database()
            migrate.upgrade(urls.owner, urls.service)
            database = Database(urls.service)
            taken = ward.run(arrivals, InDatabase(database), shift)
            database.dispose()
    return taken


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts.day", description=__doc__)
    parser.add_argument("--studies", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--picture", type=Path, help="write it here, as SVG")
    parser.add_argument(
        "--database", action="store_true", help="the same day by a real Postgres, compared"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
