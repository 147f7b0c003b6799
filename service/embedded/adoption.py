"""What to do with a server that already runs on our data: keep it, wait for it, end it."""

from typing import TYPE_CHECKING

from service.errors import EmbeddedServerFailed
from service.processes import Handle

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable

    from service.processes import ProcessIdentity

LEAVING_S = 1.5
ENDING_S = 30.0


def adopt(
    running: "ProcessIdentity | None", stop_signal: "signal.Signals", serves: "Callable[[], bool]"
) -> "ProcessIdentity | None":
    """Return the server to go on with; None when a new one is to be started.

    A server whose supervisor was killed has just been told by the kernel to end: it is given the
    time. One that stays and ``serves`` is kept; one that stays and does not is ended.

    Raises
    ------
    EmbeddedServerFailed
        If it had to be killed: then its data deserves a look before it is used again.
    """
    handle = None if running is None else Handle.of(running)
    if running is None or handle is None:
        return None
    try:
        if handle.wait(LEAVING_S):
            return None
        if serves():
            return running
        if handle.end(stop_signal, ENDING_S):
            return None
    finally:
        handle.close()
    raise EmbeddedServerFailed(f"process {running.pid} neither served nor ended, and was killed")
