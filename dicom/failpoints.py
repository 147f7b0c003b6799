"""Named points of the data's way at which a fault campaign ends or stops the process.

Nothing happens unless ``CARINA_FAILPOINTS`` names a folder when the process starts; no installation
sets it. In that folder a file named as a point arms it: ``kill 3`` ends the process that reaches it
for the third time, ``stop 1`` freezes it (``SIGSTOP``) the first time. The file is then gone, and a
line in ``hits`` says which process it was, so that hits are counted where they happened.
"""

import fcntl
import os
import signal
import time
from enum import StrEnum
from pathlib import Path

VARIABLE = "CARINA_FAILPOINTS"
HITS = "hits"
ACTIONS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}

_folder = os.environ.get(VARIABLE, "")


class Failpoint(StrEnum):
    """Every point, in the order of the data's way."""

    CHUNK_RECEIVED = "listener.chunk-received"
    FILE_SYNCED = "listener.file-synced"
    FILE_RENAMED = "listener.file-renamed"
    FOLDER_SYNCED = "listener.folder-synced"
    BEFORE_INTAKE_COMMIT = "listener.before-commit"
    AFTER_INTAKE_COMMIT = "listener.after-commit"  # and before the reply
    REPLIED = "listener.replied"
    BEFORE_CLOSE = "sweep.before-close"  # of a study: its job is made, not committed
    AFTER_CLOSE = "sweep.after-close"
    BEFORE_RING = "sweep.before-ring"
    AFTER_RING = "sweep.after-ring"
    CLAIMED = "worker.claimed"
    PIXELS_READ = "worker.pixels-read"
    NETWORK_DONE = "worker.network-done"
    BEFORE_ENCODE = "worker.before-encode"
    RESULT_KEPT = "worker.result-kept"  # one file of a result set, its name not yet durable
    RESULTS_SYNCED = "worker.results-synced"
    BEFORE_ENCODED_COMMIT = "worker.before-encoded-commit"
    AFTER_ENCODED_COMMIT = "worker.after-encoded-commit"  # and before the bell for deliverers
    DELIVERY_CLAIMED = "deliverer.claimed"
    OBJECT_SENT = "deliverer.object-sent"  # answered, not recorded
    ALL_SENT = "deliverer.all-sent"  # the association is released, no answer recorded
    SENT_COMMITTED = "deliverer.sent-committed"  # and before any proof
    BEFORE_PROOF_COMMIT = "deliverer.before-proof-commit"
    DELIVERY_ENDED = "deliverer.ended"  # proven and committed, or given back
    BEFORE_HEAD = "seal.before-head"  # links committed, the head outside not written
    AFTER_HEAD = "seal.after-head"


def are_on() -> bool:
    """Return whether this process was started for a fault campaign."""
    return bool(_folder)


def reach(point: Failpoint) -> None:
    """End or stop this process here, if the point is armed and it is its turn."""
    if _folder:
        _reach(Path(_folder), point)


def arm(folder: Path, point: Failpoint, action: str = "kill", nth: int = 1) -> None:
    """Arm a point: the ``nth`` reach of it, by whichever process, has the ``action``."""
    scratch = folder / f".{point}"
    scratch.write_text(f"{action} {nth}", encoding="ascii")
    scratch.rename(folder / point)


def disarm(folder: Path, point: Failpoint) -> bool:
    """Take the arm off a point; return whether nobody had reached it as often as asked."""
    try:
        (folder / point).unlink()
    except FileNotFoundError:
        return False
    return True


def _reach(folder: Path, point: Failpoint) -> None:
    path = folder / point
    try:
        armed = path.open("r+", encoding="ascii")
    except FileNotFoundError:
        return
    with armed:
        fcntl.flock(armed, fcntl.LOCK_EX)
        if os.fstat(armed.fileno()).st_nlink == 0:
            return  # another process had its turn while we waited
        action, left = armed.read().split()
        if int(left) > 1:
            armed.seek(0)
            armed.truncate()
            armed.write(f"{action} {int(left) - 1}")
            return
        path.unlink()
    line = f"{point} {action} {os.getpid()} {time.time():.3f}\n"
    descriptor = os.open(folder / HITS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, line.encode("ascii"))
    os.close(descriptor)
    os.kill(os.getpid(), ACTIONS[action])
