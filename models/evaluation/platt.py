"""Scaling of an output as a part of the network: a slope and an offset per sign or per mask.

The two looks at a film are averaged as log odds, and an affine step commutes with that mean: so it
can stand inside the network, and every reader of the bundle gets calibrated chances of signs, and
masks whose edge is where one half is.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper, numpy_helper

from models.anatomy.session import OUTPUT
from models.errors import WeightsMismatch

if TYPE_CHECKING:
    from models.training.measures import Numbers


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the graph the scaling of one ``output`` stands."""

    output: str
    prefix: str

    @property
    def target(self) -> str:
        """Name of the network's output, before and after."""
        return f"{OUTPUT}{self.output}"

    @property
    def slope(self) -> str:
        """Name of the slopes' weights."""
        return f"{self.prefix}_slope"

    @property
    def offset(self) -> str:
        """Name of the offsets' weights."""
        return f"{self.prefix}_offset"

    @property
    def raw(self) -> str:
        """Name of the unscaled value inside the graph."""
        return f"{self.prefix}_raw"


SIGNS, MASKS = Place("signs", "calibration"), Place("masks", "mask_level")


def read(network: Path, place: Place = SIGNS) -> "tuple[Numbers, Numbers] | None":
    """Return the slopes and offsets that a network holds, None where it holds none."""
    kept = {one.name: one for one in onnx.load(str(network)).graph.initializer}
    if place.slope not in kept:
        return None
    return numpy_helper.to_array(kept[place.slope]), numpy_helper.to_array(kept[place.offset])


def fold(network: Path, slopes: "Numbers", offsets: "Numbers", place: Place = SIGNS) -> None:
    """Write slopes and offsets into a network file, in place of those it holds.

    Shape ``(20,)`` for signs, ``(8, 1, 1)`` for masks.

    Raises
    ------
    WeightsMismatch
        If the network has no such output.
    """
    model = onnx.load(str(network))
    graph = model.graph
    values = {
        place.slope: np.asarray(slopes, np.float32),
        place.offset: np.asarray(offsets, np.float32),
    }
    kept = [one for one in graph.initializer if one.name not in values]
    known = len(kept) < len(graph.initializer)
    del graph.initializer[:]
    graph.initializer.extend(kept)
    graph.initializer.extend(numpy_helper.from_array(v, name) for name, v in values.items())
    if not known:
        _insert(graph, place)
    onnx.save(model, str(network))


def _insert(graph: onnx.GraphProto, place: Place) -> None:
    """Put slope and offset between the output's maker and the output; other readers keep raw."""
    if not any(place.target in node.output for node in graph.node):
        raise WeightsMismatch(f"the network has no output for {place.output}")
    for node in graph.node:
        for names in (node.output, node.input):
            for index, name in enumerate(names):
                if name == place.target:
                    names[index] = place.raw
    scaled = f"{place.raw}_scaled"
    graph.node.append(helper.make_node("Mul", [place.raw, place.slope], [scaled]))
    graph.node.append(helper.make_node("Add", [scaled, place.offset], [place.target]))
