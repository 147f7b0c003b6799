"""The finished bundle against PyTorch, and how the card tells it."""

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from models.anatomy.network import AnatomyPerception, ApmConfig  # noqa: E402
from models.evaluation import agreement, card, platt  # noqa: E402
from models.training import export, onnx_file  # noqa: E402

SMALL = ApmConfig(dim=32, layers=(1, 1), feedforward=32, object_dim=8)

TOLD = {"films": 64, "box": 1.2e-06, "probability": 3e-06, "decisions": 0,
        "rounding": {"box": 0.0035, "probability": 0.12, "decisions": 3}}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """A bundle of a small random network, and its weights as they were before it was simplified."""
    torch.manual_seed(3)
    network = AnatomyPerception(SMALL).eval()
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    folder = tmp_path_factory.mktemp("agreement") / "bundle"
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")  # of the exporter's own libraries
        patch.setattr(onnx_file, "FILMS", 4)
        export.of_network(network, {"version": "1"}, folder)
    return folder, weights


@pytest.fixture(autouse=True)
def _few_films(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "FILMS", 4)


def _network(weights: dict) -> AnatomyPerception:
    network = AnatomyPerception(SMALL)
    network.load_state_dict(weights)
    return network.eval()


def test_a_file_with_scaling_folded_in_still_agrees(
    made: tuple[Path, dict], tmp_path: Path
) -> None:
    folder, weights = made
    scaled = tmp_path / "scaled"
    shutil.copytree(folder, scaled)
    platt.fold(scaled / "network.onnx", np.full(20, 1.5), np.full(20, -0.5))
    platt.fold(scaled / "network.onnx", np.ones((8, 1, 1)), np.full((8, 1, 1), 0.7), platt.MASKS)
    export.settle(scaled, {})
    told = agreement.measure(_network(weights), scaled)
    assert told["box"] <= 1e-4
    assert told["probability"] <= 1e-3
    assert told["decisions"] == 0
    assert told["rounding"]["box"] >= 0


def test_a_file_of_other_weights_is_found_out(made: tuple[Path, dict]) -> None:
    folder, weights = made
    other = dict(weights)
    for name in list(other):
        if name.startswith("edges"):
            other[name] = other[name] + 1.0
    with pytest.raises(RuntimeError, match="differ"):
        agreement.measure(_network(other), folder)


def test_the_card_tells_masks_groups_and_agreement() -> None:
    group = {"films": 12, "patients": 9, "refused": 0.0, "right_side_right": 0.985,
             "lung_iou": None, "lung_films": 0, "no_finding_called_abnormal": 0.125,
             "no_finding_films": 8}  # fmt: skip
    figures = {
        "bundle": "b 1", "network_sha256": "0" * 64, "part": "test", "figures": [],
        "masks": {"heart": {"iou": 0.91, "films": 40, "drawn_without": None,
                            "shown_without": None}},
        "signs": {"nodule": {"auroc": 0.66, "with": 75, "without": 373,
                             "size_mm": {"median": 18.0, "auroc_up_to": 0.6,
                                         "auroc_above": 0.72}}},
        card.GROUPS: {"women": group}, card.AGREEMENT: TOLD,
        "regions": {"spine": {"iou": 0.8, "mean_box": 0.4, "r_at_0.5": 1.0, "r_at_0.7": 0.9,
                              "centre_error_percent": 1.25}},
        "region_masks": {"spine": {"iou": 0.47, "own_box_filled": 0.4, "films": 30}},
    }  # fmt: skip
    text = card.tables(json.loads(json.dumps(figures)))
    assert "| heart | 0.91 | 40 | -, - |" in text
    assert "| women | 12, 9 | 0.0 % | 98.5 % | too few (0) | 12.5 % (8) |" in text
    assert "| nodule | 0.66 | 75 : 373 | 0.60, 0.72 (at 18) |" in text
    assert "films decided otherwise 0" in text
    assert "| spine | 0.80 | 0.40 | 1.00 | 0.90 | 1.25 | 0.47 | 0.40 |" in text
    del figures["region_masks"]
    assert "| spine | 0.80 | 0.40 | 1.00 | 0.90 | 1.25 |\n" in card.tables(figures)
    assert "0.0035, 0.12, 3." in text
