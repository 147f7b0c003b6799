"""The section of a text SR that names what it takes the place of, object by object.

SR documents are also named in the Predecessor Documents Sequence (PS3.3 C.17.2), which is for SR
documents only: masks and pictures can be named in the content alone. They are named by UID and not
by an IMAGE reference, since an archive may have deleted them since, and a reference must resolve.
"""

from typing import TYPE_CHECKING

from pydicom import Dataset
from pydicom.uid import UID

from dicom import codes
from dicom.profile import BASIC_TEXT_SR, BOX_SR_SOP_CLASSES
from dicom.sr import items

if TYPE_CHECKING:
    from collections.abc import Sequence

    from highdicom.sr import ContentItem
    from pydicom.sr.coding import Code

    from dicom.values import InstanceRef, ReplacedResult

SR_CLASSES = frozenset({BASIC_TEXT_SR, *BOX_SR_SOP_CLASSES.values()})


def section(
    replaced: "Sequence[ReplacedResult]", heading: "Code" = codes.REPLACES
) -> "list[ContentItem]":
    """Return the section, one container for each object; none when nothing is replaced."""
    if not replaced:
        return []
    return [items.container(heading, [_named(one) for one in replaced])]


def documents(replaced: "Sequence[ReplacedResult]") -> "tuple[InstanceRef, ...]":
    """Return those that are SR documents: what the Predecessor Documents Sequence may name."""
    return tuple(one.ref for one in replaced if one.ref.sop_class_uid in SR_CLASSES)


def as_data_set(ref: "InstanceRef") -> Dataset:
    """Return the four UIDs as highdicom takes them for evidence and predecessors."""
    ds = Dataset()
    ds.StudyInstanceUID = ref.study_instance_uid
    ds.SeriesInstanceUID = ref.series_instance_uid
    ds.SOPClassUID = ref.sop_class_uid
    ds.SOPInstanceUID = ref.sop_instance_uid
    return ds


def _named(one: "ReplacedResult") -> "ContentItem":
    what = UID(one.ref.sop_class_uid).name.removesuffix(" Storage")
    words = f"Revision {one.revision}, {one.kind.value} {one.number} ({what})"
    return items.container(
        codes.REPLACED_OBJECT,
        [
            items.text(codes.STATEMENT, words),
            items.uid(codes.REPLACED_UID, one.ref.sop_instance_uid),
        ],
    )
