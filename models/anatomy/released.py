"""The checkpoint of AnatomiX's anatomy perception module as a bundle, read strictly, offline.

``python -m models.anatomy.released CHECKPOINT OUT`` takes the ``.pth`` file as its authors' code
writes it (a pickle with ``model``, optimisers and ``args``), keeps the vision part, drops the text
part, checks every key and shape against :class:`models.anatomy.network.AnatomyPerception`, and
writes a bundle for research. It was never opened on a published file: none has been published.
"""

import argparse
import json
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, Final

import torch

from models.anatomy.network import REGIONS, RELEASED, AnatomyPerception
from models.bundles import digest
from models.bundles import load as load_bundle
from models.errors import WeightsMismatch
from models.manifest import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from models.bundles import Bundle

VISION, TEXT = "vis_model.", "text_model."
WEIGHTS_FILE: Final = "weights.safetensors"
SIDE: Final = 1024  # px
ARCHITECTURE: Final = "anatomix-apm/released"
MOST_NAMED = 6  # keys that an error message lists


def read(checkpoint: Path) -> "dict[str, Tensor]":
    """Return the vision part of a checkpoint, its keys without their prefix.

    Only tensors, plain containers and ``argparse.Namespace`` are unpickled, nothing that could run.

    Raises
    ------
    WeightsMismatch
        If it is no such checkpoint, or holds something that belongs to neither part.
    """
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            whole: Any = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, ValueError, LookupError) as error:
        raise WeightsMismatch(f"{checkpoint}: {type(error).__name__} on unpickling") from error
    model = whole.get("model") if isinstance(whole, dict) else None
    if not isinstance(model, dict):
        raise WeightsMismatch(f"{checkpoint} has no entry 'model' with weights")
    strange = sorted(str(key) for key in model if not str(key).startswith((VISION, TEXT)))
    if strange:
        raise WeightsMismatch(f"{checkpoint}: of neither part: {_some(strange)}")
    return {k.removeprefix(VISION): v for k, v in model.items() if k.startswith(VISION)}


def network(weights: "Mapping[str, Tensor]") -> AnatomyPerception:
    """Return the full-size network with these weights.

    Raises
    ------
    WeightsMismatch
        If a key is missing or surplus, or a tensor has another shape or is not finite.
    """
    made = AnatomyPerception(RELEASED)
    own = made.state_dict()
    faults = []
    if missing := sorted(own.keys() - weights.keys()):
        faults.append(f"missing: {_some(missing)}")
    if surplus := sorted(weights.keys() - own.keys()):
        faults.append(f"surplus: {_some(surplus)}")
    shared = sorted(own.keys() & weights.keys())
    if other := [k for k in shared if own[k].shape != weights[k].shape]:
        faults.append(f"of another shape: {_some(other)}")
    if broken := [k for k in shared if not bool(torch.isfinite(weights[k]).all())]:
        faults.append(f"not finite: {_some(broken)}")
    if faults:
        raise WeightsMismatch("weights " + "; ".join(faults))
    made.load_state_dict(dict(weights))
    return made.eval()


def convert(checkpoint: Path, out: Path) -> "Bundle":
    """Write a bundle of a checkpoint and load it back, verified.

    Raises
    ------
    WeightsMismatch
        See :func:`read` and :func:`network`.
    FileExistsError
        If the folder is there already.
    """
    from safetensors.torch import save_file  # noqa: PLC0415 - for training and conversion only

    weights = read(checkpoint)
    network(weights)
    out.mkdir(parents=True)
    save_file({k: v.contiguous() for k, v in weights.items()}, out / WEIGHTS_FILE)
    (out / MANIFEST).write_text(_manifest(digest(out / WEIGHTS_FILE)), encoding="utf-8")
    return load_bundle(out)


def load(folder: Path) -> AnatomyPerception:
    """Return the network of a bundle that :func:`convert` made.

    Raises
    ------
    BundleMissing, BundleInvalid, WeightsMismatch
        If the bundle, a hash, a key or a shape is not what it should be.
    """
    from safetensors.torch import load_file  # noqa: PLC0415

    bundle = load_bundle(folder)
    if bundle.architecture != ARCHITECTURE:
        raise WeightsMismatch(f"{folder} is {bundle.architecture!r}, not {ARCHITECTURE!r}")
    return network(load_file(folder / WEIGHTS_FILE))


def _manifest(weights_sha256: str) -> str:
    """Return the text of ``bundle.toml``: boxes, embeddings and image classes, nothing measured."""
    texts = {
        "name": "anatomix-apm", "version": "released", "role": "anatomy-apm", "use": "research",
        "architecture": ARCHITECTURE, "licence": "not stated by its authors",
        "intended_use": "research; nothing about it has been measured here",
        "card": "docs/models/anatomix-apm.md",
    }  # fmt: skip
    tables: dict[str, dict[str, Any]] = {
        "input": {"side": SIDE, "intensity": "bright = dense; 0..1 as stored"},
        "output": {"heads": ["boxes", "embedding", "classes"], "regions": list(REGIONS)},
        "thresholds": {}, "operating": {}, "cardiothoracic": {"bias": 0.0, "sd": 1.0},
        "limits": {"sentences": ["Nothing about this network has been measured here."]},
        "files": {WEIGHTS_FILE: weights_sha256},
    }  # fmt: skip
    lines = [f"{key} = {json.dumps(value)}" for key, value in texts.items()]
    for name, table in tables.items():
        lines += ["", f"[{name}]"]
        lines += [f"{json.dumps(key)} = {json.dumps(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def _some(keys: list[str]) -> str:
    rest = len(keys) - MOST_NAMED
    return ", ".join(keys[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def main() -> None:
    """Convert."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    chosen = parser.parse_args()
    made = convert(chosen.checkpoint, chosen.out)
    print(f"{made.name} {made.version} {made.weights_sha256}")  # noqa: T201


if __name__ == "__main__":
    main()
