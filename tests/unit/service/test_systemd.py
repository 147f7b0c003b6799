"""The units of systemd: whole, hardened, and naming commands and files that exist."""

import shutil
import subprocess
from pathlib import Path

import pytest

from service import cli

FOLDER = Path(__file__).parents[3] / "deploy" / "systemd"
SERVICES = sorted(FOLDER.glob("*.service"))
PROGRAM = "/opt/carina/bin/carina "
PROCESSES = {"listen", "work", "deliver", "sweep", "web", "hl7"}
BY_CHOICE = {"hl7"}  # enabled where the hospital sends HL7
HARDENED = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "RestrictSUIDSGID": "yes",
    "CapabilityBoundingSet": "",
    "UMask": "0077",
    "User": "carina",
}


def settings_of(unit: Path) -> dict[str, list[str]]:
    """Return every key with its values, in order; systemd allows a key twice."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text(encoding="utf-8").splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def command_of(unit: Path) -> str:
    (line,) = settings_of(unit)["ExecStart"]
    assert line.startswith(PROGRAM)
    return line.removeprefix(PROGRAM)


def test_every_process_has_its_unit() -> None:
    assert {command_of(unit) for unit in SERVICES} == PROCESSES | {"db upgrade"}


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_every_command_exists(unit: Path) -> None:
    assert command_of(unit) in cli.COMMANDS


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_every_unit_is_hardened_and_reads_its_settings_from_a_file(unit: Path) -> None:
    found = settings_of(unit)
    assert {key: found[key][0] for key in HARDENED} == HARDENED
    assert found["EnvironmentFile"][0] == "/etc/carina/carina.env"


def test_only_the_upgrade_is_told_the_owner() -> None:
    told = [unit.stem for unit in SERVICES if "owner.env" in str(settings_of(unit))]
    assert told == ["carina-db-upgrade"]


def test_the_target_wants_every_process() -> None:
    wanted = set(" ".join(settings_of(FOLDER / "carina.target")["Wants"]).split())
    assert wanted == {f"carina-{name}.service" for name in PROCESSES - BY_CHOICE}


def test_a_worker_may_finish_its_film_before_it_is_killed() -> None:
    found = settings_of(FOLDER / "carina-work.service")
    assert found["KillMode"] == ["mixed"], "Celery's child is not to be stopped beside its parent"
    assert int(found["TimeoutStopSec"][0]) > 300  # the default of CARINA_HARD_LIMIT_S


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd on this machine")
def test_systemd_itself_finds_no_fault(tmp_path: Path) -> None:
    for unit in FOLDER.iterdir():
        text = unit.read_text(encoding="utf-8")
        # It also looks for the program, which is not installed here.
        (tmp_path / unit.name).write_text(text.replace("/opt/carina/bin/carina", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", *(str(path) for path in sorted(tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
        env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:", "PATH": "/usr/bin:/bin"},
    )
    faults = [line for line in done.stderr.splitlines() if "carina" in line]
    assert faults == []
    assert done.returncode == 0
