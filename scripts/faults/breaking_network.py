"""A cable that is cut in the middle of a message: no FIN, no RST, only silence."""

import contextlib
import time

from scripts.faults.breaker import MET_S, Breaker
from scripts.faults.hospital import wait_for
from scripts.faults.sender import Road

KNIFE = {"modality": (20_000, 30_000), "archive": (2_000, 6_000)}  # bytes, and for each s of delay
LONGER = 6  # the archive is away for so much longer: past the end of a lease, and not always


class CuttingCable(Breaker):
    """The cable to the modality, or to the archive, is cut as its bytes pass, and joined later.

    To the modality it is joined when the sender has given up waiting for an answer; to the archive
    after some time, which is at times too short for anybody but TCP to notice.
    """

    _left = 0
    _was_cut = False

    def road(self) -> Road:
        """Let the modality sit at the other end of the cable."""
        cable = self.hospital.cable
        if cable is None or self.variant != "modality":
            return super().road()
        return Road(self.hospital.to_listener.to[1], cable.ours, cable.inside, self._passed)

    def before(self) -> None:
        """Choose the byte to cut at."""
        if self.hospital.cable is None:
            self.notes.append("skipped: network namespaces are not allowed here")
            return
        least, more = KNIFE[self.variant]
        self._left = int(least + more * self.episode.delay_s)
        if self.variant == "archive":
            self.hospital.to_archive.passed = self._passed

    def heal(self) -> None:
        """Join it."""
        if self.hospital.cable is None:
            return
        is_far = self.variant == "modality"
        with contextlib.suppress(TimeoutError):
            wait_for(self.is_cut_off if is_far else lambda: self._was_cut, MET_S, "the cut")
        if not is_far:
            time.sleep(LONGER * self.episode.hold_s)
        self.hit = self._was_cut and (self.is_cut_off() or not is_far)
        if not self.hit:
            answers = [(one.answers, one.turned_away) for one in self.films]
            self.notes.append(f"cut: {self._was_cut}; {answers}")
        self.close()

    def close(self) -> None:
        """Leave a whole cable that nobody cuts."""
        self.hospital.to_archive.passed = lambda _count: None
        if self.hospital.cable is not None:
            self._was_cut = True
            self.hospital.cable.heal()

    def _passed(self, count: int) -> None:
        """Count what went over the cable, and cut it once."""
        self._left -= count
        if self._left < 0 and not self._was_cut and self.hospital.cable is not None:
            self._was_cut = True
            self.hospital.cable.cut()
