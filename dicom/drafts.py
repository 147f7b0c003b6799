"""What a result set is made from: the drafts of a study's films, and the job around them."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from models.vocabulary import BundleUse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    import numpy as np
    from numpy.typing import NDArray
    from pydicom import Dataset

    from dicom.profile import DestinationProfile
    from dicom.values import InstanceRef, Rejected, ReplacedResult, ResultKind
    from models.values import Analysis


@dataclass(frozen=True, slots=True, eq=False)
class FilmDraft:
    """One film that was read, and what was made of it.

    ``source`` is the header of the film; its pixels are not needed. ``remarks`` come from the
    choice of films ("view not stated in the header"). ``overview`` is the film with its findings
    drawn, ``(rows, columns, 3)``, where somebody has drawn it already.
    """

    source: "Dataset" = field(repr=False)
    transfer_syntax_uid: str
    analysis: "Analysis"
    remarks: tuple[str, ...] = ()
    overview: "NDArray[np.uint8] | None" = field(default=None, repr=False)

    @property
    def sop_instance_uid(self) -> str:
        """Which film."""
        return str(self.source.SOPInstanceUID)


@dataclass(frozen=True, slots=True)
class ResultContext:
    """The job a result set belongs to.

    ``produced_at`` is aware, UTC. ``kinds`` are the objects a site wants, ``profile`` what its
    archive takes. ``banner`` is shown at the top of the text SR. ``predecessors`` are the SRs that
    this text replaces, ``replaced`` all objects, SRs or not.
    """

    job_id: "UUID"
    revision: int
    produced_at: "datetime"
    kinds: "tuple[ResultKind, ...]"
    profile: "DestinationProfile"
    rejected: "tuple[Rejected, ...]"
    banner: tuple[str, ...]
    predecessors: "tuple[InstanceRef, ...]"
    software_version: str
    replaced: "tuple[ReplacedResult, ...]" = ()

    def makes(self, kind: "ResultKind") -> bool:
        """Return whether objects of this kind are wanted and taken."""
        return kind in self.kinds and self.profile.takes(kind)


def use_of(drafts: "Sequence[FilmDraft]") -> BundleUse:
    """Return the most restricted use among all networks that took part."""
    uses = {model.use for draft in drafts for model in draft.analysis.models}
    order = (BundleUse.DEMO, BundleUse.RESEARCH, BundleUse.CLINICAL)
    return next((use for use in order if use in uses), BundleUse.DEMO)
