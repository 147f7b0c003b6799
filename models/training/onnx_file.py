"""Networks as ONNX files: rounded, written, made small, and compared with PyTorch."""

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from models.anatomy.preparation import to_square
from models.anatomy.reading import sigmoid
from models.anatomy.session import CPU, INPUT, ON_DEMAND, OUTPUT, SWITCH, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import onnx
    from numpy.typing import NDArray
    from torch import Tensor

    from models.anatomy.network import AnatomyPerception
    from models.bundles import Bundle

    Numbers = NDArray[np.float32]

OPSET = 18
MOST_BOX, MOST_CHANCE = 1e-4, 1e-3  # of the square's side; of a probability
FILMS = 64
EXAMPLES = Path(__file__).parent.parent / "examples"
SMALL = 256  # numbers; what is smaller is not worth a cast


def simplify(network: nn.Module) -> None:
    """Take normalisations into their convolutions and round weights to half precision, in place.

    A normalisation belongs to the convolution that stands directly before it among the children
    of a module. What has one axis keeps its precision: biases and scales are few.
    """
    network.eval()
    with torch.no_grad():
        for module in list(network.modules()):
            for (_, first), (name, second) in pairwise(list(module.named_children())):
                if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                    fused = fuse_conv_bn_eval(first, second)
                    first.weight, first.bias = fused.weight, fused.bias
                    setattr(module, name, nn.Identity())
        for weight in network.parameters():
            if weight.ndim > 1:
                weight.copy_(weight.half().float())


class _Ordered(nn.Module):
    """The network with a tuple instead of a dictionary, in a known order."""

    def __init__(self, network: "AnatomyPerception", heads: list[str]) -> None:
        super().__init__()
        self.network, self.heads = network, heads

    def forward(self, film: "Tensor") -> "tuple[Tensor, ...]":
        """(B, 1, side, side) -> the heads."""
        seen = self.network(film)
        return tuple(seen[head] for head in self.heads)


def write(network: "AnatomyPerception", target: Path, side: int) -> list[str]:
    """Write a network with a free batch axis; returns its heads, sorted."""
    network.eval()
    film = torch.rand(2, 1, side, side)
    # The fused fast path of attention has no ONNX form.
    torch.backends.mha.set_fastpath_enabled(value=False)
    with torch.no_grad():
        heads = sorted(network(film))
        batch = torch.export.Dim("batch", min=1, max=1024)
        program = torch.onnx.export(
            _Ordered(network, heads).eval(), (film,), dynamo=True, opset_version=OPSET,
            input_names=[INPUT], output_names=[OUTPUT + head for head in heads],
            dynamic_shapes=({0: batch},), external_data=False,
        )  # fmt: skip
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    program.save(str(target), external_data=False)
    _tidy(target)
    return heads


def _tidy(target: Path) -> None:
    """Put off what is seldom wanted, store weights in half where that loses nothing, drop notes.

    The exporter's notes name source files and folders of the machine.
    """
    import onnx  # noqa: PLC0415 - only for this
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415

    from models.training.optional import put_off  # noqa: PLC0415 - needs onnx too

    model = onnx.load(str(target))
    for head in sorted(ON_DEMAND & {one.name.removeprefix(OUTPUT) for one in model.graph.output}):
        put_off(model, OUTPUT + head, SWITCH + head)
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        full = numpy_helper.to_array(tensor)
        half = full.astype(np.float16)
        if full.ndim < 2 or full.size < SMALL or not np.array_equal(half.astype(np.float32), full):  # noqa: PLR2004
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    for node in nodes_of(model.graph):
        node.doc_string = ""
        del node.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    target.write_bytes(model.SerializeToString())


def nodes_of(graph: "onnx.GraphProto") -> "Iterator[onnx.NodeProto]":
    """Yield the nodes of a graph and of the branches in it."""
    for node in graph.node:
        yield node
        for branch in node.attribute:
            if branch.HasField("g"):
                yield from nodes_of(branch.g)


