"""Ring the bell: tell workers, after a commit, that there is something to do.

Messages carry ids, never pixels and never patients. Ringing never fails for the caller: what is
not heard now is rung again by the sweep.
"""

import threading
from typing import TYPE_CHECKING, Final

import structlog
from celery import Celery
from kombu.exceptions import ChannelError, KombuError, OperationalError

from service.celery_settings import ANALYSE, CONNECT_S, DELIVER, ROUTES, celery_settings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from service.settings import Settings

AT_ONCE_OR_NEVER = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
"""Kombu would try for six seconds before it says that there is no broker."""

ENOUGH: Final = 100
"""Bells of one kind that may wait in Valkey, which holds them in memory.

Whoever hears one does all that is due, so while everybody is busy more bells than workers are for
nothing: in a soak 15,000 had piled up behind 8,500 studies.
"""

log = structlog.get_logger(__name__)


class Bell:
    """Sends task messages; make it after a fork. Threads may share it."""

    def __init__(self, settings: "Settings") -> None:
        self._app = Celery("carina-bell", set_as_current=False)
        self._app.conf.update(celery_settings(settings))
        options = self._app.conf.broker_transport_options | AT_ONCE_OR_NEVER
        self._is_valkey = "visibility_timeout" in options
        if self._is_valkey:
            # Only here: a worker's connection waits for messages, one that rings does not.
            options["socket_timeout"] = CONNECT_S
        self._app.conf.broker_transport_options = options
        self._lock = threading.Lock()

    def ring_analyse(self, job_ids: "Iterable[UUID]") -> bool:
        """Ring for jobs that are queued; return whether the broker took every message."""
        return self._ring(ANALYSE, job_ids)

    def ring_deliver(self, job_ids: "Iterable[UUID]") -> bool:
        """Ring for jobs that have to be sent; return whether the broker took every message."""
        return self._ring(DELIVER, job_ids)

    def close(self) -> None:
        """Close the connection to the broker."""
        self._app.close()

    def _ring(self, task: str, job_ids: "Iterable[UUID]") -> bool:
        wanted = tuple(job_ids)
        if not wanted:
            return True
        with self._lock:
            try:
                for job_id in wanted[: self._room(task)]:
                    self._app.send_task(task, args=(str(job_id),), retry=False)
            except (OperationalError, KombuError, OSError) as error:
                # Its text may show the broker's address with the password.
                log.warning("bell_not_heard", task=task, error=type(error).__name__)
                return False
        return True

    def _room(self, task: str) -> int | None:
        """Return how many more bells may wait for a task; None: as many as there are."""
        if not self._is_valkey:
            return None
        with self._app.producer_or_acquire() as producer:
            try:
                found = producer.channel.queue_declare(queue=ROUTES[task]["queue"], passive=True)
            except ChannelError:  # an empty list is none at all
                return ENOUGH
            return max(0, ENOUGH - int(found.message_count))
