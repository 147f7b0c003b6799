import inspect
from types import ModuleType
from uuid import uuid4

import pytest
from sqlalchemy.exc import OperationalError

import dicom.errors
import models.errors
import service.errors
from service.errors import FenceLost
from workers import failures
from workers.failures import Remedy, Treatment

JOB = uuid4()


def errors_of(module: ModuleType) -> list[type[Exception]]:
    return [
        cls
        for _, cls in inspect.getmembers(module, inspect.isclass)
        if issubclass(cls, Exception) and cls.__module__ == module.__name__
    ]


ALL_ERRORS = [
    cls for module in (models.errors, dicom.errors, service.errors) for cls in errors_of(module)
]


@pytest.mark.parametrize("cls", ALL_ERRORS, ids=lambda cls: cls.__name__)
def test_every_error_of_every_floor_has_its_own_row(cls: type[Exception]) -> None:
    assert cls in failures.TABLE


@pytest.mark.parametrize("how", failures.TABLE.values(), ids=lambda how: how.words)
def test_every_row_speaks_to_an_administrator(how: Treatment) -> None:
    assert len(how.words.split()) >= 4
    assert not how.words.endswith(".")


def test_an_error_nobody_thought_of_fails_the_job() -> None:
    assert failures.treatment(ZeroDivisionError("x")).remedy is Remedy.FAIL


def test_a_subclass_is_treated_as_its_nearest_ancestor() -> None:
    assert failures.treatment(FileNotFoundError()).remedy is Remedy.RETRY


def test_the_text_of_a_foreign_error_is_never_shown() -> None:
    assert "Doe" not in failures.reason(ValueError("bad value Doe^Jane"))


def test_the_text_of_our_own_error_is_shown() -> None:
    error = dicom.errors.StoreRefused(0xA900, None)
    assert failures.reason(error) == (
        "the archive refused an object (StoreRefused: refused with status 0xA900)"
    )


def test_a_contained_error_is_written_down_and_goes_no_further() -> None:
    ended: list[tuple[Exception, Remedy]] = []
    error = dicom.errors.EncodingFailed("no")
    with failures.contained([JOB], lambda what, how: ended.append((what, how.remedy))):
        raise error
    assert ended == [(error, Remedy.FAIL)]


def test_nothing_is_written_when_somebody_else_has_the_job() -> None:
    def never(error: Exception, how: Treatment) -> None:
        raise AssertionError(how)

    with failures.contained([JOB], never):
        raise FenceLost


@pytest.mark.parametrize("second", [FenceLost(), OperationalError("x", None, ValueError())])
def test_a_failure_that_cannot_be_written_down_is_left_to_the_lease(second: Exception) -> None:
    def end(error: Exception, how: Treatment) -> None:
        raise second

    with failures.contained([JOB], end):
        raise dicom.errors.EncodingFailed


def test_a_request_to_stop_is_never_contained() -> None:
    def end(error: Exception, how: Treatment) -> None:
        raise AssertionError(how)

    with pytest.raises(KeyboardInterrupt), failures.contained([JOB], end):
        raise KeyboardInterrupt
