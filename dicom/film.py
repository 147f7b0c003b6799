"""Make legal CR and DX films out of arrays: for the demo, for tests, for load.

UIDs derive from a seed, so the same seed makes the same instance, and two seeds never clash.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
)

from dicom import quiet, uids
from dicom.errors import EncodingFailed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_EIGHT_BITS = 8
_SIXTEEN_BITS = 16


class FilmKind(StrEnum):
    """The two SOP classes that are read."""

    CR = "CR"
    DX = "DX"


_VIEWS = {
    "PA": ("399348003", "postero-anterior"),
    "AP": ("399067008", "antero-posterior"),
    "LL": ("399173006", "left lateral"),
    "RL": ("399198007", "right lateral"),
}
"""View codes (PS3.16 CID 4010)."""

_SOP_CLASSES = {
    FilmKind.CR: ComputedRadiographyImageStorage,
    FilmKind.DX: DigitalXRayImageStorageForPresentation,
}


SILENT: "Mapping[str, None]" = dict.fromkeys(
    (
        "AcquisitionDate",
        "AcquisitionDeviceProcessingCode",
        "AcquisitionDeviceProcessingDescription",
        "BodyPartExamined",
        "Laterality",
        "PatientAge",
        "PatientBirthDate",
        "PatientOrientation",
        "ProtocolName",
        "SeriesDescription",
        "StudyDescription",
        "ViewPosition",
    )
)
"""Overrides for :func:`fresh_copy` that make a header say nothing of part, view and age."""


@dataclass(frozen=True, slots=True)
class FilmPatient:
    """An invented patient. Names may be in any script: the character set is ISO_IR 192."""

    patient_id: str = field(default="DEMO-1", repr=False)
    patient_name: str = field(default="Demo^Film", repr=False)
    patient_birth_date: str = field(default="19600101", repr=False)
    patient_sex: str = field(default="O", repr=False)
    patient_age: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class FilmDescription:
    """Everything about a film except its pixels; an empty string or None leaves it out.

    ``study`` names the study: two films with the same ``study`` share one Study Instance UID; by
    default every film is its own study. Spacings are mm, (between rows, between columns); DX
    needs the one at the detector plane (Imager Pixel Spacing is type 1 there, PS3.3 C.8.11.4).
    """

    seed: str
    kind: FilmKind = FilmKind.CR
    study: str = ""
    patient: FilmPatient = field(default_factory=FilmPatient)
    view_position: str = "PA"
    body_part_examined: str = "CHEST"
    photometric_interpretation: str = "MONOCHROME2"
    bits_stored: int = 12
    pixel_spacing_mm: tuple[float, float] | None = None
    imager_pixel_spacing_mm: tuple[float, float] | None = (0.143, 0.143)
    patient_orientation: tuple[str, str] | None = ("L", "F")
    study_description: str = ""
    series_description: str = ""
    series_number: int = 1
    instance_number: int = 1
    accession_number: str = ""
    acquired_at: datetime = datetime(2026, 1, 2, 10, 30, 15, tzinfo=UTC)


def from_pixels(
    pixels: "NDArray[np.uint8] | NDArray[np.uint16]", description: FilmDescription
) -> Dataset:
    """Return a CR or DX data set of what ``pixels`` shows.

    ``pixels`` is (rows, columns), bright = dense, on the full scale of its type; it is scaled to
    ``bits_stored`` and, for MONOCHROME1, turned over, so that the film looks the same.

    Raises
    ------
    EncodingFailed
        If the array is no film, or a DX has no Imager Pixel Spacing.
    """
    if pixels.ndim != 2 or pixels.dtype not in (np.uint8, np.uint16):  # noqa: PLR2004 - a grid
        raise EncodingFailed("a film is made of a (rows, columns) array of uint8 or uint16")
    if description.kind is FilmKind.DX and description.imager_pixel_spacing_mm is None:
        raise EncodingFailed("a DX needs Imager Pixel Spacing")
    ds = Dataset()
    _add_patient(ds, description.patient)
    _add_study(ds, description)
    _add_acquisition(ds, description)
    if description.kind is FilmKind.DX:
        _add_dx(ds)
    _add_pixels(ds, pixels, description)
    _add_file_meta(ds)
    return ds


def fresh_copy(path: "Path", *, seed: str, overrides: "Mapping[str, object]") -> Dataset:
    """Return a copy of a film file under new UIDs.

    ``overrides`` maps keywords to values; None deletes the attribute (to make a header silent).
    """
    with quiet.reading():
        ds = dcmread(path)
        ds.decode()
    ds.StudyInstanceUID = uids.for_film(seed, "study")
    ds.SeriesInstanceUID = uids.for_film(seed, "series")
    ds.SOPInstanceUID = uids.for_film(seed, "instance")
    for keyword, value in overrides.items():
        if value is not None:
            setattr(ds, keyword, value)
        elif keyword in ds:
            delattr(ds, keyword)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    return ds


def encode(ds: Dataset) -> bytes:
    """Return the data set as a Part 10 file (PS3.10 7.1)."""
    buffer = BytesIO()
    with quiet.reading():
        ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _add_patient(ds: Dataset, patient: FilmPatient) -> None:
    ds.SpecificCharacterSet = "ISO_IR 192"  # UTF-8
    ds.PatientName = patient.patient_name
    ds.PatientID = patient.patient_id
    ds.PatientBirthDate = patient.patient_birth_date
    ds.PatientSex = patient.patient_sex
    if patient.patient_age:
        ds.PatientAge = patient.patient_age


def _add_study(ds: Dataset, description: FilmDescription) -> None:
    study = description.study or description.seed
    ds.StudyInstanceUID = uids.for_film(study, "study")
    ds.SeriesInstanceUID = uids.for_film(description.seed, "series")
    ds.SOPInstanceUID = uids.for_film(description.seed, "instance")
    ds.SOPClassUID = _SOP_CLASSES[description.kind]
    ds.Modality = description.kind.value
    ds.StudyDate = ds.SeriesDate = ds.ContentDate = f"{description.acquired_at:%Y%m%d}"
    ds.StudyTime = ds.SeriesTime = ds.ContentTime = f"{description.acquired_at:%H%M%S}"
    ds.AcquisitionDate, ds.AcquisitionTime = ds.ContentDate, f"{description.acquired_at:%H%M%S.%f}"
    ds.AccessionNumber = description.accession_number
    ds.ReferringPhysicianName = ""
    ds.StudyID = ""
    ds.Manufacturer = "Carina"
    ds.SeriesNumber = description.series_number
    ds.InstanceNumber = description.instance_number
    if description.study_description:
        ds.StudyDescription = description.study_description
    if description.series_description:
        ds.SeriesDescription = description.series_description


def _add_acquisition(ds: Dataset, description: FilmDescription) -> None:
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.BodyPartExamined = description.body_part_examined
    if description.body_part_examined != "CHEST":
        ds.Laterality = ""  # type 2C: asked for where the part may be paired
    ds.ViewPosition = description.view_position
    ds.PatientOrientation = list(description.patient_orientation or ())
    if description.pixel_spacing_mm is not None:
        ds.PixelSpacing = list(description.pixel_spacing_mm)
    if description.imager_pixel_spacing_mm is not None:
        ds.ImagerPixelSpacing = list(description.imager_pixel_spacing_mm)
    ds.BurnedInAnnotation = "NO"
    ds.LossyImageCompression = "00"


def _coded(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _add_dx(ds: Dataset) -> None:
    """Add what the DX IOD wants beyond the CR one (PS3.3 A.26)."""
    ds.ImageType = ["ORIGINAL", "PRIMARY", ""]
    ds.PresentationIntentType = "FOR PRESENTATION"
    ds.ImageLaterality = "U"
    ds.AnatomicRegionSequence = [_coded("51185008", "SCT", "Chest")]
    ds.AcquisitionContextSequence = []
    ds.DetectorType = "DIRECT"
    ds.PositionerType = ""
    if ds.ViewPosition in _VIEWS:
        value, meaning = _VIEWS[ds.ViewPosition]
        view = _coded(value, "SCT", meaning)
        view.ViewModifierCodeSequence = []
        ds.ViewCodeSequence = [view]
    ds.PixelIntensityRelationship = "LOG"
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = 0, 1, "US"


def _add_pixels(
    ds: Dataset, pixels: "NDArray[np.uint8] | NDArray[np.uint16]", description: FilmDescription
) -> None:
    top = (1 << description.bits_stored) - 1
    full = np.iinfo(pixels.dtype).max
    stored = np.rint(pixels.astype(np.float64) * (top / full))
    dark_is_high = description.photometric_interpretation == "MONOCHROME1"
    stored = top - stored if dark_is_high else stored
    wide = description.bits_stored > _EIGHT_BITS
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = description.photometric_interpretation
    ds.Rows, ds.Columns = pixels.shape
    ds.BitsAllocated = _SIXTEEN_BITS if wide else _EIGHT_BITS
    ds.BitsStored = description.bits_stored
    ds.HighBit = description.bits_stored - 1
    ds.PixelRepresentation = 0
    ds.WindowCenter, ds.WindowWidth = (top + 1) / 2, top + 1
    if description.kind is FilmKind.DX:
        ds.PresentationLUTShape = "INVERSE" if dark_is_high else "IDENTITY"
        ds.PixelIntensityRelationshipSign = 1 if dark_is_high else -1
    data = stored.astype("<u2" if wide else "u1").tobytes()
    ds.add_new("PixelData", "OW" if wide else "OB", data + b"\0" * (len(data) % 2))


def _add_file_meta(ds: Dataset) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(uids.IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = uids.IMPLEMENTATION_VERSION_NAME
    ds.file_meta = meta
