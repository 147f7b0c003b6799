"""Measure what was asked for; write ``docs/bench.json`` and the page made from it."""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from scripts.bench import ingest, latency, machine, memory, report, system
from scripts.installation import CommandFailed

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "bench"
FIGURES = ROOT / "docs" / "bench.json"
PAGE = ROOT / "docs" / "bench.md"
PARTS = ("latency", "memory", "ingest")


def main() -> int:
    """Run the parts; parts not asked for keep their older figures."""
    arguments = _arguments()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    figures: dict[str, Any] = {}
    if FIGURES.exists() and set(arguments.parts) != set(PARTS):
        figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    figures["machine"] = machine.facts(FOLDER)
    try:
        if {"latency", "memory"} & set(arguments.parts):
            _whole(arguments, figures)
        if "ingest" in arguments.parts:
            figures["ingest"] = ingest.measure(
                FOLDER / "ingest", arguments.images, arguments.repeats, _say
            )
    except (CommandFailed, RuntimeError, TimeoutError) as error:
        print(f"The bench could not run: {error}", file=sys.stderr)
        return 1
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(report.page(figures), encoding="utf-8")
    shutil.rmtree(FOLDER, ignore_errors=True)
    print(report.page(figures))
    return 0


def _whole(arguments: argparse.Namespace, figures: dict[str, Any]) -> None:
    with system.running(FOLDER / "system") as whole:
        if "latency" in arguments.parts:
            figures["latency"] = latency.measure(whole, arguments.studies, _say)
        if "memory" in arguments.parts:
            figures["memory"] = memory.measure(whole, arguments.many, _say)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--parts", "--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--studies", type=int, default=20, help="for latency")
    parser.add_argument("--many", type=int, default=200, help="for memory")
    parser.add_argument("--images", type=int, default=60, help="of each ingest run")
    parser.add_argument("--repeats", type=int, default=3, help="of each ingest run")
    return parser.parse_args()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
