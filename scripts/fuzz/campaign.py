"""Run the layers in processes that may die, and count what came of every input."""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHARES: Mapping[str, int] = {"association": 5, "pdu": 5, "header": 40, "data set": 25, "pixels": 25}
"""Per cent of all inputs; the wire is a hundred times slower than a file."""

AT_ONCE = 5000
START_S = 300.0
EACH_S = 1.0
CHILD = (sys.executable, "-m", "scripts.fuzz.child")


@dataclass(frozen=True, slots=True)
class Failure:
    """An input that did what none may do; layer, seed and number make it again."""

    layer: str
    number: int
    words: str


@dataclass(slots=True)
class Report:
    """What came of the inputs of one layer."""

    layer: str
    inputs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    grown_bytes: int = 0
    failures: list[Failure] = field(default_factory=list)


def shared_out(count: int) -> dict[str, int]:
    """Return how many of ``count`` inputs each layer gets; at least one each."""
    return {layer: max(1, count * share // 100) for layer, share in SHARES.items()}


def layer_report(layer: str, seed: int, count: int, child: Sequence[str] = CHILD) -> Report:
    """Try ``count`` inputs of one layer; a process that dies costs one input and is replaced."""
    report = Report(layer)
    number = 0
    while number < count:
        here = min(AT_ONCE, count - number)
        number += _some(report, seed, (number, here), child)
    return report


def _some(report: Report, seed: int, part: tuple[int, int], child: Sequence[str]) -> int:
    """Try some inputs in one process; return how many of them were tried."""
    first, count = part
    with tempfile.TemporaryDirectory(prefix="carina-fuzz-at-") as folder:
        at = Path(folder) / "at"
        words = [*child, report.layer, str(seed), str(first), str(count), str(at)]
        try:
            done = subprocess.run(
                words,
                cwd=ROOT,
                capture_output=True,
                timeout=START_S + EACH_S * count,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return _died(report, first, at, "hangs")
        if done.returncode < 0:
            return _died(report, first, at, f"ended by signal {-done.returncode}")
        if done.returncode != 0:
            return _died(report, first, at, f"ended with {done.returncode}")
    _add(report, json.loads(done.stdout.splitlines()[-1]))
    report.inputs += count
    return count


def _died(report: Report, first: int, at: Path, words: str) -> int:
    text = at.read_text(encoding="ascii").strip() if at.exists() else ""
    number = int(text) if text else first
    report.failures.append(Failure(report.layer, number, f"the process {words}"))
    tried = number - first + 1
    report.inputs += tried
    return tried


def _add(report: Report, found: "Mapping[str, object]") -> None:
    outcomes, failures = found["outcomes"], found["failures"]
    assert isinstance(outcomes, dict)
    assert isinstance(failures, list)
    report.outcomes.update(outcomes)
    report.failures += [Failure(report.layer, one["number"], one["words"]) for one in failures]
    report.slowest_s = max(report.slowest_s, float(str(found["slowest_s"])))
    report.grown_bytes = max(report.grown_bytes, int(str(found["grown_bytes"])))
