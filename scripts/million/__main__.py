"""Fill a small and a large database, ask both in turns; print the table, keep the plans."""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine

from scripts.bench import machine
from scripts.million import fill, measure
from scripts.million.measure import Bench, Cost
from service.db import migrate
from service.db.engine import Database
from tests import postgres

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "million"
OPTIONS = ("max_wal_size=4GB", "shared_buffers=256MB")


def main() -> int:
    """Run it; 1 when a question read a whole table at the large size."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="carina-million-") as name:
        home = Path(name)
        with postgres.running(home / "server", OPTIONS) as server, ExitStack() as stack:
            benches = [
                stack.enter_context(_filled(server, home / str(studies), studies))
                for studies in (arguments.large, arguments.small)
            ]
            for bench in benches:
                bench.queue_some()
            plans = benches[0].plans()
            words = "\n\n".join(f"## {name}\n\n" + "\n\n".join(one) for name, one in plans.items())
            (arguments.folder / "plans.txt").write_text(words + "\n", encoding="utf-8")
            found = _asked(list(reversed(benches)))
    found["scanned"] = measure.scanned(plans)
    told = json.dumps(found, indent=1)
    (arguments.folder / "million.json").write_text(told + "\n", encoding="utf-8")
    print(table(found))
    for line in found["scanned"]:
        print(f"reads a whole table: {line}", file=sys.stderr)
    return 1 if found["scanned"] else 0


@contextmanager
def _filled(server: postgres.Postgres, home: Path, studies: int) -> Iterator[Bench]:
    """Give a database of its own with so many studies."""
    urls = server.create_database()
    migrate.upgrade(urls.owner, urls.service)
    owner, database = create_engine(urls.owner), Database(urls.service)
    heads = home / "audit" / "heads.jsonl"
    try:
        fill.Filler(owner, heads, fill.now_of_fill(), _say).fill_to(studies)
        yield Bench(database, home, heads, studies)
    finally:
        database.dispose()
        owner.dispose()


def _asked(benches: list[Bench]) -> dict[str, Any]:
    """Ask both sizes in turns, so that a busy minute of the machine hits both."""
    costs = measure.in_turns(benches, _say)
    return {
        "machine": machine.facts(Path(tempfile.gettempdir())),
        "sizes": [bench.studies for bench in benches],
        "costs": [[asdict(one) for one in size] for size in costs],
        "verify_s": [round(bench.verify(_say), 2) for bench in benches],
        "verify_recent_s": [round(bench.verify(_say, recent=True), 2) for bench in benches],
    }


def table(found: dict[str, Any]) -> str:
    """Return both sizes beside each other as Markdown."""
    small, large = found["sizes"]
    lines = [
        f"| question | {small:,} studies: ms (p90), pages | {large:,} studies: ms (p90), pages |",
        "|---|---|---|",
    ]
    sizes = [[Cost(**one) for one in size] for size in found["costs"]]
    lines += [f"| {a.name} | {_cell(a)} | {_cell(b)} |" for a, b in zip(*sizes, strict=True)]
    for name, words in (("verify_s", "whole"), ("verify_recent_s", "what is new of the")):
        before, after = found[name]
        lines.append(f"| {words} audit trail verified, s | {before} | {after} |")
    return "\n".join(lines)


def _cell(cost: Cost) -> str:
    return f"{cost.median_ms:.1f} ({cost.p90_ms:.1f}), {cost.pages:.0f}"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make million", description=__doc__)
    parser.add_argument("--small", type=int, default=1_000)
    parser.add_argument("--large", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
