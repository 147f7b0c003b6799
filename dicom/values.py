"""What crosses the border to DICOM: instances in, films chosen, result objects out.

Patient fields are ``repr=False`` wherever they are needed at all, so that no log line or
traceback can show them by accident.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NewType
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from datetime import date, datetime
    from pathlib import Path

    from models.vocabulary import ViewPosition

Uid = NewType("Uid", str)
"""A UID that passed :func:`dicom.uids.checked`: digits and dots, at most 64 (PS3.5 9)."""


@dataclass(frozen=True, slots=True)
class PacsNode:
    """A remote application entity; written ``AET@host:port``.

    ``tls``: it is spoken to through TLS (PS3.15 B.12). Its name is the same with and without: what
    was sent before a site turned TLS on is still proven afterwards.
    """

    ae_title: str
    host: str
    port: int
    tls: bool = False

    def __str__(self) -> str:
        return f"{self.ae_title}@{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class WebNode:
    """A DICOMweb service (PS3.18); written as the URL that ``/studies`` is appended to.

    ``token_file`` holds a bearer token; it is read when it is needed, so that it can be renewed.
    """

    url: str
    token_file: str = ""

    @property
    def host(self) -> str:
        """The host that the URL names."""
        return urlsplit(self.url).hostname or ""

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True)
class Caller:
    """One entry of the allow-list, ``AET@address``; ``*`` stands for any."""

    ae_title: str
    address: str

    def __str__(self) -> str:
        return f"{self.ae_title}@{self.address}"


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of an association."""

    calling_ae_title: str
    called_ae_title: str
    address: str


@dataclass(frozen=True, slots=True)
class InstanceRef:
    """Which instance: the four UIDs."""

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class PatientIdentity:
    """Who the patient is, as the header says; never shown, never logged."""

    patient_id: str = field(repr=False)
    issuer_of_patient_id: str = field(repr=False)
    patient_name: str = field(repr=False)
    patient_birth_date: str = field(repr=False)
    patient_sex: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a film comes from and how urgent it was asked for; "" where the header is silent.

    A location may name a ward and with it a patient's trouble: it is matched, never shown.
    """

    modality: str = ""
    station_name: str = ""
    institutional_department_name: str = ""
    current_patient_location: str = field(default="", repr=False)
    requested_procedure_location: str = field(default="", repr=False)
    requested_procedure_priority: str = ""
    study_date: "date | None" = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class FilmHeader:
    """What the header says about one instance, without pixels; None or "" where it is silent.

    ``is_candidate`` is True for the SOP classes that are read (CR, DX for presentation).
    ``acquisition`` groups processed copies of one exposure (see :mod:`dicom.choose`).
    """

    ref: InstanceRef
    modality: str
    is_candidate: bool
    view_position: str
    body_part_examined: str
    image_type: tuple[str, ...]
    presentation_intent_type: str
    patient_orientation: tuple[str, str] | None
    patient_age_years: float | None
    rows: int | None
    columns: int | None
    number_of_frames: int
    photometric_interpretation: str
    samples_per_pixel: int | None
    acquisition: str
    instance_number: int | None
    words: str = field(repr=False)
    """Descriptions, codes and protocol names of the exam, joined, for keyword rules. May hold
    free text, so it is treated as patient data."""
    source_sop_instance_uids: tuple[str, ...] = ()
    """The images this one says it was made from (Source Image Sequence)."""
    origin: Origin = field(default_factory=Origin, repr=False)


@dataclass(frozen=True, slots=True)
class ReceivedInstance:
    """One instance, durably in the spool under its final name.

    ``sha256`` is of the data set without group 2, as received. ``spool_path`` is absolute.
    """

    ref: InstanceRef
    transfer_syntax_uid: str
    peer: Peer
    spool_path: "Path"
    sha256: str
    size_bytes: int
    received_at: "datetime"
    patient: PatientIdentity
    header: FilmHeader


class Resend(StrEnum):
    """How a second instance under a known SOP Instance UID relates to the first (design rule 5)."""

    IDENTICAL = "IDENTICAL"
    REENCODED = "REENCODED"
    CORRECTED = "CORRECTED"
    PIXELS_DIFFER = "PIXELS_DIFFER"


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why one instance is not read; ``words`` are for a technologist, ``code`` for counting."""

    sop_instance_uid: str
    code: str
    words: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """One film to read, with what the header claims of its view (None = silent)."""

    header: FilmHeader
    view_position: "ViewPosition | None"
    remarks: tuple[str, ...] = ()
    """Shown in the draft: "view not stated in the header", "one of 2 processed copies" …"""


@dataclass(frozen=True, slots=True)
class Choice:
    """All films of a study to read, and every other instance with its reason."""

    films: tuple[Chosen, ...]
    rejected: tuple[Rejected, ...]


class ResultKind(StrEnum):
    """The objects of one result set, in the order they are sent: the SRs last."""

    ANATOMY_SEG = "anatomy"
    FINDING_SEG = "findings"
    PICTURES = "pictures"
    BOX_SR = "boxes"
    TEXT_SR = "text"


@dataclass(frozen=True, slots=True)
class ResultInstance:
    """One encoded result object: the bytes are final and never made again.

    ``content`` is the whole Part 10 file.
    """

    ref: InstanceRef
    kind: ResultKind
    number: int
    transfer_syntax_uid: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeptResult:
    """A result object on disk, ready to be streamed. ``sha256`` is of the whole file."""

    ref: InstanceRef
    kind: ResultKind
    number: int
    transfer_syntax_uid: str
    path: "Path"
    sha256: str


@dataclass(frozen=True, slots=True)
class ReplacedResult:
    """An object of an earlier revision that a newer one, or a withdrawal, takes the place of."""

    ref: InstanceRef
    kind: ResultKind
    number: int
    revision: int


@dataclass(frozen=True, slots=True)
class StoreOutcome:
    """What the archive answered for one object.

    ``status`` is None when no answer came. ``taken`` is False when the archive accepted no
    presentation context for the object (it was never offered for storage).
    """

    sop_instance_uid: str
    status: int | None
    error_comment: str | None
    taken: bool = True
