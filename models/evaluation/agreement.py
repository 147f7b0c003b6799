"""How near the served file is to the trained weights, with everything that was folded into it.

``python -m models.evaluation.agreement --weights RUN/last.pt --bundle DIR``

The export compares before limits, scaling and mask levels are chosen; this compares the finished
bundle, by its own limits, and keeps the result beside the weights.
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from models.anatomy.network import AnatomyPerception
from models.anatomy.session import NETWORK_FILE
from models.bundles import load
from models.evaluation import platt
from models.training import moving, onnx_file
from models.training.export import AGREEMENT, FIGURES, settle

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from models.training.measures import Numbers


def measure(network: AnatomyPerception, folder: Path) -> dict[str, Any]:
    """Compare ONNX Runtime with PyTorch on the example films; the network is simplified.

    ``box`` (share of the square), ``probability`` and ``decisions`` (films decided otherwise) are
    of the served file against the same rounded weights; ``rounding`` holds the same three of the
    trained weights against the rounded ones.

    Raises
    ------
    RuntimeError
        If the file is further off than :mod:`models.training.onnx_file` allows.
    """
    bundle = load(folder)
    trained = onnx_file.look(network.eval(), onnx_file.films(bundle.input_side))
    onnx_file.simplify(network)
    return onnx_file.compare(network, bundle, trained, scaling(folder / NETWORK_FILE))


def scaling(network: Path) -> "Callable[[Mapping[str, Numbers]], dict[str, Numbers]]":
    """Return what does to PyTorch's outputs what the network file holds as scaling."""
    changes = {place.output: platt.read(network, place) for place in (platt.SIGNS, platt.MASKS)}

    def folded(seen: "Mapping[str, Numbers]") -> "dict[str, Numbers]":
        outputs = dict(seen)
        for name, held in changes.items():
            if held is not None and name in outputs:
                outputs[name] = np.asarray(outputs[name] * held[0] + held[1], np.float32)
        return outputs

    return folded


def main() -> None:
    """Compare and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("weights", "bundle"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    chosen = parser.parse_args()
    network = moving.network_of(torch.load(chosen.weights, weights_only=True)["mean"])
    told = measure(network, chosen.bundle)
    figures = json.loads((chosen.bundle / FIGURES).read_text())
    settle(chosen.bundle, {}, {**figures, AGREEMENT: told})
    print(json.dumps(told, indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
