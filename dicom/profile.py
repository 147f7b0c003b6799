"""What an archive takes, and what is left out of a result set because it does not."""
# ruff: noqa: A005  (only ever imported as dicom.profile)

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from dicom.values import ResultKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ENHANCED_SR: Final = "1.2.840.10008.5.1.4.1.1.88.22"
BASIC_TEXT_SR: Final = "1.2.840.10008.5.1.4.1.1.88.11"
SEGMENTATION: Final = "1.2.840.10008.5.1.4.1.1.66.4"
SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"


class SrFlavour(StrEnum):
    """The SOP class of the box SR, best first."""

    COMPREHENSIVE_3D = "comprehensive3d"
    COMPREHENSIVE = "comprehensive"
    ENHANCED = "enhanced"


BOX_SR_SOP_CLASSES: "Mapping[SrFlavour, str]" = {
    SrFlavour.COMPREHENSIVE_3D: "1.2.840.10008.5.1.4.1.1.88.34",
    SrFlavour.COMPREHENSIVE: "1.2.840.10008.5.1.4.1.1.88.33",
    SrFlavour.ENHANCED: ENHANCED_SR,
}

RESULT_SOP_CLASSES: tuple[str, ...] = (
    *BOX_SR_SOP_CLASSES.values(),
    BASIC_TEXT_SR,
    SEGMENTATION,
    SECONDARY_CAPTURE,
)
"""Every SOP class a result set may hold: what to propose when asking an archive."""

_NAMES: "Mapping[ResultKind, str]" = {
    ResultKind.ANATOMY_SEG: "SEG",
    ResultKind.FINDING_SEG: "SEG",
    ResultKind.PICTURES: "pictures",
    ResultKind.BOX_SR: "box SR",
    ResultKind.TEXT_SR: "text SR",
}


@dataclass(frozen=True, slots=True)
class DestinationProfile:
    """What an archive takes. The defaults are an archive that takes everything.

    ``boxes`` is the flavour of the box SR, None when no flavour is taken. ``text_sop_class_uid``
    is Enhanced SR, or Basic Text SR where that is refused.
    """

    boxes: SrFlavour | None = SrFlavour.COMPREHENSIVE_3D
    seg: bool = True
    pictures: bool = True
    text_sop_class_uid: str = ENHANCED_SR

    def takes(self, kind: ResultKind) -> bool:
        """Return whether objects of this kind can be stored there; the text SR is always tried."""
        return {
            ResultKind.ANATOMY_SEG: self.seg,
            ResultKind.FINDING_SEG: self.seg,
            ResultKind.PICTURES: self.pictures,
            ResultKind.BOX_SR: self.boxes is not None,
            ResultKind.TEXT_SR: True,
        }[kind]

    def dropped(self, kinds: "Iterable[ResultKind]") -> tuple[ResultKind, ...]:
        """Return which of the wanted kinds are left out, in the order of sending."""
        wanted = set(kinds)
        return tuple(kind for kind in ResultKind if kind in wanted and not self.takes(kind))

    def not_taken(self, kinds: "Iterable[ResultKind]") -> str:
        """Return what a reader or administrator is told: "not taken: SEG", or "" for nothing."""
        names = dict.fromkeys(_NAMES[kind] for kind in self.dropped(kinds))
        return f"not taken: {', '.join(names)}" if names else ""

    def limited_to(self, flavour: SrFlavour) -> "DestinationProfile":
        """Return the same profile with one fixed flavour of box SR, as a site may demand."""
        return DestinationProfile(flavour, self.seg, self.pictures, self.text_sop_class_uid)


def from_accepted(sop_class_uids: "Iterable[str]") -> DestinationProfile:
    """Return the profile of an archive from the SOP classes it accepted for storage."""
    accepted = set(map(str, sop_class_uids))
    flavours = (one for one, uid in BOX_SR_SOP_CLASSES.items() if uid in accepted)
    text_refused = ENHANCED_SR not in accepted and BASIC_TEXT_SR in accepted
    return DestinationProfile(
        boxes=next(flavours, None),
        seg=SEGMENTATION in accepted,
        pictures=SECONDARY_CAPTURE in accepted,
        text_sop_class_uid=BASIC_TEXT_SR if text_refused else ENHANCED_SR,
    )
