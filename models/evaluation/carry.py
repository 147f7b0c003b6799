"""Carry a bundle's limits and scaling over to one that has the same outputs and more heads.

``python -m models.evaluation.carry --old DIR --new DIR --version 0.9.0 [--learnt HEAD …]``

After a head was added with everything else standing still (``train --only``), nothing that was
calibrated has changed: it is taken over instead of fitted again, and the outputs are compared.
Heads that learnt in the meantime are named and not compared; what hangs on them is to be calibrated
again (:mod:`models.evaluation.calibrate`).
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.anatomy import retrieval
from models.anatomy.session import CPU, NETWORK_FILE, Session
from models.bundles import load
from models.errors import WeightsMismatch
from models.evaluation import platt
from models.training import onnx_file
from models.training.export import settings_of, settle

if TYPE_CHECKING:
    from collections.abc import Collection

    from models.bundles import Bundle

MOST = 1e-6  # of the square's side, of a chance: other graphs are added up in another order
MOST_APART = 1e-4  # of an embedding's numbers, which have no scale of their own
UNSCALED = ("embedding", "spread")


def carry(
    old: "Bundle", new: "Bundle", version: str, learnt: "Collection[str]" = ()
) -> "tuple[Bundle, dict[str, float]]":
    """Take over limits, scaling and sub-databases; also how far the shared outputs are apart.

    Heads that ``learnt`` may differ.

    Raises
    ------
    WeightsMismatch
        If a head is gone, or a shared output differs by more than it may, or in any decision.
    """
    gone = sorted(old.heads - new.heads)
    if gone:
        raise WeightsMismatch(f"{new.name} has no head for {gone}")
    for place in (platt.SIGNS, platt.MASKS):
        held = platt.read(old.folder / NETWORK_FILE, place)
        if held is not None:
            platt.fold(new.folder / NETWORK_FILE, *held, place)
    if retrieval.FILE in old.files:
        shutil.copyfile(old.folder / retrieval.FILE, new.folder / retrieval.FILE)
    settings = settings_of(old)
    output = {**settings["output"], "heads": sorted(new.heads)}
    output.pop("outlined", None)
    if new.outlined:
        output["outlined"] = list(new.outlined)
    made = settle(new.folder, {**settings, "version": version, "output": output})
    apart = difference(old, made, learnt)
    far = max(apart["box"], apart["probability"]) > MOST or apart["unscaled"] > MOST_APART
    if far or apart["decisions"]:
        raise WeightsMismatch(f"the outputs of {old.version} and {version} differ: {apart}")
    return made, apart


def difference(old: "Bundle", new: "Bundle", learnt: "Collection[str]" = ()) -> dict[str, float]:
    """Compare the heads of ``old`` but those that ``learnt``, see ``onnx_file.differences``.

    ``unscaled`` is the largest difference of any number in embeddings and spreads.
    """
    films, heads = onnx_file.films(old.input_side), old.heads - {*learnt}
    first, second = (
        [{h: seen[h] for h in heads} for seen in Session(one, CPU, 2).run(films)]
        for one in (old, new)
    )
    unscaled = [np.abs(a[h] - b[h]).max() for a, b in zip(first, second, strict=True)
                for h in UNSCALED if h in heads]  # fmt: skip
    apart = float(f"{max(unscaled, default=0.0):.2g}")
    return {**onnx_file.differences(old, first, second), "unscaled": apart}


def main() -> None:
    """Carry over and say how far the outputs are apart."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("old", "new"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--learnt", nargs="*", default=(), help="heads that may differ")
    chosen = parser.parse_args()
    made, apart = carry(load(chosen.old), load(chosen.new), chosen.version, chosen.learnt)
    print(f"{made.name} {made.version}: {json.dumps(apart)}")  # noqa: T201


if __name__ == "__main__":
    main()
