"""What every fault of an episode has in common."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from redis import Redis
from redis.exceptions import RedisError

from scripts.faults.hospital import Hospital
from scripts.faults.outside import Eyes
from scripts.faults.plan import Episode
from scripts.faults.sender import Sent

MET_S = 40.0  # as long a fault waits for somebody to run into it


@dataclass
class Breaker:
    """One fault in one episode; the base breaks nothing.

    ``before`` is called before the first film is offered, ``strike`` some time after it, ``heal``
    when the fault has lasted, ``finish`` when every study has ended. ``hit`` says whether anything
    ran into the fault, None where that cannot be told; ``since`` is when recovery began, on the
    steady clock.
    """

    hospital: Hospital
    episode: Episode
    studies: Sequence[Sequence[Sent]]
    eyes: Eyes
    lasts: ClassVar[bool] = True
    hit: bool | None = None
    since: float = 0.0
    notes: list[str] = field(default_factory=list)

    @property
    def variant(self) -> str:
        """Which variant."""
        return self.episode.card.variant

    @property
    def study_uids(self) -> tuple[str, ...]:
        """The studies of the episode."""
        return tuple(study[0].study_instance_uid for study in self.studies)

    def before(self) -> None:
        """Prepare."""

    def strike(self) -> None:
        """Break it."""

    def heal(self) -> None:
        """Take the fault away."""

    def finish(self) -> None:
        """Clear up when every study has ended."""


def wipe(hospital: Hospital) -> None:
    """Empty the broker; one that is away is empty enough."""
    with contextlib.suppress(RedisError), Redis.from_url(hospital.broker_url) as broker:
        broker.flushall()
