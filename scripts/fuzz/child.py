"""One process that tries a run of inputs: ``python -m scripts.fuzz.child LAYER SEED FIRST COUNT``.

It writes down the number of each input before it tries it, so that whoever started it knows which
one ended it. What came of all of them goes to standard output as JSON.
"""

import json
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import structlog

from scripts.fuzz import mutate
from scripts.fuzz.targets import LAYERS, Target

GROWTH_MAX_BYTES = 64 << 20
PEAK_MAX_BYTES = 2 << 30
FAILURES_MAX = 20
WARM_UP = 0.2  # of the inputs, before memory is looked at for the first time


def run(
    layer: str, inputs: "tuple[int, int, int]", at: Path, make: Callable[[Path], Target]
) -> dict[str, Any]:
    """Try ``count`` inputs from number ``first`` of ``seed`` on: ``inputs`` in the order of use."""
    seed, first, count = inputs
    outcomes: Counter[str] = Counter()
    failures: list[dict[str, Any]] = []
    slowest = 0.0
    process = psutil.Process()
    warm = process.memory_info().rss
    with tempfile.TemporaryDirectory(prefix="carina-fuzz-") as folder, at.open("wb") as log:
        target = make(Path(folder))
        for number in range(first, first + count):
            os.pwrite(log.fileno(), b"%12d" % number, 0)
            started = time.monotonic()
            try:
                outcomes[target.put(target.make(mutate.generator(seed, layer, number)))] += 1
            except Exception as error:  # noqa: BLE001 - the border of what is tested
                failures.append({"number": number, "words": f"{type(error).__name__}: {error}"})
            slowest = max(slowest, time.monotonic() - started)
            if number == first + int(WARM_UP * count):
                warm = process.memory_info().rss
            if len(failures) >= FAILURES_MAX:
                break
        grown = process.memory_info().rss - warm
        failures += _at_the_end(target, grown, first + count)
    return {"outcomes": outcomes, "failures": failures, "slowest_s": slowest, "grown_bytes": grown}


def _at_the_end(target: Target, grown: int, number: int) -> list[dict[str, Any]]:
    found = []
    try:
        target.close()
    except Exception as error:  # noqa: BLE001 - the same border
        found.append(f"{type(error).__name__}: {error}")
    if grown > GROWTH_MAX_BYTES:
        found.append(f"memory has grown by {grown >> 20} MB")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if peak > PEAK_MAX_BYTES:
        found.append(f"{peak >> 20} MB of memory were in use at once")
    return [{"number": number, "words": words} for words in found]


def main(arguments: list[str]) -> None:
    """Run as a process of its own."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    structlog.configure(processors=[_say_nothing])
    layer, seed, first, count, at = arguments
    result = run(layer, (int(seed), int(first), int(count)), Path(at), LAYERS[layer])
    print(json.dumps(result))


def _say_nothing(_logger: Any, _name: str, _event: Any) -> Any:  # noqa: ANN401 - structlog's
    raise structlog.DropEvent


if __name__ == "__main__":
    main(sys.argv[1:])
