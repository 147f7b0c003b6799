import pytest

from dicom import profile
from dicom.profile import DestinationProfile, SrFlavour, from_accepted
from dicom.values import ResultKind

COMPREHENSIVE_3D = profile.BOX_SR_SOP_CLASSES[SrFlavour.COMPREHENSIVE_3D]
COMPREHENSIVE = profile.BOX_SR_SOP_CLASSES[SrFlavour.COMPREHENSIVE]


def test_an_archive_that_takes_everything_gets_everything() -> None:
    taken = from_accepted(profile.RESULT_SOP_CLASSES)
    assert taken == DestinationProfile()
    assert taken.dropped(ResultKind) == ()
    assert taken.not_taken(ResultKind) == ""


@pytest.mark.parametrize(
    ("accepted", "flavour"),
    [
        ({COMPREHENSIVE_3D, COMPREHENSIVE}, SrFlavour.COMPREHENSIVE_3D),
        ({COMPREHENSIVE, profile.ENHANCED_SR}, SrFlavour.COMPREHENSIVE),
        ({profile.ENHANCED_SR}, SrFlavour.ENHANCED),
        ({profile.BASIC_TEXT_SR}, None),
        (set(), None),
    ],
)
def test_the_best_box_sr_that_is_taken_is_used(
    accepted: set[str], flavour: SrFlavour | None
) -> None:
    assert from_accepted(accepted).boxes == flavour


def test_what_is_not_taken_is_dropped_and_said() -> None:
    taken = from_accepted({profile.ENHANCED_SR, profile.SECONDARY_CAPTURE})
    assert taken.dropped(ResultKind) == (ResultKind.ANATOMY_SEG, ResultKind.FINDING_SEG)
    assert taken.not_taken(ResultKind) == "not taken: SEG"


def test_only_what_was_wanted_can_be_dropped() -> None:
    nothing = from_accepted(())
    assert nothing.not_taken([ResultKind.PICTURES, ResultKind.TEXT_SR]) == "not taken: pictures"


def test_the_text_falls_back_to_basic_text_only_where_enhanced_is_refused() -> None:
    assert from_accepted({profile.BASIC_TEXT_SR}).text_sop_class_uid == profile.BASIC_TEXT_SR
    both = from_accepted({profile.BASIC_TEXT_SR, profile.ENHANCED_SR})
    assert both.text_sop_class_uid == profile.ENHANCED_SR


def test_the_text_is_tried_even_where_nothing_is_taken() -> None:
    assert from_accepted(()).takes(ResultKind.TEXT_SR)


def test_a_site_may_fix_the_flavour() -> None:
    assert DestinationProfile(seg=False).limited_to(SrFlavour.ENHANCED) == DestinationProfile(
        boxes=SrFlavour.ENHANCED, seg=False
    )
