"""What the hospital runs and remembers: studies, jobs, their legal moves, audit events."""

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Any, Literal

from dicom.values import PacsNode, WebNode
from service.event_types import EventType as EventType  # noqa: PLC0414  (for those who look for it here)
from service.replaced import Replaced

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID


class StudyState(StrEnum):
    """Where a study stands."""

    COLLECTING = "COLLECTING"  # quiet period running
    CLOSED = "CLOSED"  # the job of the current revision exists
    HELD = "HELD"  # two patients, or changed pixels under one UID: no draft until a person acts
    NO_FILM = "NO_FILM"  # nothing in it that Carina reads


class Reception(StrEnum):
    """What an arriving instance was, when it was recorded."""

    FILM = "FILM"
    NOT_READ = "NOT_READ"
    OWN_RESULT = "OWN_RESULT"
    IDENTICAL = "IDENTICAL"
    REENCODED = "REENCODED"
    CORRECTED = "CORRECTED"
    QUARANTINED = "QUARANTINED"


class JobState(StrEnum):
    """Where a job stands (design section 1)."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    ENCODED = "ENCODED"  # results kept on disk; nothing has been sent
    SENDING = "SENDING"  # something may have been sent; a broken send stays here and is tried again
    SENT = "SENT"  # every object answered; proof outstanding
    DELIVERED = "DELIVERED"
    SKIPPED = "SKIPPED"
    FAILED = "FAILED"
    SHADOW = "SHADOW"
    SUPERSEDED = "SUPERSEDED"
    WITHDRAWN = "WITHDRAWN"


class Lane(IntEnum):
    """How urgent a study is; the lower number goes first."""

    STAT = 0
    URGENT = 1  # emergency department, intensive care
    ROUTINE = 2
    BACKFILL = 3  # old studies sent in bulk

    def __str__(self) -> str:
        return self.name.lower()


class JobCause(StrEnum):
    """Why a job exists."""

    NEW_STUDY = "NEW_STUDY"
    NEW_ACQUISITION = "NEW_ACQUISITION"
    CORRECTED_HEADER = "CORRECTED_HEADER"
    REPLAY = "REPLAY"
    WITHDRAWAL = "WITHDRAWAL"  # it reads nothing: it carries the notice that a draft is withdrawn


LEGAL_MOVES: "Mapping[JobState, frozenset[JobState]]" = {
    # A worker claims; a newer revision overtakes; the poison rule ends what kills its worker.
    # A person may withdraw anything that is, or may become, a draft.
    JobState.QUEUED: frozenset(
        {JobState.RUNNING, JobState.SUPERSEDED, JobState.FAILED, JobState.WITHDRAWN}
    ),
    # Given back (lease ran out, graceful stop) or finished one way or another. A running job whose
    # study changed is SUPERSEDED when it ends: the fence makes its late result worthless.
    JobState.RUNNING: frozenset(
        {
            JobState.QUEUED,
            JobState.ENCODED,
            JobState.SKIPPED,
            JobState.FAILED,
            JobState.SUPERSEDED,
            JobState.WITHDRAWN,
        }
    ),
    # Nothing has left the house yet, so a newer revision may still replace it unseen.
    JobState.ENCODED: frozenset(
        {
            JobState.SENDING,
            JobState.SHADOW,
            JobState.FAILED,
            JobState.SUPERSEDED,
            JobState.WITHDRAWN,
        }
    ),
    # Half of it may be in the archive: it is sent to the end even when the study has changed; the
    # next revision names what it replaces. Only a refusal or a withdrawal ends it.
    JobState.SENDING: frozenset({JobState.SENT, JobState.FAILED, JobState.WITHDRAWN}),
    # The archive says it is there, or says it is not: then the same bytes are sent again.
    JobState.SENT: frozenset({JobState.DELIVERED, JobState.SENDING, JobState.WITHDRAWN}),
    # redeliver sends the same bytes again.
    JobState.DELIVERED: frozenset({JobState.SENDING, JobState.WITHDRAWN}),
    # redeliver after a refusal, if encoded; half of it may be in an archive.
    JobState.FAILED: frozenset({JobState.SENDING, JobState.WITHDRAWN}),
    JobState.SHADOW: frozenset({JobState.WITHDRAWN}),
    JobState.SKIPPED: frozenset(),
    JobState.SUPERSEDED: frozenset(),
    JobState.WITHDRAWN: frozenset(),
}
"""The whole life of a job; ``replay`` is always a new job."""


@dataclass(frozen=True, slots=True)
class Job:
    """One reading of one revision of a study. ``attempt`` is the fence of every later write."""

    job_id: "UUID"
    study_instance_uid: str
    revision: int
    cause: JobCause
    state: JobState
    attempt: int
    queued_at: "datetime"
    replaces_job_id: "UUID | None" = None
    reason: str | None = None
    delivery_attempts: int = 0
    sent_at: "datetime | None" = None
    lane: Lane = Lane.ROUTINE


@dataclass(frozen=True, slots=True)
class JobFacts:
    """What a move leaves on its job; None keeps what stands there.

    ``reason_code`` is for counting, ``reason`` for a person; neither holds patient data.
    ``summary`` is the draft in words, for `show`. ``detail`` goes to the audit event only.
    """

    reason_code: str | None = None
    reason: str | None = None
    bundle: str | None = None
    stage_seconds: "Mapping[str, float] | None" = None
    summary: "Mapping[str, Any] | None" = None
    detail: "Mapping[str, Any]" = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fence:
    """Proof that the holder is the one working on a job: every write of a worker carries it.

    With a ``destination`` it is for the job's consignment to that destination only.
    """

    job_id: "UUID"
    attempt: int
    owner: str
    destination: str = ""


class Proof(StrEnum):
    """How an archive is made to say that it has what was sent."""

    AUTO = "auto"  # storage commitment where it is offered and works, else a query
    COMMITMENT = "commitment"  # storage commitment only (PS3.4 annex J)
    QUERY = "query"  # C-FIND, or QIDO-RS of a DICOMweb destination


@dataclass(frozen=True, slots=True)
class Destination:
    """One archive that drafts go to; ``name`` is what its queue is called.

    Written ``name=AET@host:port`` or ``name=https://…``, with options after semicolons.
    ``orthanc`` is the REST interface of an Orthanc that objects may be deleted through.
    """

    name: str
    to: PacsNode | WebNode
    proof: Proof = Proof.AUTO
    replaced: Replaced = Replaced.LEAVE
    orthanc: WebNode | None = None

    def __str__(self) -> str:
        options = "" if self.proof is Proof.AUTO else f";proof={self.proof}"
        options += "" if self.replaced is Replaced.LEAVE else f";replaced={self.replaced}"
        if self.orthanc is not None:
            file = self.orthanc.token_file
            options += f";orthanc={self.orthanc}" + (f";orthanc_token_file={file}" if file else "")
        if isinstance(self.to, WebNode):
            options += f";token_file={self.to.token_file}" if self.to.token_file else ""
        elif self.to.tls:
            options += ";tls"
        return f"{self.name}={self.to}{options}"


class CommitmentState(StrEnum):
    """Where a storage commitment transaction stands (PS3.4 annex J)."""

    REQUESTED = "REQUESTED"  # the archive took the request; its report is outstanding
    COMMITTED = "COMMITTED"  # it reported that it keeps every object
    PARTIAL = "PARTIAL"  # it reported objects that it does not keep
    EXPIRED = "EXPIRED"  # no report in time; asked again under a new transaction UID
    REFUSED = "REFUSED"  # it did not take the request
    NOT_OFFERED = "NOT_OFFERED"  # it does not know the service


EventActionCode = Literal["C", "R", "U", "D", "E"]
"""PS3.15 A.5.2.5."""

EventOutcome = Literal[0, 4, 8, 12]
"""PS3.15 A.5.2.5: success, minor, serious, major failure."""


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One row of the audit trail, in the words of PS3.15 A.5. ``detail`` never holds patient data.

    ``user_id`` is who did it: a calling AE title, a process name, an operator's login.
    """

    event_type: EventType
    event_action_code: EventActionCode
    event_outcome_indicator: EventOutcome
    user_id: str
    study_instance_uid: str | None = None
    sop_instance_uid: str | None = None
    job_id: "UUID | None" = None
    duration_ms: float | None = None
    detail: "Mapping[str, Any]" = field(default_factory=dict)
