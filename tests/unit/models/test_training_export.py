"""The exported file computes what PyTorch computes, is half as large, and says so."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

from models.anatomy.eye import OnnxEye  # noqa: E402
from models.anatomy.network import AnatomyPerception, ApmConfig  # noqa: E402
from models.training import export, onnx_file  # noqa: E402
from models.values import ChestImage  # noqa: E402

SMALL = ApmConfig(dim=32, layers=(1, 1), feedforward=32, object_dim=8)


@pytest.fixture(scope="module")
def network() -> AnatomyPerception:
    torch.manual_seed(1)
    made = AnatomyPerception(SMALL)
    with torch.no_grad():  # statistics that a normalisation can be fused with
        for module in made.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2.0)
    return made.eval()


def test_a_simplified_network_computes_nearly_the_same_with_weights_of_half_precision(
    network: AnatomyPerception,
) -> None:
    import copy  # noqa: PLC0415

    film = torch.rand(2, 1, 320, 320)
    simple = copy.deepcopy(network)
    onnx_file.simplify(simple)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in simple.modules())
    for weight in simple.parameters():
        if weight.ndim > 1:
            assert torch.equal(weight, weight.half().float())
    with torch.no_grad():
        before, after = network(film), simple(film)
    for head, value in before.items():
        assert float((value - after[head]).abs().max()) < 0.05, head


@pytest.mark.filterwarnings("ignore")  # of the exporter's own libraries
def test_the_exported_bundle_agrees_with_pytorch_and_keeps_the_comparison(
    network: AnatomyPerception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_file, "FILMS", 6)
    made = export.of_network(network, {"version": "9.9"}, tmp_path / "bundle")
    assert made.version == "9.9"
    assert made.heads == {"boxes", "embedding", *SMALL.extra_heads}
    told = json.loads((made.folder / export.FIGURES).read_text())[export.AGREEMENT]
    assert told["films"] == 6
    assert told["box"] <= onnx_file.MOST_BOX
    assert told["probability"] <= onnx_file.MOST_CHANCE
    assert told["decisions"] == 0
    weights = sum(p.numel() for p in network.parameters())
    content = (made.folder / "network.onnx").read_bytes()
    assert len(content) < 3 * weights
    assert re.search(rb"[\w/-]{4,}\.py\b|site-packages|/home/", content) is None
    films = [ChestImage(str(n), np.random.default_rng(n).random((90, 80), np.float32))
             for n in range(3)]  # fmt: skip
    sights = OnnxEye(made, intra_op_num_threads=1).look(films)  # the batch axis is free
    assert all(len(sight.regions) == 36 and len(sight.signs) == 20 for sight in sights)

    calibrated = export.settle(made.folder, {"version": "10"}, {"real": {"films": 3}})
    assert calibrated.version == "10"
    assert calibrated.heads == made.heads
    kept = json.loads((made.folder / export.FIGURES).read_text())
    assert kept == {export.AGREEMENT: told, "real": {"films": 3}}


def outputs(box: float, sign: float) -> dict[str, Any]:
    return {"boxes": np.full((36, 4), box, np.float32), "signs": np.asarray([sign], np.float32)}


def test_a_difference_of_a_box_a_chance_or_a_decision_is_seen() -> None:
    declared = SimpleNamespace(
        heads={"boxes", "signs"},
        thresholds={},
        quality_thresholds={},
        sign_thresholds={"nodule": (0.2, 0.5)},
    )

    def between(first: dict[str, Any], second: dict[str, Any]) -> dict[str, float]:
        return onnx_file.differences(declared, [first], [second])  # type: ignore[arg-type]

    assert between(outputs(0.5, 1.0), outputs(0.5, 1.0)) == {
        "box": 0.0, "probability": 0.0, "decisions": 0,
    }  # fmt: skip
    assert between(outputs(0.5, 1.0), outputs(0.51, 1.0))["box"] == pytest.approx(0.01)
    assert between(outputs(0.5, 0.01), outputs(0.5, -0.01))["decisions"] == 1
