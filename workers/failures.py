"""What to do about each thing that can go wrong in a step: one table, and the one border.

Every error class of every floor has its row here (a test sees to it), with the words an
administrator reads. An error that is not in the table is a bug: the job fails with the name of
its class, never with its text, which may hold anything.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import structlog
from billiard.exceptions import SoftTimeLimitExceeded
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from dicom import errors as dicom_errors
from models import errors as model_errors
from service import errors as service_errors

if TYPE_CHECKING:
    from uuid import UUID

log = structlog.get_logger(__name__)


class Remedy(StrEnum):
    """What becomes of the job."""

    RETRY = "RETRY"  # given back; a later attempt may succeed
    FAIL = "FAIL"  # dead letter with its cause
    SKIP = "SKIP"  # nothing to read here, and that is an answer
    LEAVE = "LEAVE"  # nothing may or can be written: the lease runs out and the sweep acts


@dataclass(frozen=True, slots=True)
class Treatment:
    """The remedy, and the words an administrator reads."""

    remedy: Remedy
    words: str


def _retry(words: str) -> Treatment:
    return Treatment(Remedy.RETRY, words)


def _fail(words: str) -> Treatment:
    return Treatment(Remedy.FAIL, words)


def _skip(words: str) -> Treatment:
    return Treatment(Remedy.SKIP, words)


def _leave(words: str) -> Treatment:
    return Treatment(Remedy.LEAVE, words)


TABLE: Mapping[type[BaseException], Treatment] = {
    # models
    model_errors.ModelError: _fail("the network could not work on this film"),
    model_errors.EmptyBox: _fail("the network drew a box without area"),
    model_errors.UnreadableImage: _skip("the picture cannot be read as a radiograph"),
    model_errors.BundleError: _fail("the network's bundle cannot be used"),
    model_errors.BundleMissing: _fail("the network's bundle is not there: see CARINA_BUNDLES"),
    model_errors.BundleInvalid: _fail("the network's bundle is not valid: carina models verify"),
    model_errors.WeightsMismatch: _fail("the network's weights differ: carina models verify"),
    model_errors.LibraryMissing: _fail("a library that this step needs is not installed"),
    model_errors.OutputsNotFinite: _fail("the network computed what is not a number"),
    model_errors.DeviceUnavailable: _fail("the network's device is not there: see CARINA_DEVICE"),
    model_errors.GpuOutOfMemory: _retry("the accelerator has no memory left for one film"),
    # dicom
    dicom_errors.DicomError: _fail("the study could not be handled"),
    dicom_errors.InvalidUid: _fail("an instance carries something that is not a UID"),
    dicom_errors.UndecodableInstance: _skip("the file cannot be decoded"),
    dicom_errors.IdentityInvalid: _fail("an instance does not say which instance it is"),
    dicom_errors.UnsupportedPixelData: _skip("the pixel data is of a kind that is not read"),
    dicom_errors.PixelDataMismatch: _skip("the pixel data does not match its description"),
    dicom_errors.SpoolUnavailable: _retry("the spool cannot be used: disk full or failing"),
    dicom_errors.IntakeUnavailable: _retry("the instance could not be recorded"),
    dicom_errors.SpooledFileDamaged: _fail(
        "a received file has changed on disk: send the study again, then replay it"
    ),
    dicom_errors.EncodingFailed: _fail("a result object could not be built"),
    dicom_errors.CertificateUnusable: _retry("a file of TLS cannot be used: see carina check"),
    dicom_errors.DeletionRefused: _fail("the archive does not delete"),
    dicom_errors.DeliveryError: _fail("the results could not be delivered"),
    dicom_errors.AssociationFailed: _retry("no association with the archive"),
    dicom_errors.StoreRefused: _fail("the archive refused an object"),
    dicom_errors.KeptResultDamaged: _fail("a kept result is gone or has changed on disk"),
    dicom_errors.NotProven: _retry("the archive does not say that it has the objects"),
    dicom_errors.QueryNotOffered: _retry("the archive cannot be asked what it has"),
    # service
    service_errors.ServiceError: _fail("the service could not work on this job"),
    service_errors.SettingsInvalid: _fail("the settings are not valid"),
    service_errors.IllegalTransition: _leave("the job was moved on by somebody else"),
    service_errors.FenceLost: _leave("somebody else works on this job now"),
    service_errors.UnknownStudy: _fail("the study of this job is unknown"),
    service_errors.UnknownDestination: _leave("the destination is unknown"),
    service_errors.NothingToDeliver: _fail("the job has no kept results"),
    service_errors.NothingToWithdraw: _leave("the study has no draft to withdraw"),
    service_errors.NothingToRead: _fail("the study has nothing that could be read again"),
    service_errors.CorrectionRefused: _leave("the correction contradicts what holds already"),
    service_errors.UnknownCorrection: _leave("the correction is unknown"),
    service_errors.MessageRefused: _leave("the message was answered with an error"),
    service_errors.StudyHeld: _fail("the study is held until a person has looked at it"),
    service_errors.StartFailed: _leave("a part of the installation did not start"),
    service_errors.DatabaseNotDurable: _leave("the database may lose what it confirmed"),
    service_errors.DatabaseNotMigrated: _leave("the database needs carina db upgrade"),
    service_errors.UpgradeRefused: _fail("a process runs that cannot live with the new tables"),
    service_errors.AuditBroken: _leave("the audit trail does not verify"),
    service_errors.EmbeddedServerFailed: _leave("an embedded server is not running"),
    # the world
    SQLAlchemyError: _fail("the database did not accept what was to be written"),
    OperationalError: _leave("the database cannot be reached, or is too busy"),
    InterfaceError: _leave("the connection to the database is gone"),
    PoolTimeout: _leave("no connection to the database became free"),
    SoftTimeLimitExceeded: _retry("the job took longer than allowed"),
    MemoryError: _retry("the worker ran out of memory"),
    OSError: _retry("a file could not be read or written"),
}


def treatment(error: BaseException) -> Treatment:
    """Return the row of the nearest class in the table; a bug fails the job under its name."""
    for cls in type(error).__mro__:
        if cls in TABLE:
            return TABLE[cls]
    return _fail("unexpected error, a defect of Carina")


def reason(error: BaseException) -> str:
    """Return the words for an administrator, with the text of our own errors only.

    The text of a foreign error may repeat values of a header, so it is not shown.
    """
    words = treatment(error).words
    ours = (model_errors.ModelError, dicom_errors.DicomError, service_errors.ServiceError)
    detail = str(error) if isinstance(error, ours) else ""
    return f"{words} ({type(error).__name__}{': ' if detail else ''}{detail})"


@contextlib.contextmanager
def contained(
    job_ids: "Sequence[UUID]", end: Callable[[Exception, Treatment], None]
) -> Iterator[None]:
    """Keep what goes wrong with these jobs from touching any other: the border of a task.

    ``end`` writes down what becomes of them; what goes wrong there is left to the lease. Only
    the word that time is up goes on to the task, once it is written down.
    """
    try:
        yield
    except Exception as error:  # one of the three borders: the task must go on
        how = treatment(error)
        names = [str(job_id) for job_id in job_ids]
        log.warning("job_step_failed", job_ids=names, error=type(error).__name__, remedy=how.remedy)
        if how.remedy is not Remedy.LEAVE:
            _write_down(names, end, error, how)
        if isinstance(error, SoftTimeLimitExceeded):
            raise


def _write_down(
    names: "Sequence[str]",
    end: Callable[[Exception, Treatment], None],
    error: Exception,
    how: Treatment,
) -> None:
    try:
        end(error, how)
    except (SQLAlchemyError, service_errors.FenceLost, service_errors.IllegalTransition) as second:
        log.warning("jobs_left_to_their_lease", job_ids=names, error=type(second).__name__)
