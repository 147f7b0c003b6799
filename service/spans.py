"""What a span of a study's trace is, and how its ids follow from the study and the attempt."""

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

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


def trace_id(study_instance_uid: str) -> str:
    """Return the trace of a study as a collector shows it: 32 hexadecimal digits."""
    return f"{_number(study_instance_uid, TRACE_BYTES):032x}"


def _root(study_instance_uid: str) -> int:
    return _number(f"root {study_instance_uid}", SPAN_BYTES)


def _of(attempt: Attempt) -> int:
    return _number(f"{attempt.job_id} {attempt.number}", SPAN_BYTES)


def _number(text: str, length: int) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:length]) or 1
