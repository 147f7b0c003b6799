"""The status as Prometheus reads it; computed when asked, so that nothing can go stale."""

from collections import Counter
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily

from service import pulse
from service.destinations import Switch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from prometheus_client import Metric

    from service.status import Status


def exposition(status: "Status") -> bytes:
    """Return the metrics in Prometheus's text format."""
    registry = CollectorRegistry()
    registry.register(_Collector(status))
    return generate_latest(registry)


class _Collector:
    """One look at the status."""

    def __init__(self, status: "Status") -> None:
        self._status = status

    def collect(self) -> "Iterator[Metric]":
        """Yield every metric."""
        seen = self._status.overview
        yield _one("carina_health", "0 healthy, 1 degraded, 2 down", self._status.health)
        yield _many("carina_jobs", "Jobs by state; ended ones of one day", "state", seen.jobs)
        yield _many(
            "carina_studies", "Studies by state; ended ones of one day", "state", seen.studies
        )
        yield _many(
            "carina_check",
            "1: the thing the service depends on is there",
            "name",
            {check.name: int(check.is_well) for check in self._status.checks},
        )
        yield _many(
            "carina_part_restarts",
            "How often a part had to be started again",
            "part",
            {part.name: part.restarts for part in self._status.parts},
        )
        yield _one("carina_drafts_late", "Open drafts older than allowed", seen.late)
        yield _one("carina_oldest_open_seconds", "Age of the oldest open draft", self._oldest())
        yield _one(
            "carina_last_received_seconds",
            "How long ago the last film came",
            self._age(seen.last_received_at),
        )
        yield _many(
            "carina_processes_missed",
            "Processes that fell silent and that nobody has replaced",
            "role",
            Counter(gone.role for gone in pulse.missed(seen.processes)),
        )
        yield from self._lanes()
        yield from self._audit()
        yield from self._destinations()

    def _lanes(self) -> "Iterator[Metric]":
        """Yield how each lane stands."""
        seen = self._status.overview
        yield _many(
            "carina_lane_waiting",
            "Studies that wait for a worker, by lane",
            "lane",
            {one.lane: one.waiting for one in seen.lanes},
        )
        yield _many(
            "carina_lane_late",
            "Open drafts later than their lane allows",
            "lane",
            {one.lane: one.late for one in seen.lanes},
        )
        yield _many(
            "carina_lane_oldest_seconds",
            "How long the oldest study of a lane has waited for a worker",
            "lane",
            {one.lane: self._age(one.oldest_at) for one in seen.lanes},
        )

    def _audit(self) -> "Iterator[Metric]":
        """Yield how far the audit trail is sealed."""
        seen = self._status.overview
        yield _one("carina_audit_unsealed", "Audit events not sealed yet", seen.audit.unsealed)
        yield _one(
            "carina_audit_unsealed_seconds",
            "Age of the oldest audit event that is not sealed",
            self._age(seen.audit.oldest_unsealed_at),
        )

    def _destinations(self) -> "Iterator[Metric]":
        """Yield how each destination stands; failed ones of one day."""
        found = self._status.overview.destinations
        for name, meaning, value in (
            ("waiting", "Drafts not sent yet", lambda one: one.waiting),
            ("unproven", "Drafts sent, not vouched for yet", lambda one: one.unproven),
            ("failed", "Drafts given up within a day", lambda one: one.failed),
            ("oldest_seconds", "Age of the oldest open draft", lambda one: self._age(one.oldest)),
            ("held", "1: suspended or draining", lambda one: one.switch is not Switch.OPEN),
            (
                "resting",
                "1: the circuit breaker is open",
                lambda one: one.resting_since is not None,
            ),
            ("not_retired", "Drafts whose old objects did not go", lambda one: one.not_retired),
        ):
            values = {one.name: float(value(one)) for one in found}
            yield _many(f"carina_destination_{name}", meaning, "destination", values)

    def _oldest(self) -> float:
        return self._age(self._status.overview.oldest_open_at)

    def _age(self, moment: "datetime | None") -> float:
        return 0.0 if moment is None else (self._status.looked_at - moment).total_seconds()


def _one(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, meaning, value=value)


def _many(name: str, meaning: str, label: str, values: "Mapping[str, float]") -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, meaning, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
