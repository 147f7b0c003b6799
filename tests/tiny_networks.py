"""Bundles with made-up networks: constants for every head, so that loading can be tested alone."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models import bundles
from models.fakes import LAYOUT
from models.vocabulary import AnatomicStructure

SIDE = 64
TEXTS = {
    "name": "tiny", "version": "1", "role": "anatomy", "use": "demo", "architecture": "constants",
    "licence": "none", "intended_use": "tests", "card": "none",
}  # fmt: skip
INTENSITY = "bright = dense; 0..1 as stored"


def boxes() -> np.ndarray:
    """Centre and size of the test body's regions, (36, 4)."""
    corners = np.asarray([LAYOUT[name] for name in AnatomicStructure], np.float32)
    return np.concatenate(
        [(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], axis=1
    )


def network(path: Path, outputs: Mapping[str, np.ndarray], side: int = SIDE) -> None:
    """Write a network that answers every film with the same values (without batch axis)."""
    nodes, constants, ports = [], [], []
    nodes.append(helper.make_node("ReduceMean", ["film", "axes"], ["grey"], keepdims=0))
    nodes.append(helper.make_node("Mul", ["grey", "nought"], ["none"]))
    constants.append(numpy_helper.from_array(np.asarray([1, 2, 3]), "axes"))
    constants.append(numpy_helper.from_array(np.float32(0), "nought"))
    for name, given in outputs.items():
        value = np.asarray(given, np.float32)
        shape = np.asarray([-1, *(1 for _ in value.shape)])
        constants.append(numpy_helper.from_array(shape, f"{name}_shape"))
        constants.append(numpy_helper.from_array(value[None], f"{name}_value"))
        nodes.append(helper.make_node("Reshape", ["none", f"{name}_shape"], [f"{name}_none"]))
        nodes.append(helper.make_node("Add", [f"{name}_none", f"{name}_value"], [name]))
        ports.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *value.shape]))
    film = helper.make_tensor_value_info("film", TensorProto.FLOAT, ["n", 1, side, side])
    graph = helper.make_graph(nodes, "tiny", [film], ports, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, str(path))


def write(
    folder: Path, outputs: Mapping[str, np.ndarray], tables: Mapping[str, Mapping[str, Any]],
    side: int = SIDE,
) -> bundles.Bundle:  # fmt: skip
    """Write network and manifest, and load them; ``tables`` adds to and overrules the manifest."""
    folder.mkdir(parents=True)
    network(folder / "network.onnx", outputs, side)
    whole: dict[str, dict[str, Any]] = {
        "input": {"side": SIDE, "intensity": INTENSITY},
        "output": {"heads": list(outputs), "regions": list(AnatomicStructure)},
        "thresholds": {},
        "operating": {},
        "cardiothoracic": {"bias": 0.0, "sd": 0.02},
        "limits": {"sentences": ["Sees nothing."]},
        "files": {"network.onnx": bundles.digest(folder / "network.onnx")},
    }
    for name, table in tables.items():
        whole[name] = {**whole.get(name, {}), **table}
    lines = [f"{key} = {json.dumps(value)}" for key, value in TEXTS.items()]
    for name, table in whole.items():
        lines += [f"[{name}]", *(f"{json.dumps(k)} = {json.dumps(v)}" for k, v in table.items())]
    (folder / "bundle.toml").write_text("\n".join(lines) + "\n")
    return bundles.load(folder)
