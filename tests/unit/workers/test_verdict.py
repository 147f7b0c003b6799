from pathlib import Path
from uuid import UUID

import pytest
from kept_results import SOP_CLASSES

from dicom import uids
from dicom.values import InstanceRef, KeptResult, ResultKind, StoreOutcome
from workers.verdict import PROCESSING_FAILURES_MAX, Verdict, judge, not_taken

JOB = UUID(int=7)
TEXT, MASK = ResultKind.TEXT_SR, ResultKind.FINDING_SEG


def a_kept(kind: ResultKind) -> KeptResult:
    ref = InstanceRef("1.2", "1.2.3", SOP_CLASSES[kind], uids.for_result(JOB, kind, 1))
    return KeptResult(ref, kind, 1, "1.2.840.10008.1.2.1", Path("x"), "")


RESULTS = (a_kept(MASK), a_kept(TEXT))


def an_answer(kind: ResultKind, status: int | None, *, taken: bool = True) -> StoreOutcome:
    return StoreOutcome(uids.for_result(JOB, kind, 1), status, None, taken=taken)


def verdict(*answers: StoreOutcome, tries: int = 1) -> Verdict:
    return judge(RESULTS, answers, tries).verdict


@pytest.mark.parametrize("status", [0x0000, 0xB000, 0xB006, 0xB007, 0x0111])
def test_success_and_warnings_are_stored(status: int) -> None:
    assert verdict(an_answer(MASK, status), an_answer(TEXT, 0)) is Verdict.STORED


@pytest.mark.parametrize("status", range(0xA700, 0xA800, 37))
def test_out_of_resources_never_exhausts(status: int) -> None:
    assert verdict(an_answer(MASK, status), tries=10**6) is Verdict.TRY_AGAIN


def test_processing_failure_exhausts_after_a_few_tries() -> None:
    answer = an_answer(MASK, 0x0110)
    assert verdict(answer, tries=PROCESSING_FAILURES_MAX - 1) is Verdict.TRY_AGAIN
    assert verdict(answer, tries=PROCESSING_FAILURES_MAX) is Verdict.REFUSED


@pytest.mark.parametrize("status", [0xA900, 0xA901, 0xC000, 0xCFFF, 0x0122, 0x0124, 0x0210])
def test_every_other_status_is_refused_at_once(status: int) -> None:
    judgement = judge(RESULTS, [an_answer(MASK, status)], 1)
    assert (judgement.verdict, judgement.code) == (Verdict.REFUSED, f"STATUS_{status:04X}")


def test_a_missing_answer_is_tried_again() -> None:
    assert verdict(an_answer(MASK, None), tries=10**6) is Verdict.TRY_AGAIN


def test_a_mask_that_is_not_taken_is_no_failure() -> None:
    answers = (an_answer(MASK, None, taken=False), an_answer(TEXT, 0))
    assert verdict(*answers) is Verdict.STORED
    assert not_taken(RESULTS, answers) == "not taken: findings"


def test_a_text_that_is_not_taken_is_a_refusal() -> None:
    assert verdict(an_answer(MASK, 0), an_answer(TEXT, None, taken=False)) is Verdict.REFUSED


def test_nothing_is_named_where_all_was_taken() -> None:
    assert not_taken(RESULTS, [an_answer(MASK, 0), an_answer(TEXT, 0)]) == ""
