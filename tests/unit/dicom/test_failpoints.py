import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dicom import failpoints
from dicom.failpoints import Failpoint

ROOT = Path(__file__).parents[3]
WALK = """
from dicom.failpoints import Failpoint, reach
for _ in range(5):
    reach(Failpoint.FILE_SYNCED)
    print("survived", flush=True)
"""


def walk(folder: Path | None) -> "subprocess.CompletedProcess[str]":
    """Reach one point five times in a process of its own."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    if folder is not None:
        environment[failpoints.VARIABLE] = str(folder)
    return subprocess.run(
        [sys.executable, "-c", WALK],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_without_the_variable_an_armed_point_does_nothing(tmp_path: Path) -> None:
    failpoints.arm(tmp_path, Failpoint.FILE_SYNCED)
    done = walk(None)
    assert done.returncode == 0
    assert done.stdout.count("survived") == 5
    assert not failpoints.are_on()


def test_the_third_reach_kills_and_is_written_down_once(tmp_path: Path) -> None:
    failpoints.arm(tmp_path, Failpoint.FILE_SYNCED, nth=3)
    done = walk(tmp_path)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.count("survived") == 2
    (hit,) = (tmp_path / failpoints.HITS).read_text().splitlines()
    assert hit.split()[:2] == ["listener.file-synced", "kill"]
    assert walk(tmp_path).returncode == 0, "a point goes off once"


def test_another_point_and_a_disarmed_one_are_passed(tmp_path: Path) -> None:
    failpoints.arm(tmp_path, Failpoint.FILE_RENAMED)
    failpoints.arm(tmp_path, Failpoint.FILE_SYNCED)
    assert failpoints.disarm(tmp_path, Failpoint.FILE_SYNCED)
    assert not failpoints.disarm(tmp_path, Failpoint.FILE_SYNCED)
    assert walk(tmp_path).stdout.count("survived") == 5
    assert not (tmp_path / failpoints.HITS).exists()


@pytest.mark.parametrize("point", list(Failpoint), ids=str)
def test_every_point_of_the_table_is_somewhere_in_the_data_s_way(point: Failpoint) -> None:
    word = f"reach(Failpoint.{point.name})"
    places = [
        path
        for package in ("dicom", "service", "workers")
        for path in (ROOT / package).rglob("*.py")
        if word in path.read_text(encoding="utf-8")
    ]
    assert len(places) == 1
