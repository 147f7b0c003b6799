import pytest

from dicom import fast_path
from service import checks
from service.settings import Settings


def test_the_short_way_is_off_as_shipped() -> None:
    check = checks.short_way(Settings())
    assert (check.name, check.is_well, check.words) == ("fast path", True, "off")


def test_the_short_way_is_told_where_it_is_taken() -> None:
    check = checks.short_way(Settings(listener_fast_path=True))
    assert (check.is_well, check.words) == (True, "on")


def test_whoever_asked_for_it_hears_why_it_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_path, "obstacle", lambda: "another pynetdicom")
    check = checks.short_way(Settings(listener_fast_path=True))
    assert not check.is_well
    assert check.words == "asked for, not taken: another pynetdicom"
