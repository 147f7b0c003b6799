"""Memory of listener and worker: at rest, after many studies, under a large object, under senders.

Peaks are the kernel's own high-water mark (VmHWM), set back before each load, so nothing between
two looks is missed.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from dicom import film
from dicom.film import FilmDescription
from scripts import storescu
from scripts.bench import loads
from scripts.bench.system import System
from scripts.ledger import Ledger

MB = 1_000_000
LARGE_SIDE = 7100  # 7100 x 7100 x 2 bytes: 100.8 MB
SMALL_SIDE = 512
SENDERS = 10
DRAIN_S = 900.0
SETTLE_S = 3.0
ENDS = {"DELIVERED", "SKIPPED", "FAILED"}


def measure(system: System, studies: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Return resident megabytes of listener and worker; the worker's network is loaded first.

    Raises
    ------
    TimeoutError
        If the studies are not worked off in time.
    """
    ledger = Ledger(system.installation.database_url())
    try:
        with loads.copies(1) as load:
            _through(system, ledger, load, 1)  # loads the network
        say("memory: at rest")
        rest = _resident(system)
        many = _after_many(system, ledger, studies, say)
        say("memory: one object of 100 MB")
        with _large() as large:
            one = _listener_peak(system, lambda: storescu.send([large], system.listener, "BENCH"))
        say(f"memory: {SENDERS} senders")
        with loads.copies(SENDERS * 3) as load:
            load.renew()
            ten = _listener_peak(
                system, lambda: storescu.send_with(SENDERS, load.files, system.listener)
            )
    finally:
        ledger.close()
    return {"rest_mb": rest, "studies": studies, **many, "large_mb": one, "ten_senders_mb": ten}


def _after_many(
    system: System, ledger: Ledger, studies: int, say: Callable[[str], None]
) -> dict[str, Any]:
    with loads.small(SMALL_SIDE) as source, loads.copies(studies // 2, source) as load:
        say(f"memory: {studies // 2} studies")
        _through(system, ledger, load, len(load.files))
        half = _resident(system)
        say(f"memory: {studies // 2} more")
        _through(system, ledger, load, len(load.files))
        return {"half_mb": half, "after_mb": _resident(system)}


def _through(system: System, ledger: Ledger, load: loads.Load, count: int) -> None:
    """Send the load and wait until every job has ended."""
    before = _ended(ledger)
    load.renew()
    storescu.send_with(min(4, count), load.files, system.listener)
    deadline = time.monotonic() + DRAIN_S
    while _ended(ledger) - before < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{count} studies not worked off: {ledger.counts()}")
        time.sleep(0.2)
    time.sleep(SETTLE_S)


def _ended(ledger: Ledger) -> int:
    return sum(number for state, number in ledger.counts().items() if state in ENDS)


def _resident(system: System) -> dict[str, float]:
    """Return the resident set of each process with its children, MB."""
    return {
        name: round(sum(one.memory_info().rss for one in _family(process_id)) / MB, 1)
        for name, process_id in system.installation.processes().items()
        if name in {"listen", "work", "deliver", "sweep", "web"}
    }


def _listener_peak(system: System, act: Callable[[], object]) -> float:
    """Return the listener's highest resident set during ``act``, MB."""
    family = _family(system.installation.processes()["listen"])
    for one in family:
        Path(f"/proc/{one.pid}/clear_refs").write_text("5", encoding="ascii")
    act()
    return round(sum(map(_high_water, family)) / MB, 1)


def _high_water(process: psutil.Process) -> int:
    for line in Path(f"/proc/{process.pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise LookupError("the kernel tells no high-water mark")


def _family(process_id: int) -> list[psutil.Process]:
    parent = psutil.Process(process_id)
    return [parent, *parent.children(recursive=True)]


@contextlib.contextmanager
def _large() -> Iterator[Path]:
    """Give a film of 100 MB: noise, so that nothing on the way can make it smaller."""
    rng = np.random.default_rng(7)
    pixels = rng.integers(0, 65536, (LARGE_SIDE, LARGE_SIDE), dtype=np.uint16)
    ds = film.from_pixels(pixels, FilmDescription(seed=f"bench/{time.time_ns()}", bits_stored=16))
    with loads.folder() as where:
        path = where / "large.dcm"
        path.write_bytes(film.encode(ds))
        yield path
