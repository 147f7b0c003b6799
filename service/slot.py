"""One part under supervision: started, watched, started again with growing pauses, stopped."""

import dataclasses
import signal
import time
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from service.errors import ServiceError
from service.parts import MARK, PART, Part
from service.processes import Handle, identify, spawn
from service.runstate import PartState, PartStatus
from service.takeover import end_all, left_behind

if TYPE_CHECKING:
    import subprocess

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STEADY_S = 60.0  # a part that ran this long has recovered: the pauses begin anew
START_LIMIT_S = 90.0
REMAINS_GRACE_S = 3.0


class Slot:
    """Where one part runs. Times for people come in as ``now``; pauses use the steady clock."""

    def __init__(self, part: Part, installation_id: str) -> None:
        self.part = part
        self.status = PartStatus(part.name)
        self._installation_id = installation_id
        self._handle: Handle | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._due = 0.0
        self._pause = FIRST_PAUSE_S

    @property
    def marks(self) -> Mapping[str, str]:
        """What its environment says of it."""
        return {MARK: self._installation_id, PART: self.part.name}

    def start(self, now: datetime) -> None:
        """Start it, or adopt what already does its work.

        Raises
        ------
        ServiceError, OSError
            If it cannot even be started.
        """
        self.part.prepare()
        identity = self.part.adopt()
        child = None
        if identity is None:
            child = spawn(self.part.program(self.marks))
            identity = identify(child.pid)
        self._child = child
        self._handle = None if identity is None else Handle.of(identity)
        self._started = time.monotonic()
        self._set(now, PartState.STARTING, process=identity)

    def look(self, now: datetime) -> bool:
        """Do what is due: notice that it is ready, or gone, or start it again.

        Return whether its status changed.
        """
        before = self.status
        if before.state is PartState.BACKING_OFF:
            if time.monotonic() >= self._due:
                self._restart(now)
        elif self._handle is None or self._handle.wait(0):
            self._gone(now, self._last_words())
        elif before.state is PartState.STARTING:
            self._watch_start(now)
        elif time.monotonic() - self._started > STEADY_S:
            self._pause = FIRST_PAUSE_S
        return self.status != before

    def ask_to_end(self) -> None:
        """Tell it to end; :meth:`stop` then waits for it."""
        if self._handle is not None:
            self._handle.send(self.part.stop_signal)

    def stop(self, now: datetime) -> None:
        """Ask it to end, kill it if it does not, and clear away what it left."""
        if self._handle is not None:
            self._handle.end(self.part.stop_signal, self.part.grace_s)
        self._let_go()
        self._set(now, PartState.STOPPED, process=None)

    def _watch_start(self, now: datetime) -> None:
        if self.part.is_ready():
            self._set(now, PartState.READY, fault="")
        elif time.monotonic() - self._started > START_LIMIT_S and self._handle is not None:
            self._handle.end(self.part.stop_signal, self.part.grace_s)
            self._gone(now, f"not ready after {START_LIMIT_S:.0f} s")

    def _gone(self, now: datetime, fault: str) -> None:
        self._let_go()
        self._due = time.monotonic() + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE_S)
        self._set(now, PartState.BACKING_OFF, process=None, fault=fault)

    def _restart(self, now: datetime) -> None:
        try:
            self.start(now)
        except (ServiceError, OSError) as error:
            self._gone(now, str(error))
        self.status = dataclasses.replace(self.status, restarts=self.status.restarts + 1)

    def _let_go(self) -> None:
        if self._handle is not None:
            self._handle.close()
        if self._child is not None:
            self._child.wait()  # it has ended; Python must take note, or a zombie stays
        self._handle = None
        self._child = None
        remains = list(left_behind(self._installation_id, only=self.part.name))
        end_all(remains, self.part.stop_signal, REMAINS_GRACE_S)

    def _last_words(self) -> str:
        code = None if self._child is None else self._child.wait()
        if code is None:
            return "ended"
        if code < 0:
            return f"ended by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def _set(self, now: datetime, state: PartState, **changes: Any) -> None:  # noqa: ANN401
        self.status = dataclasses.replace(self.status, state=state, since=now, **changes)
