"""Take a bundle's weights back into PyTorch, so that a head can be added to what is served.

``python -m models.training.restore --bundle DIR --out weights.pt``

The file holds weights as :mod:`models.training.onnx_file` left them: in half precision, with
normalisations inside their convolutions. They come back as normalisations that change nothing but
add a bias, so that another export writes the same numbers. What was folded in after the export
(scaling of signs, levels of masks) is not part of them: calibration finds it again.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from models.anatomy.network import MINIATURE, AnatomyPerception, ApmConfig
from models.anatomy.session import NETWORK_FILE
from models.bundles import Bundle, load
from models.errors import WeightsMismatch
from models.training.moving import FINEST
from models.training.onnx_file import nodes_of

PREFIX, HALF = "network.", ".half"
QUERIES, QUERY_AXES = "query_embed.weight", 3


def network_of(bundle: Bundle) -> AnatomyPerception:
    """Return the miniature of a bundle with its weights and its declared heads.

    Raises
    ------
    WeightsMismatch
        If a weight is missing in the file, has another shape, or is left over.
    """
    declared = tuple(sorted(bundle.heads - {"boxes", "embedding"}))
    kept = _kept(bundle.folder / NETWORK_FILE)
    fine = len(kept[FINEST]) if FINEST in kept else MINIATURE.fine_dim
    network = AnatomyPerception(ApmConfig(extra_heads=declared, fine_dim=fine)).eval()
    bias_of = _norms(network)
    state = network.state_dict()
    still = {name for name in state if name.rpartition(".")[0] in bias_of}
    wanted = {name for name in state if name not in still}
    wanted |= {f"{conv}.bias" for conv in bias_of.values()}
    if wanted != set(kept):
        missing, surplus = sorted(wanted - set(kept)), sorted(set(kept) - wanted)
        raise WeightsMismatch(f"weights missing {missing}, left over {surplus}")
    for norm, conv in bias_of.items():
        kept[f"{norm}.bias"] = kept.pop(f"{conv}.bias")
        kept[f"{norm}.weight"] = torch.sqrt(state[f"{norm}.running_var"] + _eps(network, norm))
    try:
        network.load_state_dict({**state, **kept})
    except RuntimeError as error:
        raise WeightsMismatch(f"weights of {bundle.name} have other shapes: {error}") from error
    return network


def _kept(file: Path) -> dict[str, Tensor]:
    """Return the weights in a file by their names in PyTorch."""
    graph = onnx.load(str(file)).graph
    values = {one.name.removesuffix(HALF): numpy_helper.to_array(one) for one in graph.initializer}
    found = {n.removeprefix(PREFIX): v for n, v in values.items() if n.startswith(PREFIX)}
    nodes = list(nodes_of(graph))
    readers = {name: node for node in nodes for name in node.input}
    for node in nodes:  # a linear layer over tokens: its weights lie the other way, nameless
        if node.op_type != "MatMul" or node.input[1] not in values:
            continue
        reader = readers.get(node.output[0])
        for bias in (n for n in (reader.input if reader else ()) if n.startswith(PREFIX)):
            layer = bias.removeprefix(PREFIX).removesuffix(".bias")
            found[f"{layer}.weight"] = values[node.input[1]].T
    lifted = [v for n, v in values.items() if n.startswith("unsqueeze") and v.any()]
    queries = [v for v in lifted if v.ndim == QUERY_AXES]
    if not queries or any(not np.array_equal(queries[0], other) for other in queries):
        raise WeightsMismatch("the file holds no queries of regions, or several")
    found[QUERIES] = queries[0][0]
    return {n: torch.from_numpy(np.array(v, np.float32)) for n, v in found.items()}


def _norms(network: nn.Module) -> dict[str, str]:
    """Name each normalisation's convolution, as models.training.onnx_file.simplify pairs them."""
    found = {}
    for path, module in network.named_modules():
        for (first, conv), (second, norm) in pairwise(module.named_children()):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                found[f"{path}.{second}"] = f"{path}.{first}"
    return found


def _eps(network: nn.Module, norm: str) -> float:
    module = network.get_submodule(norm)
    assert isinstance(module, nn.BatchNorm2d)
    return module.eps


def main() -> None:
    """Restore, as a file that ``models.training.train --start`` takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("bundle", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    chosen = parser.parse_args()
    torch.save({"mean": network_of(load(chosen.bundle)).state_dict()}, chosen.out)


if __name__ == "__main__":
    main()
