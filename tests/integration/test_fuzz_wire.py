"""A small part of the fuzzer's associations and PDUs, against a real listener, in every run."""

from pathlib import Path

import pytest

from scripts.fuzz import child, targets

pytestmark = pytest.mark.integration
SEED = 20261122


@pytest.mark.parametrize("layer", ["association", "pdu"])
def test_damaged_associations_hurt_nobody_but_themselves(layer: str, tmp_path: Path) -> None:
    result = child.run(layer, (SEED, 0, 60), tmp_path / "at", targets.LAYERS[layer])
    assert result["failures"] == []
    assert sum(result["outcomes"].values()) == 60


def test_an_input_that_once_ended_a_thread_with_a_traceback_does_so_no_more(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    result = child.run("association", (1, 0, 1), tmp_path / "at", targets.LAYERS["association"])
    assert result["failures"] == []
    assert "Traceback" not in capfd.readouterr().err
