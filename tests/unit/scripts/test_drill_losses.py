from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from scripts.drill import losses

TABLES = (
    "CREATE TABLE instances (sop_instance_uid TEXT, study_instance_uid TEXT, spool_path TEXT)",
    "CREATE TABLE jobs (job_id INTEGER, study_instance_uid TEXT, state TEXT)",
    "CREATE TABLE results (sop_instance_uid TEXT, job_id INTEGER, path TEXT)",
    "INSERT INTO instances VALUES ('1.1', '1', 'here'), ('2.1', '2', 'gone')",
    "INSERT INTO jobs VALUES (1, '1', 'SENT'), (2, '3', 'ENCODED'), (3, '4', 'DELIVERED')",
    "INSERT INTO results VALUES ('1.9', 1, 'kept'), ('3.9', 2, 'lost'), ('4.9', 3, 'lost too')",
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation whose settings are in the environment only, as with systemd."""
    (tmp_path / "spool").mkdir()
    (tmp_path / "results").mkdir()
    (tmp_path / "spool" / "here").touch()
    (tmp_path / "results" / "kept").touch()
    url = f"sqlite:///{tmp_path / 'rows'}"
    engine = create_engine(url)
    with engine.begin() as connection:
        for line in TABLES:
            connection.execute(text(line))
    engine.dispose()
    monkeypatch.setenv("CARINA_HOME", str(tmp_path))
    monkeypatch.setenv("CARINA_DATABASE_URL", url)
    return tmp_path


def test_films_and_owed_drafts_without_their_file_are_named(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert losses.main(str(home)) == 1
    assert capsys.readouterr().out.splitlines() == [
        "film, send again: 2.1",
        "draft, file missing: 3.9",
        "study, replay it if it has failed: 2",
        "study, replay it if it has failed: 3",
    ]


def test_nothing_is_named_when_every_file_is_there(home: Path) -> None:
    (home / "spool" / "gone").touch()
    (home / "results" / "lost").touch()
    assert losses.main(str(home)) == 0
