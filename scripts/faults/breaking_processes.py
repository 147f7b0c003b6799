"""Faults of processes: killed, frozen, emptied, with a wrong clock."""

import contextlib
import os
import signal
import time
from typing import ClassVar

import psutil

from dicom import failpoints
from dicom.failpoints import Failpoint
from scripts.faults import sabotage
from scripts.faults.breaker import MET_S, Breaker, wipe
from scripts.faults.hospital import wait_for
from scripts.faults.rabbit import Rabbit
from scripts.faults.switch import Way

SECOND = Failpoint.PIXELS_READ
LOSER_GOES_FIRST_S = 2.5


class Failing(Breaker):
    """A failpoint kills the process that reaches it."""

    lasts = False
    SEVERAL: ClassVar = (Failpoint.CHUNK_RECEIVED, Failpoint.OBJECT_SENT, Failpoint.RESULT_KEPT)

    def before(self) -> None:
        """Arm the point."""
        point = Failpoint(self.variant)
        nth = self.episode.nth if point in self.SEVERAL else 1
        failpoints.arm(self.hospital.points, point, nth=nth)

    def finish(self) -> None:
        """See whether it went off."""
        self.hit = not failpoints.disarm(self.hospital.points, Failpoint(self.variant))


class Killing(Breaker):
    """Kill -9 of one process."""

    lasts = False

    def strike(self) -> None:
        """Kill it."""
        pid = self.hospital.pid(self.variant)
        self.hit = pid is not None
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.variant == "supervisor":
            time.sleep(0.5)  # its children follow it; an operator starts it again
            self.hospital.heal()


class BreakingServer(Breaker):
    """Postgres or the broker is killed, frozen or emptied."""

    frozen: "list[psutil.Process]"

    def strike(self) -> None:
        """Do it to the server and all its processes."""
        self.frozen = []
        self.hit = True
        part = "postgres" if self.episode.card.kind == "postgres" else "valkey"
        if self.variant == "wiped":
            for _ in range(3):
                wipe(self.hospital)
                time.sleep(self.episode.hold_s / 6)
        elif part == "valkey" and self.hospital.rabbit is not None:
            self._break_rabbit(self.hospital.rabbit)
        else:
            self._break_part(part)

    def _break_rabbit(self, rabbit: Rabbit) -> None:
        if self.variant == "killed":
            rabbit.kill()
        else:
            rabbit.line.set(Way.SILENT)

    def _break_part(self, part: str) -> None:
        pid = self.hospital.pid(part)
        self.hit = pid is not None
        if pid is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            server = psutil.Process(pid)
            for process in (server, *server.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    if self.variant == "killed":
                        process.kill()
                    else:
                        process.suspend()
                        self.frozen.append(process)

    def heal(self) -> None:
        """Thaw what was frozen; what was killed is started again by the supervisor."""
        if self.hospital.rabbit is not None:
            self.hospital.rabbit.heal()
        for process in reversed(self.frozen):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


class MovingClock(Breaker):
    """The clock of our processes jumps, and later jumps back."""

    def strike(self) -> None:
        """Move it."""
        ahead = 5 + 8 * self.episode.delay_s
        text = f"{ahead if self.variant == 'forward' else -ahead:.1f}"
        (self.hospital.points / sabotage.CLOCK).write_text(text, encoding="ascii")
        self.hit = True

    def heal(self) -> None:
        """Set it right."""
        (self.hospital.points / sabotage.CLOCK).unlink(missing_ok=True)


class Freezing(Breaker):
    """A worker stands still with a job until another has taken it, then goes on."""

    def before(self) -> None:
        """Arm the point."""
        self._hits = self._seen()
        failpoints.arm(self.hospital.points, Failpoint(self.variant), "stop")

    def heal(self) -> None:
        """Let it go on once somebody else has its job."""
        with contextlib.suppress(TimeoutError):
            wait_for(lambda: len(self._seen()) > len(self._hits), MET_S, "a worker to freeze")
        failpoints.disarm(self.hospital.points, Failpoint(self.variant))
        frozen = self._seen()[len(self._hits) :]
        self.hit = bool(frozen)
        second = self._freeze_second() if self.variant == Failpoint.BEFORE_ENCODE else []
        if not second:
            with contextlib.suppress(TimeoutError):
                wait_for(lambda: self.eyes.was_taken_over(self.study_uids), MET_S, "a takeover")
        _thaw(frozen)
        if second:
            time.sleep(LOSER_GOES_FIRST_S)
            _thaw(second)

    def _freeze_second(self) -> list[str]:
        """Freeze the one that takes over as well, so that the loser goes on first."""
        before = self._seen(SECOND)
        failpoints.arm(self.hospital.points, SECOND, "stop")
        with contextlib.suppress(TimeoutError):
            wait_for(lambda: len(self._seen(SECOND)) > len(before), MET_S, "a second worker")
        failpoints.disarm(self.hospital.points, SECOND)
        return self._seen(SECOND)[len(before) :]

    def _seen(self, point: str = "") -> list[str]:
        path = self.hospital.points / failpoints.HITS
        lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
        return [line for line in lines if line.startswith(f"{point or self.variant} stop ")]


def _thaw(hits: list[str]) -> None:
    for line in hits:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(line.split()[2]), signal.SIGCONT)
