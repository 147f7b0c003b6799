"""What can go wrong at the border to DICOM.

::

    DicomError
    ├── InvalidUid               not digits and dots, or longer than 64
    ├── UndecodableInstance      the bytes are not a data set, or lack what every instance has
    │   └── IdentityInvalid      UIDs missing, illegal, or not those the sender announced
    ├── UnsupportedPixelData     pixel data that cannot, or must not, be read
    │   └── PixelDataMismatch    pixel data that does not match its own description
    ├── SpoolUnavailable         the spool cannot take bytes: full, read-only, failing
    ├── IntakeUnavailable        the instance cannot be recorded now: the database is down
    ├── EncodingFailed           a result object could not be built
    ├── CertificateUnusable      a file of TLS is missing, damaged, or does not fit the others
    ├── DeletionRefused          the archive does not delete what it is asked to delete
    └── DeliveryError
        ├── AssociationFailed    no association: down, refused, cut, timed out      (try again)
        ├── StoreRefused         a status that will not change by itself            (dead letter)
        ├── KeptResultDamaged    our own copy is gone or changed on disk            (dead letter)
        └── NotProven            sent, but the archive does not say it has it       (try again)
            └── QueryNotOffered  the archive cannot be asked what it has            (ask again)
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom.values import StoreOutcome


class DicomError(Exception):
    """Root of everything the dicom package raises."""


class InvalidUid(DicomError):
    """Not a UID (PS3.5 section 9). The value is not repeated: it may hold anything."""


class UndecodableInstance(DicomError):
    """The bytes are not a data set, or lack what every instance has."""


class IdentityInvalid(UndecodableInstance):
    """UIDs missing, illegal, or not those the sender announced in the command set."""


class UnsupportedPixelData(DicomError):
    """Pixel data that cannot, or must not, be read."""


class PixelDataMismatch(UnsupportedPixelData):
    """Pixel data that does not match its own description."""


class SpoolUnavailable(DicomError):
    """The spool cannot take bytes: full, read-only, failing."""


class IntakeUnavailable(DicomError):
    """The instance cannot be recorded now; the sender keeps it and tries again."""


class SpooledFileDamaged(DicomError):
    """A file of the spool is no longer the bytes that were received."""


class EncodingFailed(DicomError):
    """A result object could not be built."""


class CertificateUnusable(DicomError):
    """A certificate, a key or the authorities cannot be used; the message names the file."""


class DeletionRefused(DicomError):
    """The archive does not delete what it is asked to delete: a person must."""


class DeliveryError(DicomError):
    """Root of what can go wrong on the way to the archive."""


class AssociationFailed(DeliveryError):
    """No association, or it broke: worth another try.

    ``outcomes`` are the answers that came before it broke.
    """

    def __init__(self, message: str, outcomes: "Sequence[StoreOutcome]" = ()) -> None:
        super().__init__(message)
        self.outcomes = tuple(outcomes)


class StoreRefused(DeliveryError):
    """The archive refused with a status that will not change by itself."""

    def __init__(self, status: int, comment: str | None) -> None:
        super().__init__(f"refused with status 0x{status:04X}")
        self.status = status
        self.comment = comment


class KeptResultDamaged(DeliveryError):
    """Our own copy of a result is gone, or is no longer the bytes that were kept."""


class NotProven(DeliveryError):
    """Sent, but the archive does not say that it has it: worth another try."""


class QueryNotOffered(NotProven):
    """The archive offers no query, or fails it: what it has cannot be asked now."""
