"""Faults of lines, disks, messages, rows and films."""

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING

from scripts.faults import archive, outside
from scripts.faults.hospital import wait_for
from scripts.faults.sender import Sent
from scripts.faults.switch import Way
from service.dispatch import Bell
from service.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

from scripts.faults.breaker import MET_S, Breaker, silence


class BreakingArchive(Breaker):
    """The line to the archive, or another archive in its place."""

    def before(self) -> None:
        """Break it before anything can be sent."""
        self._stack = contextlib.ExitStack()
        self._wrong: archive.WrongArchive | None = None
        line = self.hospital.to_archive
        if self.episode.card.kind == "archive" and self.variant != "lies":
            self._connections = line.connections
            line.set(Way(self.variant), after_bytes=2_000 + int(self.episode.delay_s * 6_000))
            return
        status = 0x0000 if self.variant == "lies" else int(self.variant, 16)
        self._wrong = self._stack.enter_context(archive.running(status))
        line.to = ("127.0.0.1", self._wrong.port)

    def heal(self) -> None:
        """Open the line again, once it has been tried."""
        line = self.hospital.to_archive
        with contextlib.suppress(TimeoutError):
            wait_for(self._was_tried, MET_S, "the archive to be tried")
        self.hit = self._was_tried()
        line.to = ("127.0.0.1", self.hospital.archive.dicom_port)
        line.set(Way.OPEN)
        self._stack.close()

    def _was_tried(self) -> bool:
        if self._wrong is None and self.variant != "down":
            return self.hospital.to_archive.connections > self._connections
        if self._wrong is None or self.episode.card.kind == "permanent":
            states = {"down": outside.TRIED, "permanent": outside.ENDED}
            wanted = states["down" if self._wrong is None else "permanent"]
            return self.eyes.any_job(self.study_uids, wanted)
        return bool(self._wrong.answered)


class CuttingSender(Breaker):
    """The association of the modality is reset in the middle of a transfer."""

    def before(self) -> None:
        """Cut after a while."""
        self.hospital.to_listener.set(Way.CUTS, 1_000 + int(self.episode.delay_s * 25_000))

    def heal(self) -> None:
        """Open the line, once somebody was cut off."""
        with contextlib.suppress(TimeoutError):
            wait_for(self.is_cut_off, MET_S, "a sender to be cut off")
        self.hospital.to_listener.set(Way.OPEN)
        self.hit = self.is_cut_off()


class Ringing(Breaker):
    """Bells that ring too often, too late, or never."""

    def strike(self) -> None:
        """Ring several times, or silence every bell."""
        until = time.monotonic() + self.episode.hold_s
        while self.variant != "late" and time.monotonic() < until:
            if self.variant == "never":
                silence(self.hospital)
                time.sleep(0.05)
            else:
                self._ring(2)
                time.sleep(self.episode.hold_s / 4)
        self.hit = True

    def finish(self) -> None:
        """Ring for what has ended long ago."""
        if self.variant == "late":
            self._ring(1)
            time.sleep(1.0)

    def _ring(self, times: int) -> None:
        settings = Settings.model_validate({"broker_url": self.hospital.broker_url})
        bell = Bell(settings)
        jobs = [job.job_id for job in self.eyes.jobs(self.study_uids)]
        for _ in range(times):
            bell.ring_analyse(jobs)
            bell.ring_deliver(jobs)
        bell.close()


class SecondWriter(Breaker):
    """Somebody writes the rows of a job, a result, an instance a second time."""

    lasts = False

    def strike(self) -> None:
        """Try it, as the service's own role, when there is a job to double."""
        with contextlib.suppress(TimeoutError):
            wait_for(lambda: bool(self.eyes.jobs(self.study_uids)), MET_S, "a job")
        self.hit = True
        self.notes += self.eyes.write_twice(self.study_uids)

    def finish(self) -> None:
        """Try it again with the results there."""
        self.notes += self.eyes.write_twice(self.study_uids)


class PlantingFilm(Breaker):
    """One film of one study kills or hangs the network, or rots in the spool."""

    lasts = False

    def before(self) -> None:
        """Mark it; a file can only rot unread while no study is closed."""
        self.hit = True
        self._path: Path | None = None
        if self.variant != "rotten":
            self._path = self.hospital.points / self.variant
            self._path.write_text(self._film.sop_instance_uid, encoding="ascii")
            return
        self._sweep = self.hospital.pid("sweep")
        if self._sweep is not None:
            os.kill(self._sweep, signal.SIGSTOP)

    def strike(self) -> None:
        """Turn one byte in the middle of the file over."""
        if self.variant != "rotten":
            return
        try:
            wait_for(lambda: all(one.is_accepted for one in self.films), MET_S, "it")
            path = self.hospital.spool / self.eyes.spool_path(self._film.sop_instance_uid)
            with path.open("r+b") as file:
                file.seek(path.stat().st_size // 2)
                old = file.read(1)
                file.seek(-1, os.SEEK_CUR)
                file.write(bytes([old[0] ^ 0xFF]))
        finally:
            if self._sweep is not None:
                os.kill(self._sweep, signal.SIGCONT)

    def finish(self) -> None:
        """Unmark it."""
        if self._path is not None:
            self._path.unlink()

    @property
    def _film(self) -> Sent:
        return self.studies[self.episode.planted][0]