def films(side: int) -> "Numbers":
    """Films to compare on, ``(FILMS, side, side)``: the frozen examples, turned and toned."""
    squares = []
    for path in sorted(EXAMPLES.glob("*.png")):
        with Image.open(path) as picture:
            squares.append(to_square(np.asarray(picture, np.float32), side))
    variants = [*squares, *(s[:, ::-1] for s in squares), *(s**1.6 for s in squares)]
    return np.stack(variants[:FILMS])


def look(network: nn.Module, given: "Numbers") -> "list[dict[str, Numbers]]":
    """Run squares ``(n, side, side)`` through PyTorch, one by one."""
    with torch.no_grad():
        return [
            {head: value[0].numpy() for head, value in network(torch.from_numpy(film)).items()}
            for film in np.ascontiguousarray(given)[:, None, None]
        ]


def compare(
    network: "AnatomyPerception",
    bundle: "Bundle",
    before: "Sequence[Mapping[str, Numbers]]",
    folded: "Callable[[Mapping[str, Numbers]], Mapping[str, Numbers]]" = dict,
) -> dict[str, Any]:
    """Measure how far ONNX Runtime is from PyTorch on :func:`films`.

    ``before`` is what the network gave before :func:`simplify`; how far it moved is told too.
    ``folded`` does to PyTorch's outputs what was folded into the file after its export.

    Raises
    ------
    RuntimeError
        If a box or a probability is further off than allowed, or a decision differs.
    """
    given = films(bundle.input_side)
    wanted = [folded(one) for one in look(network, given)]
    served = differences(bundle, Session(bundle, CPU, 2).run(given), wanted)
    if served["box"] > MOST_BOX or served["probability"] > MOST_CHANCE or served["decisions"]:
        raise RuntimeError(f"ONNX Runtime and PyTorch differ: {served}")
    rounding = differences(bundle, [folded(one) for one in before], wanted)
    return {"films": len(given), **served, "rounding": rounding}


def differences(
    bundle: "Bundle",
    first: "Sequence[Mapping[str, Numbers]]",
    second: "Sequence[Mapping[str, Numbers]]",
) -> dict[str, float]:
    """Return the largest difference of a box (share of the square) and of a probability.

    Only heads that both have are compared.
    ``decisions`` counts the films on which anything is decided otherwise.
    """
    pairs = list(zip(first, second, strict=True))
    judged = sorted({*pairs[0][0]} & {*pairs[0][1]} - {"boxes", "embedding", "spread"})
    chances = [np.abs(_chance(h, a[h]) - _chance(h, b[h])).max() for a, b in pairs for h in judged]
    return {
        "box": float(f"{max(np.abs(a['boxes'] - b['boxes']).max() for a, b in pairs):.2g}"),
        "probability": float(f"{max(chances, default=0.0):.2g}"),
        "decisions": sum(_decisions(bundle, a) != _decisions(bundle, b) for a, b in pairs),
    }


def _chance(head: str, logits: "Numbers") -> "Numbers":
    if head not in {"scope", "view"}:
        return sigmoid(logits)
    shifted = np.exp(logits - logits.max())
    return np.asarray(shifted / shifted.sum())


def _decisions(bundle: "Bundle", seen: "Mapping[str, Numbers]") -> list[Any]:
    """Everything that is decided by an order or by a limit of the bundle."""
    limits = {
        "findings": [bundle.thresholds[o] for o in bundle.thresholds],
        "signs": [bundle.sign_thresholds[s] for s in bundle.sign_thresholds],
        "quality": [bundle.quality_thresholds[q] for q in bundle.quality_thresholds],
    }
    decided: list[Any] = [int(np.argmax(seen[h])) for h in ("scope", "view") if h in seen]
    decided += [(seen[h] > 0).tolist() for h in ("presence", "mirrored") if h in seen]
    for head, pairs in limits.items():
        if head in seen:
            chances = sigmoid(seen[head])[:, None]
            decided.append((chances >= np.asarray(pairs, np.float32)).tolist())
    return decided
