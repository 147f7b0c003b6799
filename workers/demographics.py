"""Ask the archive, before the first object goes out, whether it still knows the patient so."""

from typing import TYPE_CHECKING

import structlog

from dicom import whose
from dicom.errors import QueryNotOffered
from dicom.values import PacsNode
from service import demographics
from service.demographics import Difference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom.values import KeptResult
    from service.values import Destination, Fence
    from workers.context import WorkerContext

log = structlog.get_logger(__name__)


def may_go(
    context: "WorkerContext", fence: "Fence", kept: "Sequence[KeptResult]", archive: "Destination"
) -> bool:
    """Return whether a draft may be sent to an archive; if not, its study is dealt with already.

    An archive that answers no queries, does not have the study, or speaks DICOMweb is not asked.

    Raises
    ------
    AssociationFailed
        If it does not answer at all: it would not take the draft either.
    FenceLost
        If somebody else serves the job now.
    """
    asked = context.settings.ask_demographics
    if asked == "off" or not isinstance(archive.to, PacsNode):
        return True
    study = kept[0].ref.study_instance_uid
    try:
        theirs = whose.of_study(study, archive.to, context.requestor)
    except QueryNotOffered:
        log.warning("demographics_not_asked", destination=archive.name)
        return True
    if theirs is None:
        return True
    ours = whose.of_file(kept[0].path)
    found = Difference(demographics.differences(ours, theirs), archive.name, theirs, ours)
    if not found.keywords:
        return True
    log.warning("demographics_differ", destination=archive.name, differ=list(found.keywords))
    with context.database.begin() as session:
        now = context.clock()
        if asked == "warn":
            demographics.tell(session, study, found, fence.owner, now)
            return True
        return not demographics.stop(session, fence, found, context.settings.corrections, now)
