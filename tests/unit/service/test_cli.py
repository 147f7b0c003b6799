import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from service import cli

PROMISED = {
    *("up", "down", "status", "check", "settings", "version"),
    *("send", "studies", "show", "replay", "compare", "hurry", "redeliver", "release"),
    *("withdraw", "retire", "purge", "hl7"),
    *("listen", "work", "deliver", "sweep", "web"),
    *("look", "simulate", "purge"),
}
PROMISED_GROUPS = {
    "audit": ["list", "verify", "export", "archive"],
    "destinations": ["list", "suspend", "drain", "resume"],
    "models": ["list", "verify"],
    "db": ["upgrade", "roles"],
    "patients": ["list", "messages", "show", "apply", "undo", "adopt"],
}
HEAVY = (
    "torch",
    "onnxruntime",
    "celery",
    "sqlalchemy",
    "psycopg",
    "pynetdicom",
    "fastapi",
    "numpy",
)


def carina(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "service", *arguments],
        env={"PATH": os.defpath, "PYTHONPATH": str(Path.cwd()), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_every_promised_command_is_there() -> None:
    groups = [f"{group} {name}" for group, names in PROMISED_GROUPS.items() for name in names]
    assert PROMISED | set(groups) == set(cli.COMMANDS)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_exists_and_explains_itself(name: str) -> None:
    function = cli.load(cli.COMMANDS[name].target)
    assert function.__doc__, f"{name} has no help"


def test_the_page_of_operations_names_only_commands_that_exist() -> None:
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")
    named = set(re.findall(r"carina ((?:audit |db |destinations |models |patients )?[a-z]+)", page))
    assert named
    assert named <= set(cli.COMMANDS)


def test_the_list_of_commands_loads_nothing_heavy() -> None:
    script = (
        "import sys, json; sys.argv = ['carina', '--help']\n"
        "from service import cli\n"
        "try:\n    cli.main()\n"
        "except SystemExit:\n    pass\n"
        "sys.stderr.write(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    loaded = {name.partition(".")[0] for name in json.loads(done.stderr)}
    assert [name for name in HEAVY if name in loaded] == []
    assert all(name.partition(" ")[0] in done.stdout for name in cli.COMMANDS)


def test_the_version_is_told() -> None:
    done = carina("version")
    assert done.returncode == 0
    assert done.stdout.startswith("carina ")


def test_an_unknown_command_is_wrong_usage() -> None:
    assert carina("dance").returncode == 2


def test_every_wrong_setting_is_named_at_once_without_a_traceback() -> None:
    done = carina("settings", CARINA_LISTENER_PORT="many", CARINA_PACS="nowhere")
    assert done.returncode == cli.SETTINGS_WRONG
    assert "CARINA_LISTENER_PORT" in done.stderr
    assert "CARINA_PACS" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_database_is_named_as_a_setting(tmp_path: Path) -> None:
    done = carina("studies", "--data", str(tmp_path))
    assert done.returncode == cli.SETTINGS_WRONG
    assert "CARINA_DATABASE_URL" in done.stderr


def test_a_database_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    url = "postgresql+psycopg://carina:s3cret@127.0.0.1:1/carina"
    done = carina("studies", "--data", str(tmp_path), CARINA_DATABASE_URL=url)
    assert done.returncode == cli.FAILED
    assert "database" in done.stderr
    assert "s3cret" not in done.stderr
    assert "Traceback" not in done.stderr


def test_simulating_without_torch_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError('torch')\n")
    films = tmp_path / "films"
    path = os.pathsep.join((str(tmp_path), str(Path.cwd())))
    home = str(tmp_path / "home")
    done = carina("simulate", "--out", str(films), "--data", home, PYTHONPATH=path)
    assert done.returncode == cli.FAILED
    assert "pip install torch" in done.stderr
    assert "Traceback" not in done.stderr
    assert not films.exists()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "film.dcm"
    done = carina("send", str(missing), "--data", str(tmp_path))
    assert done.returncode == cli.FAILED
    assert str(missing) in done.stderr


def test_settings_as_json_hold_what_is_in_force(tmp_path: Path) -> None:
    done = carina("settings", "--json", "--data", str(tmp_path), CARINA_WEB_PORT="1234")
    shown = json.loads(done.stdout)
    assert shown["CARINA_WEB_PORT"] == "1234"
    assert shown["CARINA_HOME"] == str(tmp_path)


def test_down_where_nothing_runs_says_so(tmp_path: Path) -> None:
    done = carina("down", "--data", str(tmp_path))
    assert done.returncode == 0
    assert "not running" in done.stdout


def test_up_in_a_folder_that_cannot_be_made_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = carina("up", "--data", str(tmp_path / "file" / "home"))
    assert done.returncode == cli.FAILED
    assert str(tmp_path / "file") in done.stderr
    assert "Traceback" not in done.stderr
