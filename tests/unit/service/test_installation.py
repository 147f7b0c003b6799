from pathlib import Path

import pytest

from service import installation
from service.errors import SettingsInvalid


def test_what_is_remembered_is_read_back_and_is_for_the_owner_only(tmp_path: Path) -> None:
    values = {"CARINA_PACS": "ORTHANC@127.0.0.1:4242", "CARINA_CALLERS": "*@127.0.0.1, A@::1"}
    installation.remember(tmp_path, values)
    assert installation.remembered(tmp_path) == values
    assert (tmp_path / installation.FILE).stat().st_mode & 0o077 == 0


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    installation.remember(tmp_path, {"CARINA_PACS": "A@h:1", "CARINA_WEB_PORT": "9"})
    environment = {"CARINA_PACS": "B@h:1"}
    home = installation.enter(tmp_path, environment)
    assert home == tmp_path
    assert environment == {
        "CARINA_HOME": str(tmp_path),
        "CARINA_PACS": "B@h:1",
        "CARINA_WEB_PORT": "9",
    }


def test_the_option_goes_before_carina_home_and_a_relative_path_is_made_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert installation.enter(Path("a"), {"CARINA_HOME": "b"}) == tmp_path / "a"
    assert installation.enter(None, {"CARINA_HOME": "b"}) == tmp_path / "b"
    assert installation.enter(None, {}) == tmp_path / "carina-data"


def test_an_empty_variable_is_a_choice_that_the_file_does_not_undo(tmp_path: Path) -> None:
    installation.remember(tmp_path, {"CARINA_DATABASE_OWNER_URL": "postgresql://secret"})
    environment = {"CARINA_DATABASE_OWNER_URL": ""}
    installation.enter(tmp_path, environment)
    assert environment["CARINA_DATABASE_OWNER_URL"] == ""


@pytest.mark.parametrize("value", ["it's", "two\nlines"])
def test_a_value_that_would_break_the_file_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(SettingsInvalid, match="CARINA_PACS"):
        installation.remember(tmp_path, {"CARINA_PACS": value})


@pytest.mark.parametrize("line", ["PATH='/evil'", "CARINA_PACS=$(id)", "CARINA_PACS='a'; id"])
def test_a_damaged_file_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    (tmp_path / installation.FILE).write_text(f"# a comment\n\n{line}\n")
    with pytest.raises(SettingsInvalid, match="line 3"):
        installation.remembered(tmp_path)


def test_a_url_is_embedded_only_if_up_made_it(tmp_path: Path) -> None:
    url = "redis://:x@127.0.0.1:1/0"
    assert installation.is_embedded(tmp_path, "valkey", "")
    assert not installation.is_embedded(tmp_path, "valkey", url)
    installation.remember(tmp_path, {"CARINA_BROKER_URL": url, installation.EMBEDDED: "valkey"})
    assert installation.is_embedded(tmp_path, "valkey", url)
    assert not installation.is_embedded(tmp_path, "valkey", "amqp://elsewhere")
    assert not installation.is_embedded(tmp_path, "postgres", url)
