from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import capture_logs

from service import checks, settings_unknown
from service.settings import Settings


@pytest.fixture(autouse=True)
def plain_logs() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_a_misspelt_variable_is_told_of_with_the_setting_it_resembles() -> None:
    found = settings_unknown.in_words({"CARINA_PASC": "A@h:1", "carina_qwertz": "1", "PATH": "/"})
    assert found == (
        "CARINA_PASC: no such setting, is CARINA_PACS meant?",
        "carina_qwertz: no such setting",
    )


def test_every_setting_its_file_and_what_else_is_read_is_known() -> None:
    settings = dict.fromkeys((f"CARINA_{name.upper()}" for name in Settings.model_fields), "")
    beside = ("CARINA_DATABASE_URL_FILE", "CARINA_CONFIG", "CARINA_EMBEDDED", "CARINA_READY_FILE")
    assert not settings_unknown.not_heeded(
        settings | dict.fromkeys(beside, "") | {"carina_pacs": ""}
    )


def test_a_file_is_known_for_secrets_only() -> None:
    assert "CARINA_PACS_FILE" in settings_unknown.not_heeded({"CARINA_PACS_FILE": "/x"})


def test_a_process_warns_of_what_it_does_not_heed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARINA_KEEP_STUDY_DAYS", "30")
    with capture_logs() as lines:
        settings_unknown.warn()
    assert {
        "event": "variable_not_heeded",
        "variable": "CARINA_KEEP_STUDY_DAYS",
        "resembles": "CARINA_KEEP_STUDIES_DAYS",
        "log_level": "warning",
    } in lines


def test_the_check_is_not_well_when_a_variable_is_not_heeded() -> None:
    assert checks.variables(()).is_well
    told = checks.variables(("CARINA_PASC: no such setting",))
    assert not told.is_well
    assert "CARINA_PASC" in told.words
