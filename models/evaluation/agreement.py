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
from models.anatomy.session import NETWORK_FILE, Session
from models.bundles import load
from models.evaluation import platt
from models.training import onnx_file
from models.training.export import AGREEMENT, FIGURES, settle

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from models.training.measures import Numbers

THREADS = 2


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
    given = onnx_file.films(bundle.input_side)
    trained = scaled(onnx_file.look(network.eval(), given), folder / NETWORK_FILE)
    onnx_file.simplify(network)
    rounded = scaled(onnx_file.look(network, given), folder / NETWORK_FILE)
    session = Session(bundle, "CPUExecutionProvider", THREADS)
    served = onnx_file.within(onnx_file.differences(bundle, session.run(given), rounded))
    rounding = onnx_file.differences(bundle, trained, rounded)
    return {"films": len(given), **served, "rounding": rounding}


def scaled(seen: "Sequence[Mapping[str, Numbers]]", network: Path) -> "list[dict[str, Numbers]]":
    """Apply to PyTorch's outputs what the network file holds as scaling."""
    changes = {place.output: platt.read(network, place) for place in (platt.SIGNS, platt.MASKS)}
    found = []
    for one in seen:
        outputs = dict(one)
        for name, held in changes.items():
            if held is not None and name in outputs:
                outputs[name] = np.asarray(outputs[name] * held[0] + held[1], np.float32)
        found.append(outputs)
    return found


def main() -> None:
    """Compare and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("weights", "bundle"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    chosen = parser.parse_args()
    network = AnatomyPerception()
    network.load_state_dict(torch.load(chosen.weights, weights_only=True)["mean"])
    told = measure(network, chosen.bundle)
    figures = json.loads((chosen.bundle / FIGURES).read_text())
    settle(chosen.bundle, {}, {**figures, AGREEMENT: told})
    print(json.dumps(told, indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
