"""A second host on this machine: a network namespace with a cable to it that can be cut."""

import ctypes
import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

CLONE_NEWNET = 0x40000000
NETWORK = "198.51.100"  # TEST-NET-2 (RFC 5737): nobody else has it
PREFIX = 30  # four addresses for each cable
CABLES = 64


class Cable:
    """The cable between this host (``ours``) and the other (``theirs``)."""

    def __init__(self, name: str, number: int) -> None:
        self.ours, self.theirs = (f"{NETWORK}.{4 * number + end}" for end in (1, 2))
        self.near, self.far = f"carina-near{number}", f"carina-far{number}"
        self._name = name

    def cut(self) -> None:
        """Take the other end down: what is sent is lost, and nobody is told (no FIN, no RST)."""
        ip("-n", self._name, "link", "set", self.far, "down")

    def heal(self) -> None:
        """Take it up again."""
        ip("-n", self._name, "link", "set", self.far, "up")

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Make sockets of this thread, and of threads it starts, in the other host."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self._name}", os.O_RDONLY)
        try:
            _enter(there)
            yield
        finally:
            _enter(home)
            os.close(home)
            os.close(there)


@contextmanager
def cable(number: int = 0) -> Iterator[Cable]:
    """Lay a cable to a fresh namespace; both are gone at the end.

    Those of one machine differ in their ``number``, less than CABLES.
    """
    name = f"carina-{os.getpid()}-{number}"
    laid = Cable(name, number)
    ip("netns", "add", name)
    try:
        ip("link", "add", laid.near, "type", "veth", "peer", laid.far, "netns", name)
        ip("addr", "add", f"{laid.ours}/{PREFIX}", "dev", laid.near)
        ip("link", "set", laid.near, "up")
        ip("-n", name, "addr", "add", f"{laid.theirs}/{PREFIX}", "dev", laid.far)
        ip("-n", name, "link", "set", laid.far, "up")
        yield laid
    finally:
        ip("netns", "del", name)


@functools.cache
def is_possible() -> bool:
    """Return whether this user may make namespaces, and ``ip`` is installed."""
    if shutil.which("ip") is None:
        return False
    name = f"carina-probe-{os.getpid()}"
    try:
        ip("netns", "add", name)
    except subprocess.CalledProcessError:
        return False
    ip("netns", "del", name)
    return True


def ip(*words: str) -> None:
    """Run ``ip`` of iproute2."""
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=60)


def _enter(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
