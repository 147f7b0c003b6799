"""Carina made worse on purpose, so that the check is seen to fail."""

import os
import stat
import threading
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from service import listener

LATE_S = 0.3


class Sabotage(StrEnum):
    """What is taken away."""

    NOTHING = "nothing"
    FILE_SYNC = "file-sync"
    FOLDER_SYNC = "folder-sync"
    COMMIT_FIRST = "commit-first"


def apply(what: Sabotage) -> None:
    """Change this process; only a process of its own may be treated like that."""
    match what:
        case Sabotage.FILE_SYNC:
            os.fsync = _skipping(stat.S_ISREG)  # type: ignore[assignment]
        case Sabotage.FOLDER_SYNC:
            os.fsync = _skipping(stat.S_ISDIR)  # type: ignore[assignment]
        case Sabotage.COMMIT_FIRST:
            listener._accept = _later(listener._accept)  # noqa: SLF001 - the point is to break it
        case Sabotage.NOTHING:
            pass


def _skipping(is_kind: Callable[[int], bool]) -> Callable[[Any], None]:
    sync = os.fsync

    def skip(descriptor: Any) -> None:  # noqa: ANN401 - stands in for os.fsync
        if not is_kind(os.fstat(descriptor).st_mode):
            sync(descriptor)

    return skip


def _later(accept: Callable[..., None]) -> Callable[..., None]:
    """Answer at once and record afterwards."""

    def postpone(*words: Any) -> None:  # noqa: ANN401 - passed on as they are
        threading.Timer(LATE_S, accept, words).start()

    return postpone
