"""What every step of a worker process shares, made once in the process that does the work."""

import importlib.metadata
import os
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dicom.associate import DEFAULT_TIMEOUTS, Timeouts
from service import consignments, jobs, secure
from service.db.engine import Database
from workers.heartbeat import Pulse

if TYPE_CHECKING:
    from uuid import UUID

    from dicom.associate import Requestor
    from models.protocols import Eye
    from service.settings import Settings
    from service.values import Fence

CONNECTIONS_PER_LANE = 2  # the step and its heartbeat


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """Settings, database, network and clock of one worker process.

    ``owner`` names the process in claims and audit events. ``eye`` loads the network when it is
    first needed. ``ring_deliver`` tells deliverers, after the commit, which jobs are encoded.
    """

    settings: "Settings"
    database: Database
    owner: str
    eye: "Callable[[], Eye]"
    ring_deliver: "Callable[[Sequence[UUID]], object]"
    clock: Callable[[], datetime]
    software_version: str
    timeouts: Timeouts = DEFAULT_TIMEOUTS
    commitment_wait_s: float = 1.0  # for a report on the association of the request itself

    @property
    def lease(self) -> timedelta:
        """How long a claim lasts without a heartbeat."""
        return timedelta(seconds=self.settings.lease_s)

    @property
    def hard_limit(self) -> timedelta:
        """How long one claim may last at all."""
        return timedelta(seconds=self.settings.hard_limit_s)

    @property
    def requestor(self) -> "Requestor":
        """Our side of an association with the archive."""
        return secure.requestor(self.settings, timeouts=self.timeouts)

    @property
    def pulse(self) -> Pulse:
        """How this process keeps its leases alive."""
        return Pulse(self._renew, self.lease, self.hard_limit, self.clock)

    def _renew(self, fences: "Sequence[Fence]", now: datetime) -> "Sequence[Fence]":
        sending = [one for one in fences if one.destination]
        reading = [one for one in fences if not one.destination]
        with self.database.begin() as session:
            held = consignments.heartbeat(session, sending, now, self.lease, self.hard_limit)
            return (*held, *jobs.heartbeat(session, reading, now, self.lease, self.hard_limit))


def make(
    settings: "Settings",
    eye: "Callable[[], Eye]",
    ring_deliver: "Callable[[Sequence[UUID]], object]",
) -> WorkerContext:
    """Make the context of this process; call it after the fork."""
    url = settings.database_url.get_secret_value()
    lanes = max(1, len(settings.archives) + 1)  # one more for destinations configured no longer
    return WorkerContext(
        settings=settings,
        database=Database(
            url, pool_size=CONNECTIONS_PER_LANE * lanes, application_name="carina-worker"
        ),
        owner=f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}",
        eye=eye,
        ring_deliver=ring_deliver,
        clock=now,
        software_version=software_version(),
    )


def now() -> datetime:
    """Return the time, aware, UTC."""
    return datetime.now(UTC)


def software_version() -> str:
    """Return the version that every draft and every association names."""
    try:
        return importlib.metadata.version("carina")
    except importlib.metadata.PackageNotFoundError:
        return "0+source"
