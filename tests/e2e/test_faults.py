"""A tiny fault campaign on a whole system: that it runs, and that Carina stands it."""

from pathlib import Path

import orthanc
import pytest

from scripts.faults import hospital
from scripts.faults.episode import Run
from scripts.faults.plan import episodes

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not orthanc.is_installed(), reason="Orthanc is not installed"),
]

CARDS = ("failpoint:listener.after-commit", "archive:lies", "frozen:worker.before-encode")


def test_a_study_survives_a_kill_a_lie_and_a_frozen_worker(tmp_path: Path) -> None:
    with hospital.running(tmp_path / "run") as system:
        run = Run(system)
        for card in CARDS:
            outcome = run.episode(next(episodes(1, card)))
            assert outcome.violations == []
            assert outcome.hit, f"{card} was not met"
            assert set(outcome.states.values()) == {"DELIVERED"}
