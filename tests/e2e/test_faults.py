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

# Both are met however quick the machine is; `make faults` draws from all.
CARDS = ("failpoint:listener.after-commit", "frozen:worker.before-encode")


# The campaign's sender is cut off again and again, and pynetdicom does not close such sockets.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_study_survives_a_kill_and_a_frozen_worker(tmp_path: Path) -> None:
    with hospital.running(tmp_path / "run") as system:
        run = Run(system)
        for card in CARDS:
            outcome = run.episode(next(episodes(1, card)))
            assert outcome.violations == []
            assert outcome.hit, f"{card} was not met"
            assert set(outcome.states.values()) == {"DELIVERED"}
