"""One trace for each study across all processes, sent by OTLP over HTTP where a collector is set.

Nothing travels with a message: a trace id is the SHA-256 of the Study Instance UID, cut to 16
bytes, so every process knows it. ``close`` of the first revision is the root; ``network`` and
``encode`` lie inside the ``read`` of their attempt. What a transaction did is told after its
commit. No attribute leaves but those that :mod:`service.spans` allows, none of them a patient's.

Without ``CARINA_OTLP_ENDPOINT`` nothing of OpenTelemetry is imported and every call returns at
once. A collector that is slow or away costs spans, never a study.
"""

import functools
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import event

from service.errors import SettingsInvalid

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from service.otlp import Sender
    from service.settings import Settings
    from service.spans import Span


@dataclass(slots=True)
class _Where:
    """To which collector this process tells, and under which name; "" to none."""

    endpoint: str = ""
    process: str = ""


_WHERE = _Where()


def configure(settings: "Settings", process: str) -> None:
    """Turn tracing on or off for this process and the children it forks.

    Raises
    ------
    SettingsInvalid
        If a collector is set and OpenTelemetry is not installed.
    """
    _WHERE.endpoint, _WHERE.process = settings.otlp_endpoint, process
    if not settings.otlp_endpoint:
        return
    try:
        from service import otlp  # noqa: F401, PLC0415  (its import costs: only when it is wanted)
    except ImportError:
        how = "pip install '.[traces]' in the checkout"
        fault = f"CARINA_OTLP_ENDPOINT: OpenTelemetry is missing: {how}"
        raise SettingsInvalid([fault]) from None


def tell(*spans: "Span") -> None:
    """Hand over what happened; never blocks, never raises."""
    if _WHERE.endpoint:
        sender = _sender(os.getpid(), _WHERE.endpoint, _WHERE.process)
        for span in spans:
            sender.send(span)


def tell_after_commit(session: "Session", *spans: "Span") -> None:
    """Hand over what a transaction did, if and when it is committed."""
    if not _WHERE.endpoint:
        return

    def committed(_: "Session") -> None:
        tell(*spans)

    event.listen(session, "after_commit", committed, once=True)


@functools.lru_cache(maxsize=1)
def _sender(pid: int, endpoint: str, process: str) -> "Sender":  # noqa: ARG001  (one per process)
    """Return the sender of this process: its thread would not live on in a forked child."""
    from service.otlp import Sender  # noqa: PLC0415

    return Sender(endpoint, process)
