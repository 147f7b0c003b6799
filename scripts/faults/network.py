"""The networks of a campaign: a cable to another host, and the line to the archive over it."""

import contextlib
import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from scripts.faults.switch import Switch
from tests import namespaces
from tests.namespaces import Cable

NAMES = Path("/run/netns")
DEVICES = Path("/sys/class/net")
PREFIX = "carina-"


@contextlib.contextmanager
def laid() -> Iterator[Cable | None]:
    """Lay a cable where this machine lets us make network namespaces; None elsewhere."""
    if not namespaces.is_possible():
        yield None
        return
    _clear()
    with namespaces.cable(free_number()) as cable:
        yield cable


def free_number(devices: Path = DEVICES) -> int:
    """Return a number that no cable of this machine has; campaigns that start at once differ."""
    numbers = range(1, int(namespaces.CABLES))  # 0 is for tests
    first = os.getpid() % len(numbers)
    for number in chain(numbers[first:], numbers[:first]):
        if not (devices / namespaces.Cable("", number).near).exists():
            return number
    raise RuntimeError("there are too many cables on this machine: look at `ip link`")


def _clear() -> None:
    """Take away the namespaces of runs that were killed."""
    for path in NAMES.glob(f"{PREFIX}[0-9]*-*"):
        pid = path.name.removeprefix(PREFIX).partition("-")[0]
        if not Path("/proc", pid).exists():
            namespaces.ip("netns", "del", path.name)


def line_to(archive: tuple[str, int], cable: Cable | None) -> Switch:
    """Put a line in front of the archive: at the other end of the cable, if there is one."""
    return Switch(archive) if cable is None else Switch(archive, cable.theirs, cable.inside)


def settings(title: str, to_archive: Switch, cable: Cable | None) -> dict[str, str]:
    """Return the settings that let the other host send, and results go there."""
    node = f"{title}@{to_archive.host}:{to_archive.port}"
    if cable is None:
        return {"CARINA_PACS": node}
    return {
        "CARINA_PACS": node,
        "CARINA_LISTENER_HOST": "0.0.0.0",  # noqa: S104  (callers are named)
        "CARINA_CALLERS": f"*@127.0.0.1,*@{cable.theirs}",
        "CARINA_DELIVERY": "live",
        "CARINA_DEMO_OVERRIDE": node,
    }
