"""Step 5: write trained weights as a bundle: ``network.onnx``, ``figures.json``, ``bundle.toml``.

``python -m models.training.export --weights DIR/last.pt --out BUNDLE [--settings settings.json]``

Weights of more than one axis are rounded to half precision BEFORE the export, and stored so: the
file is half as large, and ONNX Runtime still computes what PyTorch computes. That they agree is
measured at every export and kept with the figures.
"""

import argparse
import json
import shutil
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from models import manifest as manifests
from models.anatomy.heads import MASKS, OBSERVATIONS, OUTLINED, QUALITIES, SIGNS
from models.anatomy.network import INPUT_SIDE, REGIONS, AnatomyPerception
from models.anatomy.session import NETWORK_FILE
from models.bundles import digest, load
from models.manifest import MANIFEST
from models.training import moving, onnx_file

if TYPE_CHECKING:
    from models.bundles import Bundle

FIGURES = "figures.json"
AGREEMENT = "onnx_against_pytorch"
TEXTS = {
    "name": "anatomy-mini",
    "version": "0.0.0",
    "role": "anatomy",
    "use": "demo",
    "architecture": "carina-apm-mini/2",
    "licence": "Apache-2.0; trained on LIDC-IDRI-0001 (CC BY 3.0), NIH ChestX-ray14, Hannover, and "
    "others that the card names",
    "intended_use": "demonstration and development of the service; not for diagnosis",
    "card": "docs/models/anatomy-mini.md",
}
NOT_CALIBRATED = "The limits of this bundle have not been calibrated."
NEUTRAL = {"mirror_share": 0.5, "spread_limit": 1.0}
"""An even mean of both looks, and a limit on doubt that no film reaches; the others are 0."""


def uncalibrated(heads: "list[str]") -> dict[str, Any]:
    """Return settings with which a network can be loaded and measured, and no more."""
    named = {"observations": ("findings", OBSERVATIONS), "signs": ("signs", SIGNS),
             "masks": ("masks", MASKS), "qualities": ("quality", QUALITIES)}  # fmt: skip
    names = {key: list(words) for key, (head, words) in named.items() if head in heads}
    if "region_masks" in heads:
        names["outlined"] = list(OUTLINED)
    needed = [key for head in heads for key in manifests.OPERATING.get(head, ())]
    return {
        "version": TEXTS["version"],
        "output": {"heads": heads, "regions": list(REGIONS), **names},
        "thresholds": {name: [0.5, 0.5] for name in names.get("observations", ())},
        "sign_thresholds": {name: [0.5, 0.5] for name in names.get("signs", ())},
        "quality_thresholds": {name: [0.5, 0.5] for name in names.get("qualities", ())},
        "operating": {key: NEUTRAL.get(key, 0.0) for key in needed},
        "cardiothoracic": {"bias": 0.0, "sd": 0.05},
        "limits": [NOT_CALIBRATED],
    }  # fmt: skip


def bundle(weights: Path, settings: dict[str, Any], out: Path) -> "Bundle":
    """Write the bundle's folder anew and load it back, verified.

    ``settings`` may hold whatever :func:`settle` takes; the rest is as in :func:`uncalibrated`.

    Raises
    ------
    RuntimeError
        If ONNX Runtime and PyTorch do not agree within the stated bounds.
    """
    network = moving.network_of(torch.load(weights, weights_only=True)["mean"])
    return of_network(network, settings, out)


def of_network(network: AnatomyPerception, settings: dict[str, Any], out: Path) -> "Bundle":
    """Write a network in memory as a bundle; see :func:`bundle`. It is changed: simplified."""
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    before = onnx_file.look(network.eval(), onnx_file.films(INPUT_SIDE))
    onnx_file.simplify(network)
    heads = onnx_file.write(network, out / NETWORK_FILE, INPUT_SIDE)
    (out / FIGURES).write_text("{}\n")
    made = settle(out, {**uncalibrated(heads), **settings})
    agreement = onnx_file.compare(network, made, before)
    return settle(out, {}, {AGREEMENT: agreement})


def settle(
    folder: Path, settings: dict[str, Any], figures: dict[str, Any] | None = None
) -> "Bundle":
    """Write the manifest (and figures, if given) of a folder anew and load it back, verified.

    ``settings`` holds ``version``, ``output``, ``thresholds``, ``sign_thresholds``,
    ``quality_thresholds``, ``operating``, ``cardiothoracic`` and ``limits``; what it does not say
    stays as the folder's manifest says it. The comparison made at the export is kept.
    """
    if (folder / MANIFEST).is_file():
        settings = {**_said(folder), **settings}
    if figures is not None:
        kept = json.loads((folder / FIGURES).read_text())
        kept = {AGREEMENT: kept[AGREEMENT]} if AGREEMENT in kept else {}
        (folder / FIGURES).write_text(json.dumps({**kept, **figures}, indent=1) + "\n")
    files = {path.name: digest(path) for path in sorted(folder.iterdir()) if path.name != MANIFEST}
    (folder / MANIFEST).write_text(manifest(settings, files), encoding="utf-8")
    return load(folder)


def settings_of(made: "Bundle") -> dict[str, Any]:
    """Return what ``settle`` needs to write this bundle's manifest again unchanged."""
    return _said(made.folder)


def _said(folder: Path) -> dict[str, Any]:
    """Return the settings in a folder's manifest; its files may have changed since."""
    said = tomllib.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    tables = ("output", "thresholds", "sign_thresholds", "quality_thresholds", "operating",
              "cardiothoracic", "input")  # fmt: skip
    found = {name: said[name] for name in tables if name in said}
    return {**found, "version": said["version"], "architecture": said["architecture"],
            "limits": said["limits"]["sentences"]}  # fmt: skip


def manifest(settings: dict[str, Any], files: dict[str, str]) -> str:
    """Return the text of ``bundle.toml``; JSON strings are TOML strings."""
    tables: dict[str, dict[str, Any]] = {
        "input": settings.get("input", {
            "side": INPUT_SIDE,
            "intensity": "bright = dense; stretched from 1st to 99th percentile to 0..1",
        }),
        "output": settings["output"],
        "thresholds": settings["thresholds"],
        "sign_thresholds": settings.get("sign_thresholds", {}),
        "quality_thresholds": settings.get("quality_thresholds", {}),
        "operating": settings["operating"],
        "cardiothoracic": settings["cardiothoracic"],
        "limits": {"sentences": settings["limits"]},
        "files": files,
    }  # fmt: skip
    texts = {key: settings.get(key, text) for key, text in TEXTS.items()}
    lines = [f"{key} = {json.dumps(value)}" for key, value in texts.items()]
    for name, table in tables.items():
        lines += ["", f"[{name}]"]
        lines += [f"{json.dumps(key)} = {json.dumps(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Export."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("weights", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--settings", type=Path, help="JSON with what is calibrated already")
    chosen = parser.parse_args()
    settings = json.loads(chosen.settings.read_text()) if chosen.settings else {}
    made = bundle(chosen.weights, settings, chosen.out)
    figures = json.loads((chosen.out / FIGURES).read_text())
    print(f"{made.name} {made.version} {made.weights_sha256}")  # noqa: T201
    print(json.dumps(figures[AGREEMENT], indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
