"""Limits, scaling and sub-databases of a bundle, carried over to one with more heads."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import tiny_networks

from models.bundles import Bundle
from models.errors import WeightsMismatch
from models.evaluation import carry, platt
from models.vocabulary import Sign

SIGNS = [sign.value for sign in Sign]


def a_bundle(folder: Path, present: float, *, low: float = 0.1, **more: np.ndarray) -> Bundle:
    outputs = {"out_boxes": tiny_networks.boxes(),
               "out_signs": np.full(len(SIGNS), present, np.float32), **more}  # fmt: skip
    heads = [name.removeprefix("out_") for name in outputs]
    limits = {sign: [low, 0.5] for sign in SIGNS}
    return tiny_networks.write(
        folder, outputs, {"output": {"heads": heads, "signs": SIGNS}, "sign_thresholds": limits}
    )


def test_what_was_calibrated_goes_along_and_the_new_head_is_declared(tmp_path: Path) -> None:
    old = a_bundle(tmp_path / "old", 0.5, low=0.2)
    platt.fold(old.folder / "network.onnx", np.full(20, 2.0), np.full(20, -0.25))
    old = carry.settle(old.folder, {})
    masks = np.zeros((36, 8, 8), np.float32)
    new = a_bundle(tmp_path / "new", 0.5, out_region_masks=masks)
    made, apart = carry.carry(old, new, "2")
    assert made.version == "2"
    assert made.heads == {"boxes", "signs", "region_masks"}
    assert made.sign_thresholds == old.sign_thresholds
    assert made.limits == old.limits
    held = platt.read(made.folder / "network.onnx")
    assert held is not None
    assert held[0].tolist() == [2.0] * 20
    assert apart == {"box": 0.0, "probability": 0.0, "decisions": 0, "unscaled": 0.0}


def test_other_outputs_or_fewer_heads_are_refused(tmp_path: Path) -> None:
    old = a_bundle(tmp_path / "old", 0.5)
    with pytest.raises(WeightsMismatch, match="differ"):
        carry.carry(old, a_bundle(tmp_path / "other", 0.6), "2")
    boxes = {"boxes": tiny_networks.boxes()}
    with pytest.raises(WeightsMismatch, match="signs"):
        carry.carry(old, tiny_networks.write(tmp_path / "less", boxes, {}), "2")


def test_a_head_that_learnt_may_differ_and_no_other(tmp_path: Path) -> None:
    told, other = np.zeros((36, 4, 4), np.float32), np.ones((36, 4, 4), np.float32)
    old = a_bundle(tmp_path / "old", 0.5, out_region_masks=told)
    with pytest.raises(WeightsMismatch, match="differ"):
        carry.carry(old, a_bundle(tmp_path / "new", 0.5, out_region_masks=other), "2")
    new = a_bundle(tmp_path / "again", 0.5, out_region_masks=other)
    made, apart = carry.carry(old, new, "2", ["region_masks"])
    assert made.version == "2"
    assert apart["probability"] == 0.0
    third = a_bundle(tmp_path / "third", 0.6, out_region_masks=told)
    with pytest.raises(WeightsMismatch, match="differ"):
        carry.carry(old, third, "2", ["region_masks"])


def test_embeddings_are_compared_as_well(tmp_path: Path) -> None:
    first = np.zeros((36, 8), np.float32)
    old = a_bundle(tmp_path / "old", 0.5, out_embedding=first)
    with pytest.raises(WeightsMismatch, match="unscaled"):
        carry.carry(old, a_bundle(tmp_path / "new", 0.5, out_embedding=first + 0.01), "2")
