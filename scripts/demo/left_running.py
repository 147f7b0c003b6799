"""What ``KEEP=1`` leaves running, written down so that the next run stops it and nothing else."""

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path

import psutil

NOTE = "left-running.json"
STOP_S = 15.0


def write(folder: Path, process_ids: Iterable[int]) -> None:
    """Write down which processes stay, by process id and start time."""
    notes = [{"pid": one, "started": psutil.Process(one).create_time()} for one in process_ids]
    (folder / NOTE).write_text(json.dumps(notes), encoding="utf-8")


def stop(folder: Path) -> None:
    """End the processes that an earlier run in this folder left; harmless when there are none."""
    note = folder / NOTE
    if not note.exists():
        return
    for left in json.loads(note.read_text(encoding="utf-8")):
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(left["pid"])
            # A process id is used again after a while; together with the start time it is not.
            if process.create_time() == left["started"]:
                process.terminate()
                process.wait(STOP_S)
    note.unlink()


def process_of(folder: Path) -> int:
    """Return the process that has ``folder`` in its command line: the archive of a stage.

    Raises
    ------
    LookupError
        If there is none.
    """
    for process in psutil.process_iter(["cmdline"]):
        if any(word.startswith(str(folder)) for word in process.info["cmdline"] or ()):
            return int(process.pid)
    raise LookupError(f"no process works in {folder}")
