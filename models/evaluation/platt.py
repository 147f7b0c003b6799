"""Platt's scaling as a part of the network: one slope and one offset per sign, at its output.

The two looks at a film are averaged as log odds, and an affine step commutes with that mean: so it
can stand inside the network, and every reader of the bundle gets calibrated chances.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper, numpy_helper

from models.anatomy.session import OUTPUT
from models.errors import WeightsMismatch

if TYPE_CHECKING:
    from models.training.measures import Numbers

SLOPE, OFFSET, RAW = "calibration_slope", "calibration_offset", "calibration_raw"
TARGET = f"{OUTPUT}signs"


def read(network: Path) -> "tuple[Numbers, Numbers] | None":
    """Return the slopes and offsets that a network holds, None where it holds none."""
    kept = {one.name: one for one in onnx.load(str(network)).graph.initializer}
    if SLOPE not in kept:
        return None
    return numpy_helper.to_array(kept[SLOPE]), numpy_helper.to_array(kept[OFFSET])


def fold(network: Path, slopes: "Numbers", offsets: "Numbers") -> None:
    """Write slopes and offsets ``(20,)`` into a network file, in place of those it holds.

    Raises
    ------
    WeightsMismatch
        If the network has no output for signs.
    """
    model = onnx.load(str(network))
    graph = model.graph
    values = {SLOPE: np.asarray(slopes, np.float32), OFFSET: np.asarray(offsets, np.float32)}
    kept = [one for one in graph.initializer if one.name not in values]
    known = len(kept) < len(graph.initializer)
    del graph.initializer[:]
    graph.initializer.extend(kept)
    graph.initializer.extend(numpy_helper.from_array(v, name) for name, v in values.items())
    if not known:
        makers = [node for node in graph.node if TARGET in node.output]
        if not makers:
            raise WeightsMismatch("the network has no output for signs")
        for node in graph.node:
            for names in (node.output, node.input):
                for place, name in enumerate(names):
                    if name == TARGET:
                        names[place] = RAW
        scaled = f"{RAW}_scaled"
        graph.node.append(helper.make_node("Mul", [RAW, SLOPE], [scaled]))
        graph.node.append(helper.make_node("Add", [scaled, OFFSET], [TARGET]))
    onnx.save(model, str(network))
