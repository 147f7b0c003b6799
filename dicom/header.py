"""Read headers: without pixels, without trust; garbage is always :class:`UndecodableInstance`."""

import struct
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_dataset, read_file_meta_info
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dicom import acquisition, contexts, origin, quiet, spool, uids
from dicom.errors import IdentityInvalid, InvalidUid, UndecodableInstance
from dicom.values import FilmHeader, InstanceRef, PatientIdentity, Peer, ReceivedInstance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from pydicom.dataset import Dataset
    from pydicom.tag import BaseTag

GARBAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""Everything that pydicom was seen to raise on bytes that are no data set."""

_INFLATED_HEADER_BYTES = 16 << 20
"""A deflated data set is inflated no further than this to find its header: a small file may
inflate to a thousand times its size."""

_GROUP_OF_PIXELS = 0x7FE0
_FREE_TEXT_MAX = 4096

_IDENTITY = ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID")
_PATIENT = (
    "PatientID",
    "IssuerOfPatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
)
_FILM = (
    "Modality",
    "ViewPosition",
    "BodyPartExamined",
    "ImageType",
    "PresentationIntentType",
    "PatientOrientation",
    "PatientAge",
    "StudyDate",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "PhotometricInterpretation",
    "SamplesPerPixel",
    "InstanceNumber",
)
_TEXTS = (
    "AcquisitionDeviceProcessingDescription",
    "SeriesDescription",
    "ProtocolName",
    "PerformedProcedureStepDescription",
    "RequestedProcedureDescription",
    "StudyDescription",
)
"""The most specific first: what it says outweighs what the later ones say (dicom.choose)."""
_CODES = (
    "ViewCodeSequence",
    "AnatomicRegionSequence",
    "RequestedProcedureCodeSequence",
    "ProcedureCodeSequence",
)
_KEYWORDS = (
    "SpecificCharacterSet",
    *_IDENTITY,
    *_PATIENT,
    *_FILM,
    *_TEXTS,
    *_CODES,
    *acquisition.KEYWORDS,
    *origin.KEYWORDS,
)
_TAGS = [int(Tag(keyword)) for keyword in _KEYWORDS]

WORDS_SEPARATOR = " | "


@dataclass(frozen=True, slots=True)
class InstanceHeader:
    """What one header says, sorted by who needs it."""

    ref: InstanceRef
    transfer_syntax_uid: str
    patient: PatientIdentity
    film: FilmHeader


def read(path: "Path") -> InstanceHeader:
    """Return what the header of a Part 10 file says.

    Raises
    ------
    UndecodableInstance
        If the file is not a data set (and :class:`IdentityInvalid` if it is one without legal
        UIDs); never anything else but an OSError of the file system.
    """
    try:
        with quiet.reading(), garbage_refused():
            transfer_syntax_uid, ds = _read_data_set(path)
            ref = _ref(ds)
            film = _film(ds, ref)
            return InstanceHeader(ref, transfer_syntax_uid, _patient(ds), film)
    except InvalidUid as error:
        raise IdentityInvalid("a UID is missing or illegal") from error


@contextmanager
def garbage_refused() -> "Iterator[None]":
    """Turn what pydicom raises on bytes that are no data set into :class:`UndecodableInstance`.

    The text of an error may quote the header, so only its class is kept. An OSError with a number
    is the file system's and passes; pydicom raises its own without.
    """
    try:
        yield
    except GARBAGE as error:
        raise UndecodableInstance(f"no data set: {type(error).__name__}") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise UndecodableInstance("no data set: it ends early") from None


def received_from_file(path: "Path", peer: Peer, received_at: "datetime") -> ReceivedInstance:
    """Return what a listener would have said of a file that lies in the spool already.

    Raises
    ------
    UndecodableInstance
        If the file is not a data set.
    """
    header = read(path)
    return ReceivedInstance(
        ref=header.ref,
        transfer_syntax_uid=header.transfer_syntax_uid,
        peer=peer,
        spool_path=path.absolute(),
        sha256=spool.digest(path),
        size_bytes=path.stat().st_size,
        received_at=received_at,
        patient=header.patient,
        header=header.film,
    )


def _read_data_set(path: "Path") -> "tuple[str, Dataset]":
    meta = read_file_meta_info(path)
    transfer_syntax_uid = uids.checked(meta.get("TransferSyntaxUID", ""))
    if str(transfer_syntax_uid) == DeflatedExplicitVRLittleEndian:
        return transfer_syntax_uid, _read_deflated(path)
    return transfer_syntax_uid, dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS))


def _read_deflated(path: "Path") -> "Dataset":
    with path.open("rb") as file:
        start = spool.data_set_start(file.read(256))
        file.seek(start or 0)
        head = zlib.decompressobj(-zlib.MAX_WBITS).decompress(file.read(), _INFLATED_HEADER_BYTES)
    return read_dataset(
        BytesIO(head),
        is_implicit_VR=False,
        is_little_endian=True,
        stop_when=_at_pixels,
        specific_tags=list(_TAGS),
    )


def _at_pixels(tag: "BaseTag", vr: str | None, length: int) -> bool:  # noqa: ARG001 - the callback
    return tag.group >= _GROUP_OF_PIXELS


def _text(ds: "Dataset", keyword: str) -> str:
    value = ds.get(keyword)
    return "" if value is None else str(value).replace("\0", "").strip()[:_FREE_TEXT_MAX]


def _number(ds: "Dataset", keyword: str) -> int | None:
    value = ds.get(keyword)
    return None if value is None or value == "" else int(value)


def _values(ds: "Dataset", keyword: str) -> tuple[str, ...]:
    value = ds.get(keyword)
    if value is None or value == "":
        return ()
    return (value,) if isinstance(value, str) else tuple(str(part) for part in value)


def _ref(ds: "Dataset") -> InstanceRef:
    study, series, sop_class, instance = (uids.checked(ds.get(name, "")) for name in _IDENTITY)
    return InstanceRef(study, series, sop_class, instance)


def _patient(ds: "Dataset") -> PatientIdentity:
    return PatientIdentity(*(_text(ds, keyword) for keyword in _PATIENT))


def _film(ds: "Dataset", ref: InstanceRef) -> FilmHeader:
    orientation = _values(ds, "PatientOrientation")
    return FilmHeader(
        ref=ref,
        modality=_text(ds, "Modality").upper(),
        is_candidate=ref.sop_class_uid in contexts.FILMS,
        view_position=_text(ds, "ViewPosition").upper(),
        body_part_examined=_text(ds, "BodyPartExamined").upper(),
        image_type=tuple(part.upper() for part in _values(ds, "ImageType")),
        presentation_intent_type=_text(ds, "PresentationIntentType").upper(),
        patient_orientation=(
            (orientation[0].strip().upper(), orientation[1].strip().upper())
            if len(orientation) == 2 and all(orientation)  # noqa: PLR2004 - of a row, of a column
            else None
        ),
        patient_age_years=acquisition.age_years(ds),
        rows=_lenient(_number, ds, "Rows"),
        columns=_lenient(_number, ds, "Columns"),
        number_of_frames=_lenient(_number, ds, "NumberOfFrames") or 1,
        photometric_interpretation=_text(ds, "PhotometricInterpretation").upper(),
        samples_per_pixel=_lenient(_number, ds, "SamplesPerPixel"),
        acquisition=acquisition.key(ds),
        instance_number=_lenient(_number, ds, "InstanceNumber"),
        words=WORDS_SEPARATOR.join(_words(ds)),
        source_sop_instance_uids=acquisition.sources(ds),
        origin=origin.read(ds),
    )


def _lenient(
    read_value: "Callable[[Dataset, str], int | None]", ds: "Dataset", keyword: str
) -> int | None:
    """Return a number, or None for one that is not a number: the header is then silent on it."""
    try:
        return read_value(ds, keyword)
    except GARBAGE:
        return None


def _words(ds: "Dataset") -> "Iterator[str]":
    for keyword in _CODES[:2]:
        yield from _meanings(ds, keyword)
    for keyword in _TEXTS:
        if text := _text(ds, keyword):
            yield text
    for keyword in _CODES[2:]:
        yield from _meanings(ds, keyword)


def _meanings(ds: "Dataset", keyword: str) -> "Iterator[str]":
    for item in ds.get(keyword) or ():
        if text := _text(item, "CodeMeaning"):
            yield text
