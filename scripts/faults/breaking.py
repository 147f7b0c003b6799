"""How each kind of fault is brought about, and taken away again."""

from scripts.faults.breaker import Breaker
from scripts.faults.breaking_disk import BreakingSpool, CuttingPower, TracingListener
from scripts.faults.breaking_network import CuttingCable
from scripts.faults.breaking_processes import (
    BreakingServer,
    Failing,
    Freezing,
    Killing,
    MovingClock,
)
from scripts.faults.breaking_world import (
    BreakingArchive,
    CuttingSender,
    PlantingFilm,
    Ringing,
    SecondWriter,
)

BREAKERS: dict[str, type[Breaker]] = {
    "none": Breaker,
    "failpoint": Failing,
    "kill": Killing,
    "postgres": BreakingServer,
    "broker": BreakingServer,
    "archive": BreakingArchive,
    "refusal": BreakingArchive,
    "permanent": BreakingArchive,
    "sender": CuttingSender,
    "network": CuttingCable,
    "spool": BreakingSpool,
    "power": CuttingPower,
    "order": TracingListener,
    "clock": MovingClock,
    "frozen": Freezing,
    "message": Ringing,
    "writer": SecondWriter,
    "film": PlantingFilm,
}
