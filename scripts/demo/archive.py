"""What the archive gives back: the draft as a stranger would read it, out of the objects alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import httpx
from pydicom import Dataset, dcmread
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from dicom import codes, query
from dicom.associate import Requestor
from dicom.values import InstanceRef
from models.values import PixelBox
from tests.orthanc import Orthanc

KINDS = {
    EnhancedSRStorage: "text SR",
    Comprehensive3DSRStorage: "box SR",
    ComprehensiveSRStorage: "box SR",
    SegmentationStorage: "SEG",
    SecondaryCaptureImageStorage: "picture",
}
SECTIONS = (codes.FINDINGS, codes.IMPRESSIONS)


@dataclass(frozen=True, slots=True)
class CodedFinding:
    """One line of the coded part of the text SR."""

    observation: str
    state: str


@dataclass(frozen=True, slots=True)
class BoxFinding:
    """One group of the box SR: the code of what it is, and its rectangle in source pixels."""

    observation: str
    box: PixelBox
    comment: str


@dataclass(frozen=True, slots=True)
class Held:
    """All that the archive holds of one study beside the films: kinds, draft, boxes."""

    kinds: tuple[str, ...]
    series_descriptions: tuple[str, ...]
    sentences: tuple[tuple[str, str], ...]
    """``(heading, sentence)`` of the text SR, in reading order."""
    findings: tuple[CodedFinding, ...]
    boxes: tuple[BoxFinding, ...]
    missing_in_query: tuple[str, ...]
    """SOP Instance UIDs that REST shows and C-FIND does not."""
    content_bytes: int

    @property
    def has_draft(self) -> bool:
        """Whether there is a draft at all."""
        return bool(self.kinds)


def read(archive: Orthanc, study_instance_uid: str) -> Held:
    """Return what the archive holds of a study, by REST, and ask C-FIND for the same."""
    contents = [
        _content(archive, one)
        for one in archive.find("Instance", StudyInstanceUID=study_instance_uid)
    ]
    results = [
        (ds, size)
        for ds, size in contents
        if ds.SOPClassUID in KINDS and ds.get("Modality") in {"SR", "SEG", "OT"}
    ]
    objects = [ds for ds, _ in results]
    text = [ds for ds in objects if KINDS[ds.SOPClassUID] == "text SR"]
    boxes = [ds for ds in objects if KINDS[ds.SOPClassUID] == "box SR"]
    return Held(
        kinds=tuple(sorted(KINDS[ds.SOPClassUID] for ds in objects)),
        series_descriptions=tuple(sorted({str(ds.get("SeriesDescription", "")) for ds in objects})),
        sentences=tuple(line for ds in text for line in _sentences(ds)),
        findings=tuple(finding for ds in text for finding in _findings(ds)),
        boxes=tuple(box for ds in boxes for box in _boxes(ds)),
        missing_in_query=_missing_in_query(archive, objects),
        content_bytes=sum(size for _, size in results),
    )


def _content(archive: Orthanc, orthanc_id: str) -> tuple[Dataset, int]:
    answer = httpx.get(f"{archive.url}/instances/{orthanc_id}/file", timeout=60.0)
    answer.raise_for_status()
    return dcmread(BytesIO(answer.content)), len(answer.content)


def _missing_in_query(archive: Orthanc, objects: list[Dataset]) -> tuple[str, ...]:
    refs = [
        InstanceRef(
            str(ds.StudyInstanceUID),
            str(ds.SeriesInstanceUID),
            str(ds.SOPClassUID),
            str(ds.SOPInstanceUID),
        )
        for ds in objects
    ]
    found = query.present(refs, archive.node, Requestor("DEMO")) if refs else frozenset()
    return tuple(ref.sop_instance_uid for ref in refs if ref.sop_instance_uid not in found)


def _walk(item: Dataset) -> Iterator[Dataset]:
    yield item
    for child in item.get("ContentSequence", ()):
        yield from _walk(child)


def _concept(item: Dataset) -> str:
    named = item.get("ConceptNameCodeSequence")
    return str(named[0].CodeValue) if named else ""


def _value(item: Dataset, concept: str) -> str:
    """Return the meaning of the first coded child with this concept name."""
    for child in item.get("ContentSequence", ()):
        if _concept(child) == concept and "ConceptCodeSequence" in child:
            return str(child.ConceptCodeSequence[0].CodeMeaning)
    return ""


def _sentences(ds: Dataset) -> Iterator[tuple[str, str]]:
    headings = {code.value: code.meaning for code in SECTIONS}
    for section in _walk(ds):
        if _concept(section) in headings:
            for item in _walk(section):
                if _concept(item) == codes.STATEMENT.value and "TextValue" in item:
                    yield headings[_concept(section)], str(item.TextValue)


def _findings(ds: Dataset) -> Iterator[CodedFinding]:
    for item in _walk(ds):
        state = _value(item, codes.STATE_OF_FINDING.value)
        if state:
            yield CodedFinding(_value(item, codes.FINDING.value), state)


def _boxes(ds: Dataset) -> Iterator[BoxFinding]:
    for group in _walk(ds):
        regions = [one for one in group.get("ContentSequence", ()) if one.get("GraphicData")]
        for region in regions:
            points = [float(one) for one in region.GraphicData]
            comment = next(
                (
                    str(one.TextValue)
                    for one in group.ContentSequence
                    if _concept(one) == codes.COMMENT.value
                ),
                "",
            )
            yield BoxFinding(
                observation=_value(group, codes.FINDING.value),
                box=PixelBox(
                    min(points[0::2]), min(points[1::2]), max(points[0::2]), max(points[1::2])
                ),
                comment=comment,
            )
