"""One trace for each study across all processes, sent by OTLP over HTTP where a collector is set.

Nothing travels with a message: a trace id is the SHA-256 of the Study Instance UID, cut to 16
bytes, so every process knows it. ``close`` of the first revision is the root; ``network`` and
``encode`` lie inside the ``read`` of their attempt. What a transaction did is told after its
commit. No attribute but those in ``ALLOWED`` leaves this module, and none of them is a patient's.

Without ``CARINA_OTLP_ENDPOINT`` nothing of OpenTelemetry is imported and every call returns at
once. A collector that is slow or away costs spans, never a study.
"""

import functools
import hashlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sqlalchemy import event

from service.errors import SettingsInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from service.otlp import Sender
    from service.settings import Settings

    Fact = str | int | float | None

ALLOWED: Final = frozenset(
    {
        "attempt",
        "cause",
        "destination",
        "films",
        "job_id",
        "reason_code",
        "reception",
        "revision",
        "size_bytes",
        "sop_class_uid",
        "state",
        "tries",
    }
)
"""Names of attributes; each is sent as ``carina.<name>``. Free text and UIDs are not among them."""

TRACE_BYTES: Final = 16  # W3C Trace Context, section 3.2.2.3
SPAN_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a job: what happens inside it lies in its span."""

    job_id: "UUID"
    number: int


@dataclass(frozen=True, slots=True)
class Span:
    """One stretch of a study's way. Times are aware UTC.

    ``is_root``: the span that all others of the study lie in. ``itself``: this *is* the span of an
    attempt. ``inside``: it lies in that of an attempt. ``has_failed`` marks it as an error.
    """

    name: str
    study_instance_uid: str
    begun: "datetime"
    ended: "datetime"
    facts: "Mapping[str, Fact]" = field(default_factory=dict)
    is_root: bool = False
    itself: Attempt | None = None
    inside: Attempt | None = None
    has_failed: bool = False

    @property
    def trace_id(self) -> int:
        """Return the trace of the study."""
        return _number(self.study_instance_uid, TRACE_BYTES)

    @property
    def span_id(self) -> int | None:
        """Return the id of a span that others must find; None: any will do."""
        if self.is_root:
            return _root(self.study_instance_uid)
        return None if self.itself is None else _of(self.itself)

    @property
    def parent_id(self) -> int | None:
        """Return the id of the span that this one lies in; None for the root."""
        if self.is_root:
            return None
        return _root(self.study_instance_uid) if self.inside is None else _of(self.inside)

    @property
    def attributes(self) -> "dict[str, str | int | float]":
        """Return what may be sent."""
        return {
            f"carina.{name}": value
            for name, value in self.facts.items()
            if name in ALLOWED and value is not None
        }


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
        fault = "CARINA_OTLP_ENDPOINT: OpenTelemetry is missing: pip install 'carina[traces]'"
        raise SettingsInvalid([fault]) from None


def trace_id(study_instance_uid: str) -> str:
    """Return the trace of a study as a collector shows it: 32 hexadecimal digits."""
    return f"{_number(study_instance_uid, TRACE_BYTES):032x}"


def tell(*spans: Span) -> None:
    """Hand over what happened; never blocks, never raises."""
    if _WHERE.endpoint:
        sender = _sender(os.getpid(), _WHERE.endpoint, _WHERE.process)
        for span in spans:
            sender.send(span)


def tell_after_commit(session: "Session", *spans: Span) -> None:
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


def _root(study_instance_uid: str) -> int:
    return _number(f"root {study_instance_uid}", SPAN_BYTES)


def _of(attempt: Attempt) -> int:
    return _number(f"{attempt.job_id} {attempt.number}", SPAN_BYTES)


def _number(text: str, length: int) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:length]) or 1
