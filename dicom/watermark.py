"""When the spool takes films: not below its reserve, and after that not until there is room again.

Two marks instead of one: a disk at the edge would else take every second film of a study and
refuse the others, and each sender would come back at once.
"""

import errno
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from dicom import spool

if TYPE_CHECKING:
    from pathlib import Path

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Room:
    """How much may be written, bytes.

    Nothing when less than ``reserve_bytes`` would stay free; after that no new instance until
    ``resume_bytes`` are free (a value below the reserve counts as the reserve).
    """

    reserve_bytes: int
    maximum_object_bytes: int
    resume_bytes: int = 0


class Watermark:
    """The state of one spool, asked by the threads of all associations."""

    def __init__(self, root: "Path", room: Room) -> None:
        self._root = root
        self._reserve = room.reserve_bytes
        self._resume = max(room.resume_bytes, room.reserve_bytes)
        self._lock = threading.Lock()
        self._refusing = False

    def check_new(self) -> None:
        """Raise ``OSError`` (ENOSPC) when no further instance may begin."""
        if self._is_refusing(spool.free_bytes(self._root)):
            raise OSError(errno.ENOSPC, "below the reserve, or not yet far enough above it")

    def check_begun(self) -> None:
        """Raise ``OSError`` (ENOSPC) when not even what has begun may go on."""
        free = spool.free_bytes(self._root)
        self._is_refusing(free)
        if free < self._reserve:
            raise OSError(errno.ENOSPC, "below the reserve")

    def _is_refusing(self, free: int) -> bool:
        with self._lock:
            before = self._refusing
            self._refusing = free < (self._resume if before else self._reserve)
            if self._refusing != before:
                word = "intake_refuses_disk_low" if self._refusing else "intake_resumes_disk_free"
                log.warning(word, free_bytes=free, resume_bytes=self._resume)
            return self._refusing
