"""What every result object has in common: patient and study, equipment, dates, encoding.

highdicom builds the objects from a *stand-in* of the film's header that holds only what building
needs. The patient and study attributes are then copied from the film itself, value by value: so
odd dates, several character sets and site-specific identifiers survive unchanged, and nothing in
a header can make the building fail.
"""

from dataclasses import dataclass
from datetime import UTC, timedelta, timezone
from io import BytesIO
from typing import TYPE_CHECKING, Final

from highdicom import AlgorithmIdentificationSequence, ContributingEquipment
from pydicom import Dataset, FileMetaDataset, config, dcmwrite
from pydicom.uid import UID, ExplicitVRLittleEndian
from pydicom.valuerep import DT

from dicom import codes, explicit, inherited, quiet, uids
from dicom.drafts import use_of
from dicom.errors import EncodingFailed
from dicom.values import InstanceRef, ResultInstance, ResultKind
from dicom.words import ascii_only, shortened
from models.vocabulary import BundleUse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pydicom.sr.coding import Code

    from dicom.drafts import FilmDraft, ResultContext
    from models.values import ModelIdentity

MANUFACTURER: Final = "Carina"
MODEL: Final = "Carina"
SERIAL_NUMBER: Final = "none"
DEVICE_UID: Final = uids.IMPLEMENTATION_CLASS_UID
LO_MAX: Final = 64
SERIES_NUMBER_BASE: Final = 9000
SERIES_PER_REVISION: Final = 10
_SERIES_ORDER: Final = (
    ResultKind.TEXT_SR,
    ResultKind.BOX_SR,
    ResultKind.FINDING_SEG,
    ResultKind.ANATOMY_SEG,
    ResultKind.PICTURES,
)


def stand_in(draft: "FilmDraft") -> Dataset:
    """Return a clean header of the film: its UIDs, its grid, nothing that could be odd.

    Raises
    ------
    EncodingFailed
        If a UID is illegal, or the grid does not match the film that was analysed.
    """
    source = draft.source
    header = Dataset()
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        setattr(header, keyword, uids.checked(source.get(keyword)))
    image = draft.analysis.image
    if (source.get("Rows"), source.get("Columns")) != (image.rows, image.columns):
        raise EncodingFailed("the analysed picture has not the size of the film")
    header.Rows, header.Columns = image.rows, image.columns
    header.Modality = str(source.get("Modality", "") or "CR")
    header.ImageType = ["DERIVED", "PRIMARY"]
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for keyword in inherited.TYPE_2:
        setattr(header, keyword, "")
    for keyword in ("LossyImageCompression", "LossyImageCompressionRatio"):
        if keyword in source:
            setattr(header, keyword, source[keyword].value)
    return header


def series_number(kind: ResultKind, revision: int) -> int:
    """Return the Series Number: high, so that it sorts last, and known by kind and revision."""
    return SERIES_NUMBER_BASE + SERIES_PER_REVISION * (revision - 1) + series_rank(kind)


def series_rank(kind: ResultKind) -> int:
    """Return 1 for the text SR, 2 for the boxes, and so on: the order a reader opens them."""
    return _SERIES_ORDER.index(kind) + 1


def series_description(kind: ResultKind, drafts: "Sequence[FilmDraft]", revision: int) -> str:
    """Return "AI DRAFT boxes r1, not verified", with the use when it is not clinical.

    Viewers cut a description after some twenty letters: the draft and the kind come first.
    """
    use = use_of(drafts)
    restriction = "" if use is BundleUse.CLINICAL else f" ({use.value.upper()})"
    return shortened(f"AI DRAFT {kind.value} r{revision}, not verified{restriction}", LO_MAX)


def algorithm(model: "ModelIdentity") -> AlgorithmIdentificationSequence:
    """Return the Algorithm Identification of a network (PS3.3 Table 10-19)."""
    return AlgorithmIdentificationSequence(
        name=shortened(model.name, LO_MAX),
        version=shortened(model.version, LO_MAX),
        family=codes.ARTIFICIAL_INTELLIGENCE,
        source=MANUFACTURER,
        # LT: the hash names the weights; the use says what they may be used for.
        parameters={"weights_sha256": model.weights_sha256, "use": model.use.value},
    )


