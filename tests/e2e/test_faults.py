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

# `make faults` draws from all.
ALWAYS = ("failpoint:listener.after-commit", "frozen:worker.before-encode")
WHERE_POSSIBLE = ("order:syscalls", "power:cut")


def test_a_handful_of_faults_is_met_and_every_study_survives_it(tmp_path: Path) -> None:
    with hospital.running(tmp_path / "run") as system:
        run = Run(system)
        for card in (*ALWAYS, *WHERE_POSSIBLE):
            outcome = run.episode(next(episodes(1, card)))
            assert outcome.violations == []
            assert set(outcome.states.values()) == {"DELIVERED"}
            if card in ALWAYS or not any("skipped" in note for note in outcome.notes):
                assert outcome.hit, f"{card} was not met: {outcome.notes}"
