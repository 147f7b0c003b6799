import random
from pathlib import Path

import pytest
from kept_results import a_result_set

from dicom import send
from dicom.errors import KeptResultDamaged
from dicom.status import is_stored, is_transient
from dicom.values import ResultKind


def test_the_order_of_sending_does_not_depend_on_the_order_given(tmp_path: Path) -> None:
    results = a_result_set(tmp_path)
    shuffled = random.Random(4).sample(results, len(results))
    assert send.in_sending_order(shuffled) == results
    assert [one.kind for one in results][-1] is ResultKind.TEXT_SR


def test_a_kept_file_that_is_as_it_was_passes(tmp_path: Path) -> None:
    for result in a_result_set(tmp_path):
        send.check_kept(result)


@pytest.mark.parametrize("damage", [b"", b"x" * 2000])
def test_a_kept_file_that_changed_is_named_by_kind_only(tmp_path: Path, damage: bytes) -> None:
    (result,) = a_result_set(tmp_path, ResultKind.BOX_SR)
    result.path.write_bytes(damage)
    with pytest.raises(KeptResultDamaged) as failure:
        send.check_kept(result)
    assert str(failure.value) == "boxes 1: not the bytes that were kept"


@pytest.mark.parametrize("status", [0x0000, 0x0111, 0xB000, 0xB006, 0xB007])
def test_what_is_stored_is_not_tried_again(status: int) -> None:
    assert is_stored(status)
    assert not is_transient(status)


@pytest.mark.parametrize("status", [None, 0x0110, 0x0122, 0xA700, 0xA900, 0xB001, 0xC000, 0xFF00])
def test_nothing_else_counts_as_stored(status: int | None) -> None:
    assert not is_stored(status)