def code_item(code: "Code") -> Dataset:
    """Return a code as the item of a code sequence (PS3.3 section 8)."""
    item = Dataset()
    item.CodeValue = code.value
    item.CodingSchemeDesignator = code.scheme_designator
    item.CodeMeaning = code.meaning
    return item


@dataclass(frozen=True, slots=True)
class Label:
    """What stands on an object of ours: its series, who made it, when (aware UTC)."""

    description: str
    number: int
    software_version: str
    produced_at: "datetime"


def dress(ds: Dataset, source: Dataset, label: Label) -> None:
    """Give an object the patient and study of ``source``, and what its label says."""
    inherited.copy_to(ds, source)
    ds.SeriesDescription = shortened(label.description, LO_MAX)
    ds.SeriesNumber = label.number
    ds.Manufacturer = MANUFACTURER
    ds.ManufacturerModelName = MODEL
    ds.DeviceSerialNumber = SERIAL_NUMBER
    ds.SoftwareVersions = shortened(label.software_version, LO_MAX)
    _date(ds, label.produced_at)


def close(
    ds: Dataset,
    drafts: "Sequence[FilmDraft]",
    context: "ResultContext",
    kind: ResultKind,
) -> None:
    """Give a built object its patient, study, series, equipment and dates."""
    label = Label(
        description=series_description(kind, drafts, context.revision),
        number=series_number(kind, context.revision),
        software_version=context.software_version,
        produced_at=context.produced_at,
    )
    dress(ds, drafts[0].source, label)
    models = dict.fromkeys(model for draft in drafts for model in draft.analysis.models)
    ds.ContributingEquipmentSequence = [_contributed(model, context) for model in models]


def _date(ds: Dataset, produced_at: "datetime") -> None:
    local = produced_at.astimezone(_offset(ds))
    day, time = local.strftime("%Y%m%d"), local.strftime("%H%M%S")
    ds.InstanceCreationDate, ds.InstanceCreationTime = day, time
    ds.ContentDate, ds.ContentTime = day, time
    ds.SeriesDate, ds.SeriesTime = day, time


def _offset(ds: Dataset) -> timezone:
    """Return the zone that the dates of this object are written in; UTC when the film is silent."""
    text = str(ds.get("TimezoneOffsetFromUTC", "") or "")
    if len(text) != len("+hhmm") or not text[1:].isdigit() or text[0] not in "+-":
        return timezone(timedelta(0))
    minutes = int(text[1:3]) * 60 + int(text[3:5])
    return timezone(timedelta(minutes=min(minutes, 14 * 60) * (-1 if text[0] == "-" else 1)))


def _contributed(model: "ModelIdentity", context: "ResultContext") -> Dataset:
    item = ContributingEquipment(
        manufacturer=MANUFACTURER,
        purpose_of_reference=codes.PROCESSING_EQUIPMENT,
        manufacturer_model_name=shortened(model.name, LO_MAX),
        software_versions=shortened(model.version, LO_MAX),
        contribution_datetime=context.produced_at,
        contribution_description=ascii_only(
            f"sha256 of weights {model.weights_sha256}; use: {codes.USE_WORDS[model.use]}"
        ),
    )
    item.ContributionDateTime = DT(f"{context.produced_at.astimezone(UTC):%Y%m%d%H%M%S}+0000")
    return item


def encode(ds: Dataset, kind: ResultKind) -> ResultInstance:
    """Return the object as the Part 10 bytes that are kept and sent."""
    syntax = ds.file_meta.TransferSyntaxUID
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.ImplementationClassUID = UID(uids.IMPLEMENTATION_CLASS_UID)
    ds.file_meta.ImplementationVersionName = uids.IMPLEMENTATION_VERSION_NAME
    buffer = BytesIO()
    with quiet.reading(), config.disable_value_validation():
        explicit.settle(ds)
        dcmwrite(buffer, ds, enforce_file_format=True)
    return ResultInstance(
        ref=InstanceRef(
            study_instance_uid=str(ds.StudyInstanceUID),
            series_instance_uid=str(ds.SeriesInstanceUID),
            sop_class_uid=str(ds.SOPClassUID),
            sop_instance_uid=str(ds.SOPInstanceUID),
        ),
        kind=kind,
        number=int(ds.InstanceNumber),
        transfer_syntax_uid=str(syntax),
        content=buffer.getvalue(),
    )
