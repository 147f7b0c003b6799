"""Ask an archive which of our objects it really has: the proof of a delivery."""

from collections import defaultdict
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind as StudyRootFind,
)

from dicom.associate import associated
from dicom.errors import AssociationFailed, QueryNotOffered
from dicom.send import IMPLICIT_VR_LITTLE_ENDIAN
from dicom.status import PENDING, StoreStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pynetdicom.association import Association

    from dicom.associate import Requestor
    from dicom.values import InstanceRef, PacsNode


def present(
    refs: "Iterable[InstanceRef]", node: "PacsNode", requestor: "Requestor"
) -> frozenset[str]:
    """Return the SOP Instance UIDs, out of ``refs``, that the archive says it has.

    One C-FIND at IMAGE level (PS3.4 C.6.2.1) for each series, over one association.

    Raises
    ------
    AssociationFailed
        If there is no association, or it breaks.
    QueryNotOffered
        If the archive accepts no query, or answers one with a failure.
    """
    wanted = _by_series(refs)
    found: set[str] = set()
    offers = [(StudyRootFind, IMPLICIT_VR_LITTLE_ENDIAN)]
    with associated(node, offers, requestor) as association:
        if not association.is_established:
            raise QueryNotOffered(f"{node} accepts no study root query")
        for (study, series), instances in wanted.items():
            found |= _instances_of(association, study, series) & instances
    return frozenset(found)


def _by_series(refs: "Iterable[InstanceRef]") -> "Mapping[tuple[str, str], set[str]]":
    wanted: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for ref in refs:
        wanted[ref.study_instance_uid, ref.series_instance_uid].add(ref.sop_instance_uid)
    return wanted


def _instances_of(association: "Association", study: str, series: str) -> set[str]:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "IMAGE"
    identifier.StudyInstanceUID = study
    identifier.SeriesInstanceUID = series
    identifier.SOPInstanceUID = ""
    if not association.is_established:
        raise AssociationFailed("the association was ended by the archive")
    found: set[str] = set()
    for status, answer in association.send_c_find(identifier, StudyRootFind):
        if "Status" not in status:
            raise AssociationFailed("no answer to C-FIND")
        if status.Status in PENDING:
            found.add(str(answer.SOPInstanceUID) if answer is not None else "")
        elif status.Status != StoreStatus.SUCCESS:
            raise QueryNotOffered(f"query failed with status 0x{status.Status:04X}")
    return found
