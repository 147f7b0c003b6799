"""What can be broken, and how a study may end after it: the table the campaign holds Carina to."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatch

from dicom.failpoints import Failpoint

DELIVERED = frozenset({"DELIVERED"})
POISON = frozenset({"FAILED"})
NOT_READ = frozenset({"SKIPPED", "FAILED"})


class Refused(StrEnum):
    """What the archive answers every object with, by class of status (PS3.4 B.2.3, PS3.7 C)."""

    OUT_OF_RESOURCES = "A700"
    DATA_SET_MISMATCH = "A900"
    CANNOT_UNDERSTAND = "C000"
    PROCESSING_FAILURE = "0110"
    NOT_AUTHORISED = "0124"
    RESOURCE_LIMITATION = "0213"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault.

    ``innocent`` are the states that every study may end in, ``planted`` those of the one study
    that the fault was planted in. ``redelivered``: a study that ended FAILED is sent again by the
    operator after healing, and must then be DELIVERED.
    """

    words: str
    variants: tuple[str, ...] = ("",)
    innocent: frozenset[str] = DELIVERED
    planted: frozenset[str] = DELIVERED
    redelivered: bool = False


PERMANENT = (Refused.DATA_SET_MISMATCH, Refused.CANNOT_UNDERSTAND, Refused.NOT_AUTHORISED)
PASSING = (Refused.OUT_OF_RESOURCES, Refused.PROCESSING_FAILURE, Refused.RESOURCE_LIMITATION)
PROCESSES = (
    *("listen", "work", "work-child", "deliver", "deliver-child", "sweep", "web"),
    *("second-work", "second-deliver", "supervisor"),
)

KINDS: Mapping[str, Kind] = {
    "none": Kind("nothing is broken: what an undisturbed study takes"),
    "failpoint": Kind("the process that reaches a named point is killed there", tuple(Failpoint)),
    "kill": Kind("kill -9 of one process", PROCESSES),
    "postgres": Kind(
        "Postgres killed at once with all its backends (the supervisor starts it again), or frozen",
        ("killed", "frozen"),
    ),
    "broker": Kind(
        "the broker wiped, killed (started again by the supervisor), or cut off from its clients",
        ("wiped", "killed", "cut"),
    ),
    "archive": Kind(
        "the archive is down, closes what it accepted, cuts in the middle, is slow, is silent, or"
        " answers success and keeps nothing",
        ("down", "closes", "cuts", "slow", "silent", "lies"),
    ),
    "refusal": Kind("the archive refuses with a status that may pass", PASSING),
    "permanent": Kind(
        "the archive refuses with a status that will not pass by itself",
        PERMANENT,
        innocent=DELIVERED | POISON,
        planted=DELIVERED | POISON,
        redelivered=True,
    ),
    "sender": Kind("the association is cut in the middle of a transfer", ("cut",)),
    "spool": Kind(
        "the spool's file system is full, read-only, or takes only the beginning of a file",
        ("full", "read-only", "short"),
    ),
    "network": Kind(
        "the cable to a modality or to the archive is cut in the middle of a C-STORE, in silence,"
        " and joined later",
        ("modality", "archive"),
    ),
    "power": Kind(
        "what a power cut would leave of the spool, read from a copy of its disk", ("cut",)
    ),
    "order": Kind(
        "nothing breaks; the system calls behind every answer must be in the order that makes it"
        " true",
        ("syscalls",),
    ),
    "clock": Kind("the clock of our processes jumps", ("forward", "back")),
    "frozen": Kind(
        "a worker is frozen with a job until another has it, and then goes on",
        (
            *(Failpoint.PIXELS_READ, Failpoint.BEFORE_ENCODE, Failpoint.BEFORE_ENCODED_COMMIT),
            *(Failpoint.DELIVERY_CLAIMED, Failpoint.OBJECT_SENT, Failpoint.ALL_SENT),
        ),
    ),
    "message": Kind("bells that ring several times, late, or never", ("twice", "late", "never")),
    "writer": Kind("a second writer of the same job, result and instance rows", ("second",)),
    "film": Kind(
        "a film that crashes or hangs the network, or whose file has rotted in the spool",
        ("crashes", "hangs", "rotten"),
        planted=POISON,
    ),
}


@dataclass(frozen=True, slots=True)
class Card:
    """One fault in one variant."""

    kind: str
    variant: str = ""

    @property
    def name(self) -> str:
        """What reports call it."""
        return f"{self.kind}:{self.variant}" if self.variant else self.kind

    @property
    def allowed(self) -> Kind:
        """The row of the table."""
        return KINDS[self.kind]


def deck(only: str = "*") -> tuple[Card, ...]:
    """Return one card of every fault and variant whose name matches the pattern."""
    cards = (Card(kind, str(one)) for kind, row in KINDS.items() for one in row.variants)
    return tuple(card for card in cards if any(fnmatch(card.name, p) for p in only.split(",")))


def as_markdown() -> str:
    """Return the table for the documentation."""
    lines = [
        "| Fault | Variants | A study may end | The study it was planted in may end |",
        "|---|---|---|---|",
    ]
    for name, kind in KINDS.items():
        variants = ", ".join(filter(None, kind.variants)) or "-"
        ends = (" or ".join(sorted(one)) for one in (kind.innocent, kind.planted))
        after = "; redelivered after healing: DELIVERED" if kind.redelivered else ""
        innocent, planted = ends
        lines.append(f"| `{name}`: {kind.words} | {variants} | {innocent}{after} | {planted} |")
    return "\n".join(lines) + "\n"
