"""Outputs of an ONNX file that wait until somebody wants them."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from models.training.onnx_file import nodes_of
from models.training.optional import put_off

FILM = np.arange(6, dtype=np.float32).reshape(2, 3)


def a_network(target: Path) -> onnx.ModelProto:
    """``out_a`` is twice the film; ``out_b`` the square of a third of that, by way of ``out_a``."""
    two, third = (numpy_helper.from_array(np.float32(v), n) for v, n in ((2, "two"), (1 / 3, "t")))
    nodes = [
        helper.make_node("Mul", ["film", "two"], ["out_a"]),
        helper.make_node("Mul", ["out_a", "t"], ["third"]),
        helper.make_node("Mul", ["third", "third"], ["out_b"]),
    ]
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3])
        for name in ("film", "out_a", "out_b")
    ]
    graph = helper.make_graph(nodes, "tiny", ports[:1], ports[1:], [two, third])
    opset = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=10)
    put_off(model, "out_b", "with_b")
    onnx.checker.check_model(model)
    onnx.save(model, str(target))
    return model


def test_what_one_output_alone_needs_waits_until_it_is_wanted(tmp_path: Path) -> None:
    model = a_network(tmp_path / "tiny.onnx")
    assert [node.op_type for node in model.graph.node] == ["Mul", "If"]
    assert [node.op_type for node in nodes_of(model.graph)].count("Mul") == 3
    session = onnxruntime.InferenceSession(
        str(tmp_path / "tiny.onnx"), providers=["CPUExecutionProvider"]
    )
    assert [one.name for one in session.get_inputs()] == ["film"]
    assert [one.name for one in session.get_overridable_initializers()] == ["with_b"]
    first, second = session.run(["out_a", "out_b"], {"film": FILM})
    assert first == pytest.approx(2 * FILM)
    assert second == pytest.approx((2 * FILM / 3) ** 2)
    off = {"film": FILM, "with_b": np.asarray(a=False)}
    first, second = session.run(["out_a", "out_b"], off)
    assert first == pytest.approx(2 * FILM)
    assert second.shape == (0, 3)
