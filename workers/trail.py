"""The audit events of a worker's steps, in the words of the audit trail; no patient data."""

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from service.values import AuditEvent, EventType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dicom.drafts import FilmDraft
    from dicom.values import Rejected
    from models.values import ModelIdentity
    from service.values import Job
    from workers.films import Film

MILLISECONDS: Final = 1000.0
MINOR_FAILURE: Final = 4  # PS3.15 A.5.2.5


class Trail:
    """Makes the events of one worker about one job."""

    def __init__(self, job: "Job", owner: str) -> None:
        self._job = job
        self._owner = owner

    def chosen(self, films: "Iterable[Film]") -> AuditEvent:
        """Tell which films of a study are read, and what was remarked about each."""
        remarks = {film.sop_instance_uid: list(film.remarks) for film in films}
        return self._event(EventType.FILMS_CHOSEN, {"films": remarks})

    def rejected(self, turned_away: "Iterable[Rejected]") -> "Iterator[AuditEvent]":
        """Tell why each other instance is not read."""
        for one in turned_away:
            event = self._event(EventType.FILM_REJECTED, {"code": one.code, "words": one.words})
            yield replace(event, sop_instance_uid=one.sop_instance_uid)

    def analysed(self, drafts: "Iterable[FilmDraft]") -> "Iterator[AuditEvent]":
        """Tell what was read with which weights, for how long, and what the gates held back."""
        for draft in drafts:
            analysis = draft.analysis
            detail = {
                "models": [identity(model) for model in analysis.models],
                "findings": dict(Counter(one.presence.value for one in analysis.findings)),
                "partial_reason": analysis.partial_reason,
            }
            yield replace(
                self._event(EventType.ANALYSED, detail),
                sop_instance_uid=draft.sop_instance_uid,
                duration_ms=sum(analysis.stage_seconds.values()) * MILLISECONDS,
            )
            yield from self._withheld(draft)

    def override_used(self, destination: str, use: str) -> AuditEvent:
        """Tell that only the explicit override lets this bundle deliver to this archive."""
        detail = {"destination": destination, "use": use}
        return self._event(EventType.DEMO_OVERRIDE_USED, detail)

    def sending_failed(self, destination: str, reason: str) -> AuditEvent:
        """Tell that the line broke or was never there; it will be tried again."""
        detail = {
            "destination": destination,
            "reason": reason,
            "tries": self._job.delivery_attempts,
        }
        event = self._event(EventType.SENDING_FAILED, detail)
        return replace(event, event_outcome_indicator=MINOR_FAILURE)

    def _withheld(self, draft: "FilmDraft") -> "Iterator[AuditEvent]":
        for one in draft.analysis.withheld:
            detail = {"gate": one.gate, "line": one.line, "finding_id": one.finding_id}
            event = self._event(EventType.GATE_WITHHELD, detail)
            yield replace(event, sop_instance_uid=draft.sop_instance_uid)

    def _event(self, event_type: EventType, detail: "Mapping[str, Any]") -> AuditEvent:
        return AuditEvent(
            event_type=event_type,
            event_action_code="E",  # executed, PS3.15 A.5.2.5
            event_outcome_indicator=0,
            user_id=self._owner,
            study_instance_uid=self._job.study_instance_uid,
            job_id=self._job.job_id,
            detail=detail,
        )


def identity(model: "ModelIdentity") -> dict[str, str]:
    """Return which weights, as JSON."""
    return {
        "name": model.name,
        "version": model.version,
        "weights_sha256": model.weights_sha256,
        "use": model.use.value,
    }
