"""What an earlier supervisor left behind: found, waited for, ended."""

import os
import time
from typing import TYPE_CHECKING

import psutil

from service.parts import MARK, PART
from service.processes import Handle, identify

if TYPE_CHECKING:
    import signal
    from collections.abc import Collection, Iterator

    from service.processes import ProcessIdentity


def left_behind(
    installation_id: str, keep: "Collection[str]" = (), only: str = ""
) -> "Iterator[ProcessIdentity]":
    """Yield every process that was started for an installation, but this one.

    They are known by a mark in their environment, which children inherit: no list of numbers can
    go stale, and a reused number carries no mark.

    Parameters
    ----------
    installation_id
        Whose processes.
    keep
        Names of parts that are not yielded.
    only
        If not empty: just the processes of this part.
    """
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except (psutil.Error, OSError):  # not ours to look at, or gone in the meantime
            continue
        part = environment.get(PART, "")
        if environment.get(MARK) != installation_id or part in keep or process.pid == os.getpid():
            continue
        identity = identify(process.pid)
        if identity is not None and (not only or part == only):
            yield identity


def end_all(
    processes: "Collection[ProcessIdentity]", number: "signal.Signals", grace_s: float
) -> None:
    """Ask all of them to end at once; kill those that have not after the grace."""
    handles = [handle for handle in map(Handle.of, processes) if handle is not None]
    for handle in handles:
        handle.send(number)
    deadline = time.monotonic() + grace_s
    for handle in handles:
        if not handle.wait(deadline - time.monotonic()):
            handle.kill()
        handle.close()
