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
from scripts.faults.sender import Road, Sent

MET_S = 40.0  # as long a fault waits for somebody to run into it


@dataclass
class Breaker:
    """One fault in one episode; the base breaks nothing.

    ``before`` is called before the first film is offered, ``strike`` some time after it, ``heal``
    when the fault has lasted, ``finish`` when every study has ended, ``close`` whatever happened.
    ``hit`` says whether anything ran into the fault, None where that cannot be told; ``since`` is
    when recovery began, on the steady clock; ``violations`` are those that only this fault shows.
    """

    hospital: Hospital
    episode: Episode
    studies: Sequence[Sequence[Sent]]
    eyes: Eyes
    lasts: ClassVar[bool] = True
    hit: bool | None = None
    since: float = 0.0
    notes: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    @property
    def variant(self) -> str:
        """Which variant."""
        return self.episode.card.variant

    @property
    def study_uids(self) -> tuple[str, ...]:
        """The studies of the episode."""
        return tuple(study[0].study_instance_uid for study in self.studies)

    @property
    def films(self) -> list[Sent]:
        """The films of all studies."""
        return [one for study in self.studies for one in study]

    def is_cut_off(self) -> bool:
        """Return whether a sender lost its association, or got none."""
        return any(one.turned_away or None in one.answers for one in self.films)

    def road(self) -> Road:
        """Return the way that the films take."""
        return Road(self.hospital.to_listener.port)

    def before(self) -> None:
        """Prepare."""

    def strike(self) -> None:
        """Break it."""

    def heal(self) -> None:
        """Take the fault away."""

    def finish(self) -> None:
        """Clear up when every study has ended."""

    def close(self) -> None:
        """Give back what outlives the episode otherwise, also when it went wrong."""


def wipe(hospital: Hospital) -> None:
    """Take everything from the broker, RabbitMQ's queues included; one that is away has nothing."""
    if hospital.rabbit is not None:
        hospital.rabbit.wipe()
    else:
        silence(hospital)


def silence(hospital: Hospital) -> None:
    """Take away every bell that nobody has heard yet."""
    if hospital.rabbit is not None:
        hospital.rabbit.silence()
        return
    with contextlib.suppress(RedisError), Redis.from_url(hospital.broker_url) as broker:
        broker.flushall()
