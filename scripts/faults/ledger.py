"""What every episode of every run found, one JSON line each; totals add up over the runs."""

import json
import os
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dicom.failpoints import Failpoint
from scripts.faults.catalogue import as_markdown, deck
from scripts.faults.hospital import RABBITMQ, VALKEY

FILE = "ledger.jsonl"


def append(folder: Path, line: Mapping[str, object]) -> None:
    """Add one line; several campaigns may write at once."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(descriptor, (json.dumps(line, sort_keys=True) + "\n").encode())
    os.close(descriptor)


def read(folder: Path) -> list[dict[str, Any]]:
    """Return every line so far."""
    path = folder / FILE
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def report(folder: Path) -> str:
    """Write ``report.md`` from everything in the ledger; return its text."""
    text = f"# Fault campaign\n\n{figures(folder)}\n## The table\n\n{as_markdown()}"
    (folder / "report.md").write_text(text, encoding="utf-8")
    return text


def write_into(page: Path, folder: Path) -> None:
    """Put the table and the figures into a page of the documentation, between its marks."""
    text = page.read_text(encoding="utf-8")
    for name, content in (("table", as_markdown()), ("figures", figures(folder))):
        begin, end = (f"<!-- {word} {name} -->" for word in ("begin", "end"))
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n\n{content}\n{end}{rest.partition(end)[2]}"
    page.write_text(text, encoding="utf-8")


def figures(folder: Path) -> str:
    """Return what the ledger adds up to."""
    lines = [one for one in read(folder) if not one.get("control")]
    controls = [one for one in read(folder) if one.get("control")]
    parts = (_summary(lines), _failpoints(lines), _faults(lines), _failed(lines))
    return "\n".join([line for part in parts for line in part] + _controls(controls)) + "\n"


def _summary(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    studies = sum(line["studies"] for line in lines)
    films = sum(line["films"] for line in lines)
    failed = sum(bool(line["violations"]) for line in lines)
    seeds = sorted({str(line["seed"]) for line in lines})
    return [
        f"{len(lines)} episodes, {studies} studies, {films} films; seeds {', '.join(seeds)}.",
        f"Episodes in which something did not hold: {failed}.",
        "",
    ]


def _faults(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    by_fault: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for line in lines:
        by_fault[line["fault"], line.get("broker", VALKEY)].append(line)
    rows = [
        "| Fault | Episodes | Met | Held | Recovery, median (s) | longest (s) |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for broker in (VALKEY, RABBITMQ):
        for card in deck():
            those = by_fault.get((card.name, broker), [])
            if those:
                on = "" if broker == VALKEY else ", on RabbitMQ"
                rows.append(f"| {card.name}{on} {_row(those)}")
    return [*rows, ""]


def _row(those: Sequence[Mapping[str, Any]]) -> str:
    times = [one["recovery_s"] for one in those if one["recovery_s"] is not None]
    median, most = (statistics.median(times), max(times)) if times else (0.0, 0.0)
    held = sum(not one["violations"] for one in those)
    met = sum(one["hit"] is not False for one in those)
    return f"| {len(those)} | {met} | {held} | {median:.1f} | {most:.1f} |"


def _failpoints(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    hits = {
        point: sum(line["fault"] == f"failpoint:{point}" and line["hit"] is True for line in lines)
        for point in Failpoint
    }
    rare = [f"{point} ({count})" for point, count in hits.items() if count < 10]  # noqa: PLR2004
    words = f"fewer than ten times: {', '.join(rare)}" if rare else "each ten times at least"
    return [f"Failpoints were hit {words}.", ""]


def _failed(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    found = [line for line in lines if line["violations"]]
    if not found:
        return []
    return (
        ["### What did not hold", ""]
        + [
            f"- seed {line['seed']}, episode {line['number']}, {line['fault']}:"
            f" {'; '.join(line['violations'])}"
            for line in found
        ]
        + [""]
    )


def _controls(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    if not lines:
        return []
    newest = {line["control"]: line for line in lines}.values()
    return ["### Negative controls", ""] + [
        f"- **{one['control']}** ({one['words']}): {'; '.join(one['violations'] or one['found'])}"
        for one in newest
    ]
