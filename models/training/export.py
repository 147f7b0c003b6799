"""Step 5: write trained weights as a bundle: ``network.onnx``, ``figures.json``, ``bundle.toml``.

``python -m models.training.export --weights DIR/last.pt --settings settings.json --out BUNDLE``
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from models.anatomy.eye import NETWORK_FILE, OUTPUTS
from models.anatomy.heads import MASKS, OBSERVATIONS
from models.anatomy.network import INPUT_SIDE, REGIONS, AnatomyPerception
from models.bundles import MANIFEST, digest, load

if TYPE_CHECKING:
    from models.bundles import Bundle

OPSET = 18
FIGURES = "figures.json"


def onnx(weights: Path, target: Path) -> None:
    """Export the running mean of the weights with a free batch dimension."""
    network = AnatomyPerception()
    network.load_state_dict(torch.load(weights, weights_only=True)["mean"])
    network.eval()
    film = torch.rand(2, 1, INPUT_SIDE, INPUT_SIDE)
    # The fused fast path of the encoder has no ONNX form.
    torch.backends.mha.set_fastpath_enabled(value=False)
    batch = torch.export.Dim("batch", min=1, max=64)
    with torch.no_grad():
        program = torch.onnx.export(
            network, (film,), dynamo=True, opset_version=OPSET, input_names=["film"],
            output_names=list(OUTPUTS), dynamic_shapes=({0: batch},), external_data=False,
        )  # fmt: skip
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    program.save(str(target), external_data=False)
    _forget_where_it_was_made(target)


def _forget_where_it_was_made(target: Path) -> None:
    """Take the exporter's notes out: they name source files and folders of the machine."""
    import onnx as format_of_networks  # noqa: PLC0415 - only for this

    model = format_of_networks.load(str(target))
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    target.write_bytes(model.SerializeToString())


def bundle(weights: Path, settings: dict[str, Any], out: Path) -> "Bundle":
    """Write the bundle's folder anew and load it back, verified.

    ``settings`` holds ``version``, ``thresholds``, ``operating``, ``cardiothoracic``, ``limits``.
    """
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    onnx(weights, out / NETWORK_FILE)
    (out / FIGURES).write_text("{}\n")
    return settle(out, settings)


def settle(
    folder: Path, settings: dict[str, Any], figures: dict[str, Any] | None = None
) -> "Bundle":
    """Write the manifest (and figures, if given) of a folder anew and load it back, verified."""
    if figures is not None:
        (folder / FIGURES).write_text(json.dumps(figures, indent=1) + "\n")
    files = {path.name: digest(path) for path in sorted(folder.iterdir()) if path.name != MANIFEST}
    (folder / MANIFEST).write_text(manifest(settings, files), encoding="utf-8")
    return load(folder)


def settings_of(made: "Bundle") -> dict[str, Any]:
    """Return what ``settle`` needs to write this bundle's manifest again unchanged."""
    return {
        "version": made.version,
        "thresholds": {name.value: list(pair) for name, pair in made.thresholds.items()},
        "operating": dict(made.operating),
        "cardiothoracic": {"bias": made.cardiothoracic[0], "sd": made.cardiothoracic[1]},
        "limits": list(made.limits),
    }


def manifest(settings: dict[str, Any], files: dict[str, str]) -> str:
    """Return the text of ``bundle.toml``; JSON strings are TOML strings."""
    tables: dict[str, dict[str, Any]] = {
        "input": {
            "side": INPUT_SIDE,
            "intensity": "bright = dense; stretched from 1st to 99th percentile to 0..1",
        },
        "output": {
            "regions": list(REGIONS), "observations": list(OBSERVATIONS), "masks": list(MASKS),
        },
        "thresholds": settings["thresholds"],
        "operating": settings["operating"],
        "cardiothoracic": settings["cardiothoracic"],
        "limits": {"sentences": settings["limits"]},
        "files": files,
    }  # fmt: skip
    lines = [f"{key} = {json.dumps(value)}" for key, value in {
        "name": "anatomy-mini",
        "version": settings["version"],
        "role": "anatomy",
        "use": "demo",
        "architecture": "carina-apm-mini/1",
        "licence": "Apache-2.0; trained on LIDC-IDRI-0001 (CC BY 3.0), NIH ChestX-ray14, Hannover",
        "intended_use": "demonstration and development of the service; not for diagnosis",
        "card": "docs/models/anatomy-mini.md",
    }.items()]  # fmt: skip
    for name, table in tables.items():
        lines += ["", f"[{name}]"]
        lines += [f"{json.dumps(key)} = {json.dumps(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Export."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("weights", "settings", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    chosen = parser.parse_args()
    made = bundle(chosen.weights, json.loads(chosen.settings.read_text()), chosen.out)
    print(f"{made.name} {made.version} {made.weights_sha256}")  # noqa: T201


if __name__ == "__main__":
    main()
