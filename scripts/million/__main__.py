"""Measure at the small size, fill, measure at the large one; print the table, keep the plans."""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine

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
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="carina-million-") as name:
        home = Path(name)
        with postgres.running(home / "server", OPTIONS) as server:
            urls = server.create_database()
            migrate.upgrade(urls.owner, urls.service)
            found = _both(arguments, urls, home)
    told = json.dumps(found, indent=1)
    (arguments.folder / "million.json").write_text(told + "\n", encoding="utf-8")
    print(table(found))
    for line in found["scanned"]:
        print(f"reads a whole table: {line}", file=sys.stderr)
    return 1 if found["scanned"] else 0


def _both(arguments: argparse.Namespace, urls: postgres.DatabaseUrls, home: Path) -> dict[str, Any]:
    owner = create_engine(urls.owner)
    heads = home / "audit" / "heads.jsonl"
    filler = fill.Filler(owner, heads, fill.now_of_fill())
    database = Database(urls.service)
    found: dict[str, Any] = {"sizes": [arguments.small, arguments.large], "costs": []}
    try:
        for studies in found["sizes"]:
            filler.fill_to(studies)
            _say(f"filled to {studies:,} studies")
            bench = Bench(database, home, heads, studies)
            verified = bench.verify(_say)
            found["costs"].append(
                {"verify_s": round(verified, 2), "questions": [asdict(c) for c in bench.run(_say)]}
            )
        plans = bench.plans()
    finally:
        database.dispose()
        owner.dispose()
    text = "\n\n".join(f"## {name}\n\n" + "\n\n".join(one) for name, one in plans.items())
    (arguments.folder / "plans.txt").write_text(text + "\n", encoding="utf-8")
    found["scanned"] = measure.scanned(plans)
    return found


def table(found: dict[str, Any]) -> str:
    """Return both sizes beside each other as Markdown."""
    small, large = found["sizes"]
    lines = [
        f"| question | {small:,} studies: ms (p90), pages | {large:,} studies: ms (p90), pages |",
        "|---|---|---|",
    ]
    sizes = [[Cost(**one) for one in size["questions"]] for size in found["costs"]]
    lines += [f"| {a.name} | {_cell(a)} | {_cell(b)} |" for a, b in zip(*sizes, strict=True)]
    before, after = (size["verify_s"] for size in found["costs"])
    return "\n".join([*lines, f"| whole audit trail verified, s | {before} | {after} |"])


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
