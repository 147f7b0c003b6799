"""Faults of the disk under the spool: no room, no writing, no power; and the order of its syncs."""

import contextlib
import hashlib
import os
import signal
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

from scripts.durability import order, runs, strace
from scripts.faults import disk
from scripts.faults.breaker import MET_S, Breaker
from scripts.faults.hospital import wait_for
from scripts.faults.sender import Sent, data_set

BALLAST = "ballast"
SHORT_BYTES = 60_000
TRACER_S = 60.0
SHOWN = 5


class BreakingSpool(Breaker):
    """The spool's file system takes nothing, or the listener only short files."""

    def before(self) -> None:
        """Fill it, close it, or shorten what may be written."""
        if self.variant == "short":
            self._limit((SHORT_BYTES, psutil.RLIM_INFINITY))
        elif not self.hospital.spool_is_mounted:
            self.notes.append("skipped: the spool has no file system of its own here")
        elif self.variant == "full":
            free = os.statvfs(self.hospital.spool)
            with (self.hospital.spool / BALLAST).open("wb") as ballast:
                left = int(300_000 * self.episode.delay_s)  # less than the reserve
                os.posix_fallocate(ballast.fileno(), 0, free.f_bavail * free.f_frsize - left)
        else:
            self._remount("ro")

    def heal(self) -> None:
        """Give the space back, once a film was refused or turned away."""
        if not self.notes:
            with contextlib.suppress(TimeoutError):
                wait_for(self._was_met, MET_S, "a film to be refused")
            self.hit = self._was_met()
        if self.variant == "short":
            self._limit((psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))
        elif self.hospital.spool_is_mounted and self.variant == "full":
            (self.hospital.spool / BALLAST).unlink(missing_ok=True)
        elif self.hospital.spool_is_mounted:
            self._remount("rw")

    def _was_met(self) -> bool:
        return any(one.turned_away or set(one.answers) - {0x0000} for one in self.films)

    def _limit(self, limits: tuple[int, int]) -> None:
        pid = self.hospital.pid("listen")
        if pid is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE, limits)

    def _remount(self, how: str) -> None:
        command = ["mount", "-o", f"remount,{how}", str(self.hospital.spool)]
        subprocess.run(command, check=True)


class TracingListener(Breaker):
    """Nothing breaks; the listener's system calls are written down and their order is checked.

    What a kill cannot show: a written file survives a process that dies, synced or not.
    """

    lasts = False
    _tracer: "subprocess.Popen[bytes] | None" = None

    def before(self) -> None:
        """Hold a tracer to the listener while it rests."""
        pid = self.hospital.pid("listen")
        if pid is None or not runs.can_trace():
            self.notes.append("skipped: no strace here, or no right to trace")
            return
        said = self._trace.with_suffix(".said")
        with said.open("wb") as out:
            self._tracer = subprocess.Popen(strace.attach(str(self._trace), pid), stderr=out)
        wait_for(lambda: b"attached" in said.read_bytes(), TRACER_S, "strace to attach")

    def finish(self) -> None:
        """Read the trace, and compare it with what the sender was told."""
        if self._tracer is None:
            return
        self.close()
        with self._trace.open(encoding="ascii", errors="replace") as lines:
            checked = order.examine(lines)
        told = sum(one.answers.count(0x0000) for one in self.films)
        self.hit = checked.answers > 0
        self.notes.append(f"{checked.answers} answers and {checked.files} files in order")
        if told > checked.answers:
            self.violations.append(f"order: {told} successes, and the trace has {checked.answers}")
        home = f"{self.hospital.carina.home}/"
        found = [str(one).replace(home, "") for one in checked.violations[:SHOWN]]
        self.violations += [f"order: {one}" for one in found]
        if not self.violations:
            self._trace.unlink()

    def close(self) -> None:
        """Let go of the listener, which goes on."""
        if self._tracer is not None:
            self._tracer.send_signal(signal.SIGTERM)
            self._tracer.wait(TRACER_S)

    @property
    def _trace(self) -> Path:
        return self.hospital.home / f"order-{self.episode.number}.trace"


class CuttingPower(Breaker):
    """What a power cut would leave of the spool, looked at on a copy of its disk.

    The spool lies on a disk of its own, whose content is a file. A copy of that file holds what was
    written to the disk and nothing that the kernel only remembers: what a machine finds when it
    comes up again. Three copies are made: soon after the first film is offered, later, and as soon
    as every film is accepted. Nothing is broken for those who run.
    """

    hit = False

    def strike(self) -> None:
        """Look for the first time."""
        self._look("early")

    def heal(self) -> None:
        """Look again, and once more when everything is accepted."""
        self._look("midway")
        with contextlib.suppress(TimeoutError):
            wait_for(lambda: all(one.is_accepted for one in self.films), MET_S, "every film")
        self._look("late")

    def _look(self, when: str) -> None:
        below = self.hospital.spool_disk
        if below is None:
            self.notes = ["skipped: the spool has no disk of its own here"]
            return
        answered = [one for one in self.films if one.is_accepted]
        with self._standing_still(), disk.as_found(below) as found:
            lost = list(self._lost(answered, found))
        self.hit = self.hit or bool(answered)
        self.notes.append(f"{when}: {len(answered)} films answered")
        self.violations += [f"power cut, {when}: {one}" for one in lost]

    @contextlib.contextmanager
    def _standing_still(self) -> Iterator[None]:
        """Hold the listener while the copy is made: a disk that loses power is of one moment."""
        pid = self.hospital.pid("listen")
        try:
            if pid is not None:
                os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            if pid is not None:
                os.kill(pid, signal.SIGCONT)

    def _lost(self, answered: Iterable[Sent], found: Path) -> Iterator[str]:
        for film in answered:
            rows = self.eyes.ask(
                "SELECT spool_path FROM instances WHERE sop_instance_uid = %s AND current",
                film.sop_instance_uid,
            )
            path = found / str(rows[0]["spool_path"]) if rows else None
            if path is None or not path.exists():
                yield f"{film.path.name} was answered 0x0000 and is not on the disk"
            elif hashlib.sha256(data_set(path.read_bytes())).hexdigest() != film.sha256:
                yield f"{film.path.name} was answered 0x0000 and is on the disk in part"
