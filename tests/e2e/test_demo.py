"""`make demo`, run as a user runs it: it must prove what it promises, and leave nothing behind."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from PIL import Image

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
LIMIT_S = 540.0
TITLES = (
    "real chest (CR)",
    "simulated, with a finding",
    "simulated, without any",
    "real extremity (CR)",
    "the same, header silent",
    "simulated lateral",
    "noise, chest header",
)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    # Not tmp_path: started by root, Postgres runs as another user, who must get there.
    with tempfile.TemporaryDirectory(prefix="carina-demo-") as made:
        Path(made).chmod(0o711)
        yield Path(made)


def start(folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "scripts.demo", "--folder", str(folder)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def left_behind(folder: Path) -> list[str]:
    return [
        " ".join(process.info["cmdline"])
        for process in psutil.process_iter(["cmdline"])
        if any(str(folder) in word for word in process.info["cmdline"] or ())
    ]


@pytest.fixture(scope="module")
def told(folder: Path) -> str:
    process = start(folder)
    output, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, output
    return output


def test_every_promise_is_kept_and_every_film_is_told_of(told: str) -> None:
    assert "Every promise was kept" in told
    assert "FAIL" not in told
    for title in TITLES:
        assert re.search(rf"ok +{re.escape(title)}: ", told), title


def test_the_known_finding_is_hit_where_it_is(told: str) -> None:
    overlaps = [float(one) for one in re.findall(r"IoU (\d\.\d\d) of the box in the SR", told)]
    assert overlaps
    assert min(overlaps) >= 0.3


def test_the_drafts_are_told_in_words_and_the_stages_in_seconds(told: str) -> None:
    assert told.count("Draft: ") == 3
    assert "Impressions" in told
    assert "Seconds by stage" in told


def test_the_audit_trail_is_shown_and_verified(told: str) -> None:
    for event in ("instance_received", "study_closed", "results_encoded", "delivery_proven"):
        assert event in told
    assert "The trail is intact." in told


def test_the_pictures_are_there_to_look_at(told: str, folder: Path) -> None:
    paths = sorted((folder / "pictures").glob("*.png"))
    assert [path.stem for path in paths] == ["chest", "finding", "normal"]
    for path in paths:
        assert str(path) in told
        with Image.open(path) as picture:
            assert min(picture.size) >= 300


@pytest.mark.usefixtures("told")
def test_nothing_keeps_running(folder: Path) -> None:
    assert left_behind(folder) == []


def test_an_interrupted_demonstration_stops_what_it_started(folder: Path) -> None:
    process = start(folder)
    state = folder / "carina" / "run" / "state.json"
    deadline = time.monotonic() + 120
    while not state.exists() or json.loads(state.read_text())["phase"] != "starting":
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=180)
    assert process.returncode != 0
    assert left_behind(folder) == []
