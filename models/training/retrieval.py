"""Step 5a: build the 36 sub-databases of a bundle from TRAINING films only.

``python -m models.training.retrieval --weights DIR/last.pt --bank DIR --bundle BUNDLE``
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from models.anatomy import retrieval
from models.anatomy.heads import REGIONS, SIGNS
from models.anatomy.network import MINIATURE
from models.training.alignment import SignTower
from models.training.chunks import Bank
from models.training.export import settle

LEAST = 2  # films in which a set must have been seen


def known_sets(attributes: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """(N, 36, S) of 0 and 1 -> per region its sets seen often enough, and how many films have each.

    The healthy set is there in any case, and first.
    """
    found = []
    for region in range(len(REGIONS)):
        sets, counts = np.unique(attributes[:, region], axis=0, return_counts=True)
        enough = (counts >= LEAST) | (sets.sum(1) == 0)
        order = np.argsort(sets[enough].sum(1), kind="stable")
        found.append((sets[enough][order], counts[enough][order]))
    return found


def build(tower: SignTower, attributes: np.ndarray) -> retrieval.SubDatabases:
    """Embed every known set of every region."""
    regions, signs, embeddings, frequencies = [], [], [], []
    for number, (sets, counts) in enumerate(known_sets(attributes)):
        given = torch.zeros(len(sets), len(REGIONS), len(SIGNS))
        given[:, number] = torch.from_numpy(sets.astype(np.float32))
        with torch.no_grad():
            embedded = functional.normalize(tower(given)[:, number], dim=-1)
        regions += [number] * len(sets)
        signs.append(sets > 0)
        embeddings.append(embedded.numpy())
        frequencies.append(np.log(counts / counts.sum()))
    return retrieval.SubDatabases(
        np.asarray(regions), np.concatenate(signs),
        np.concatenate(embeddings).astype(np.float32),
        np.concatenate(frequencies).astype(np.float32),
    )  # fmt: skip


def main() -> None:
    """Build and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("weights", "bank", "bundle"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    chosen = parser.parse_args()
    weights = torch.load(chosen.weights, weights_only=True)
    if "words" not in weights:
        parser.error("these weights hold no words of signs: models.evaluation.carry takes over the"
                     " sub-databases of the bundle they come from")  # fmt: skip
    tower = SignTower(MINIATURE.object_dim)
    tower.load_state_dict(weights["words"])
    made = build(tower, Bank(chosen.bank).attributes())
    made.save(chosen.bundle / retrieval.FILE)
    settle(chosen.bundle, {})
    print(f"{len(made.region)} sets in {len(REGIONS)} sub-databases")  # noqa: T201


if __name__ == "__main__":
    main()
