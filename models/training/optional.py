"""Outputs of an ONNX file that are computed only when they are wanted."""

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    import onnx


def put_off(model: "onnx.ModelProto", output: str, switch: str) -> None:
    """Move what ``output`` alone needs under an ``If``, in place.

    ``switch`` becomes an input with a default: true, so that whoever does not know of it gets all
    outputs. With false this one has no films, ``(0, ...)``. ONNX Runtime has an option to compute
    only what leads to the outputs it is asked for, and (1.31, on a processor) computes all.
    """
    graph = model.graph
    told = next(one for one in graph.output if one.name == output)
    shared = _needed(graph, [one.name for one in graph.output if one.name != output])
    alone = _needed(graph, [output]) - shared
    inside = [node for node in graph.node if node.output[0] in alone]
    outside = [node for node in graph.node if node.output[0] not in alone]
    shape = [dim.dim_value for dim in told.type.tensor_type.shape.dim]
    wanted, none = f"{output}.wanted", f"{output}.none"
    for node in inside:
        node.output[:] = [wanted if name == output else name for name in node.output]
    nothing = numpy_helper.from_array(np.zeros((0, *shape[1:]), np.float32), none)
    empty = helper.make_node("Constant", [], [none], value=nothing)
    branches = {
        f"{name}_branch": helper.make_graph(
            nodes, f"{output}.{name}", [], [helper.make_tensor_value_info(
                result, TensorProto.FLOAT, [None, *shape[1:]])])
        for name, nodes, result in (("then", inside, wanted), ("else", [empty], none))
    }  # fmt: skip
    choice = helper.make_node("If", [switch], [output], **branches)
    del graph.node[:]
    graph.node.extend([*outside, choice])
    graph.input.append(helper.make_tensor_value_info(switch, TensorProto.BOOL, []))
    graph.initializer.append(numpy_helper.from_array(np.asarray(a=True), switch))
    told.type.tensor_type.shape.dim[0].dim_param = f"{output}.films"


def _needed(graph: "onnx.GraphProto", outputs: list[str]) -> set[str]:
    """Return the first outputs of all nodes that lead to ``outputs``."""
    nodes = list(graph.node)
    makers = {name: node for node in nodes for name in node.output}
    found: set[str] = set()
    waiting = list(outputs)
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node.output[0] not in found:
            found.add(node.output[0])
            waiting += node.input
    return found
