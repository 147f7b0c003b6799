"""Starting, naming, watching and ending processes of this machine (Linux).

A number of a process is reused; the pair (number, start time) within one boot is not. Everything
here names a process by that pair and holds it by a pidfd (pidfd_open(2)), so that neither a signal
nor a wait can ever reach somebody else's process.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PR_SET_PDEATHSIG = 1  # prctl(2)
START_TIME_FIELD = 19  # of /proc/<pid>/stat, counted after the command's closing parenthesis
STATE_FIELD = 0
DEAD_STATES = ("Z", "X")
KILL_S = 10.0
LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """Which process: its number, and when it started, in clock ticks of the boot ``boot_id``."""

    pid: int
    start_ticks: int
    boot_id: str


@dataclass(frozen=True, slots=True)
class Account:
    """The user a program runs as."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Program:
    """What to start, and how.

    ``log`` is appended to; ``at_parents_death`` is sent by the kernel when the starter dies, so
    that nothing is left behind even by ``kill -9``. Secrets belong in ``environment``: arguments
    can be read by every user of the machine.
    """

    argv: tuple[str, ...]
    log: Path
    environment: "Mapping[str, str]" = field(repr=False)
    working_folder: Path = Path("/")
    account: Account | None = None
    at_parents_death: signal.Signals = signal.SIGTERM


def boot_id() -> str:
    """Return the identity of this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def identify(pid: int) -> ProcessIdentity | None:
    """Return who has this number now; None when nobody, or only a zombie, has it."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    if fields[STATE_FIELD] in DEAD_STATES:
        return None
    return ProcessIdentity(pid, int(fields[START_TIME_FIELD]), boot_id())


def is_alive(identity: ProcessIdentity) -> bool:
    """Return whether exactly this process still runs."""
    return identify(identity.pid) == identity


class Handle:
    """A process held by a pidfd; works for children and for strangers alike."""

    def __init__(self, identity: ProcessIdentity, pidfd: int) -> None:
        self.identity = identity
        self._pidfd = pidfd

    @classmethod
    def of(cls, identity: ProcessIdentity) -> Self | None:
        """Take hold of a process; None when it has gone (or its number is another's now)."""
        try:
            pidfd = os.pidfd_open(identity.pid)
        except ProcessLookupError:
            return None
        # The number is ours only if it still is the same process after the handle was opened.
        if not is_alive(identity):
            os.close(pidfd)
            return None
        return cls(identity, pidfd)

    def send(self, number: signal.Signals) -> None:
        """Send a signal; a process that has gone takes none."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)

    def wait(self, seconds: float) -> bool:
        """Wait until it has ended, at most so long; return whether it has."""
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(max(0.0, seconds) * 1000))

    def end(self, number: signal.Signals, grace_s: float) -> bool:
        """Ask it to end, and kill it when it does not; return whether it went by itself."""
        self.send(number)
        if self.wait(grace_s):
            return True
        self.kill()
        return False

    def kill(self) -> None:
        """End it at once, and wait until it has gone."""
        self.send(signal.SIGKILL)
        self.wait(KILL_S)

    def close(self) -> None:
        """Let go of it; it keeps running."""
        os.close(self._pidfd)


def spawn(program: Program) -> "subprocess.Popen[bytes]":
    """Start a program in a session of its own, its output appended to its log.

    Call it from the main thread of a process without other threads: the kernel watches the
    *thread* that forked, and code runs between fork and exec.
    """
    program.log.parent.mkdir(parents=True, exist_ok=True)
    with program.log.open("ab", buffering=0) as log:
        who = _run_as(program.account)
        return subprocess.Popen(  # noqa: S603  (every argument is ours)
            program.argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=dict(program.environment),
            cwd=program.working_folder,
            start_new_session=True,
            umask=0o077,  # whatever it writes is for its own user
            preexec_fn=_tie_to_parent(os.getpid(), program.at_parents_death),  # noqa: PLW1509
            user=who[0],
            group=who[1],
            extra_groups=who[2],
        )


def _run_as(account: Account | None) -> tuple[int | None, int | None, list[int] | None]:
    return (None, None, None) if account is None else (account.uid, account.gid, [])


def _tie_to_parent(parent: int, number: signal.Signals) -> "Callable[[], None]":
    def tie() -> None:
        # subprocess runs this after it has changed the user: that change would clear the setting.
        LIBC.prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # the parent died between fork and prctl
            os._exit(1)

    return tie


def wait_until(condition: "Callable[[], bool]", seconds: float, every_s: float = 0.02) -> bool:
    """Ask until the condition holds, at most so long; return whether it did."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every_s)
    return True
