"""What can go wrong in the running service.

::

    ServiceError
    ├── SettingsInvalid       the settings contradict themselves; every fault is named
    ├── IllegalTransition     a job was asked to make a move that the table does not know
    ├── FenceLost             somebody else works on this job now: stop, write nothing
    ├── UnknownStudy          no such study
    ├── UnknownDestination    no such destination
    ├── StudyHeld             the study is held: a person must resolve that first
    ├── NothingToRead         replay was asked for a study without anything that is read
    ├── NothingToDeliver      redeliver was asked for a job without kept results
    ├── CorrectionRefused     a correction of a patient contradicts what holds already
    ├── UnknownCorrection     no such correction of a patient
    ├── MessageRefused        a message about patients is answered with an error
    ├── NothingToWithdraw     withdraw was asked for a study without a draft
    ├── DatabaseNotDurable    Postgres runs without fsync: refuse to start
    ├── DatabaseNotMigrated   the schema is not at this version's head
    ├── AuditBroken           the audit trail does not verify
    ├── EmbeddedServerFailed  Postgres or Valkey could not be started or adopted
    └── StartFailed           a part of the installation did not start; the fault is named
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from service.values import JobState


class ServiceError(Exception):
    """Root of everything the service package raises."""


class SettingsInvalid(ServiceError):
    """The settings contradict themselves; ``faults`` names every one."""

    def __init__(self, faults: "Sequence[str]") -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class IllegalTransition(ServiceError):
    """A job was asked to make a move that the table does not know."""

    def __init__(self, job_id: "UUID", old: "JobState", new: "JobState") -> None:
        super().__init__(f"job {job_id}: {old} -> {new} is not a legal move")


class FenceLost(ServiceError):
    """Somebody else works on this job now: stop, and write nothing."""


class UnknownStudy(ServiceError):
    """No such study."""


class UnknownDestination(ServiceError):
    """No such destination."""


class StudyHeld(ServiceError):
    """The study is held (two patients, changed pixels): a person must resolve that first."""


class NothingToRead(ServiceError):
    """Replay was asked for a study without anything that is read."""


class NothingToDeliver(ServiceError):
    """Redeliver was asked for a study without kept results."""


class NothingToWithdraw(ServiceError):
    """Withdraw was asked for a study that has no draft, or whose drafts are withdrawn."""


class CorrectionRefused(ServiceError):
    """A correction of a patient contradicts what holds already."""


class UnknownCorrection(ServiceError):
    """No such correction of a patient."""


class MessageRefused(ServiceError):
    """A message about patients is answered with an error: ``answer`` is AE or AR.

    The reason goes to the sender and into the audit trail; it holds no patient data.
    """

    def __init__(self, answer: str, reason: str) -> None:
        super().__init__(reason)
        self.answer = answer
        self.reason = reason


class DatabaseNotDurable(ServiceError):
    """Postgres runs without fsync: an answered success would be a lie."""


class DatabaseNotMigrated(ServiceError):
    """The schema is not at this version's head."""


class UpgradeRefused(ServiceError):
    """A process runs that could not live with the new tables."""


class AuditBroken(ServiceError):
    """The audit trail does not verify."""


class EmbeddedServerFailed(ServiceError):
    """Postgres or Valkey could not be started or adopted."""


class StartFailed(ServiceError):
    """A part of the installation did not start; the message names the fault and the remedy."""
