"""Fewer channels at stride 2, which learn to tell the masks that more of them told.

``python -m models.training.thin --weights FULL.pt --bank DIR --bases DIR --real ROOT --out FILE``

Nothing else moves. The truth is what the given network says, on simulated and real training films
alike (Hinton et al., Distilling the Knowledge in a Neural Network, 2015, section 2.1: log odds
matched by their squared distance). A processor's registers hold 16 numbers, so that 24 channels
take the time of 32.
"""

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from models.anatomy import heads
from models.anatomy.network import MINIATURE, AnatomyPerception
from models.training import moving, provenance, real
from models.training.batches import RealStream, collate, join
from models.training.chunks import Bank

if TYPE_CHECKING:
    from torch import Tensor, nn

SEED = 31
FILMS, REAL_SHARE = 2000, 0.4
STEPS, AT_ONCE, RATE = 8000, 8, 4e-3
CERTAIN = 8.0  # log odds beyond which more is not to be matched
NEAR, NEAR_WEIGHT = -2.5, 4.0  # log odds from which a cell is near a mask, and counts for more
STRONGEST_WEIGHT = 0.1  # of what chances of findings are told by
MOVED = ("pyramid.up2", "pyramid.skip2", "pyramid.fuse2", "heads.by_name.masks")


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What goes into the finest map, and the masks told of it; half precision, for room.

    ``f4`` (n, 40, 80, 80), ``s2`` (n, C, 160, 160), ``masks`` (n, 8, 160, 160) log odds.
    """

    f4: "Tensor"
    s2: "Tensor"
    masks: "Tensor"


def told(network: AnatomyPerception, films: "Tensor") -> Told:
    """Look at films ``(n, side, side)`` and keep what the finest map is made of."""
    parts: list[tuple[Tensor, ...]] = []

    def keep(_: "nn.Module", given: tuple[Any, ...], fused: heads.Fused) -> None:
        masks = network.heads.by_name["masks"](fused.s2)
        parts.append((fused.s4.half(), given[1][0].half(), masks.half()))

    handle = network.pyramid.register_forward_hook(keep)
    with torch.no_grad():
        for start in range(0, len(films), AT_ONCE):
            network(films[start : start + AT_ONCE, None])
    handle.remove()
    return Told(*(torch.cat(column) for column in zip(*parts, strict=True)))


def thinner(full: AnatomyPerception, fine: int) -> AnatomyPerception:
    """Return the network with the ``fine`` channels at stride 2 that masks weigh most."""
    made = AnatomyPerception(replace(full.config, fine_dim=fine)).eval()
    state = full.state_dict()
    weighed = state["heads.by_name.masks.weight"].square().sum((0, 2, 3))
    kept = weighed.argsort(descending=True)[:fine].sort().values
    for name, value in made.state_dict().items():
        own = state[name]
        for axis in range(own.ndim):
            if own.shape[axis] != value.shape[axis]:
                own = own.index_select(axis, kept)
        value.copy_(own)
    return made


def distance(masks: "Tensor", wanted: "Tensor") -> "Tensor":
    """How far log odds ``(B, 8, n, n)`` are from those wanted, and the chances that follow."""
    weight = 1 + NEAR_WEIGHT * (wanted > NEAR)
    apart = (masks.clamp(-CERTAIN, CERTAIN) - wanted.clamp(-CERTAIN, CERTAIN)).square() * weight
    strongest = (heads.finding_strength(masks) - heads.finding_strength(wanted)).abs().mean()
    return apart.mean() + STRONGEST_WEIGHT * strongest


def fit(network: AnatomyPerception, given: Told, steps: int = STEPS) -> list[float]:
    """Let what is in ``MOVED`` learn; returns the mean distance of every hundred steps."""
    network.requires_grad_(requires_grad=False).eval()
    learning = [p for part in MOVED for p in network.get_submodule(part).parameters()]
    for parameter in learning:
        parameter.requires_grad_()
    optimiser = torch.optim.Adam(learning, lr=RATE)
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    rng, sums, began = np.random.default_rng(SEED), [0.0], time.monotonic()
    for step in range(1, steps + 1):
        at = torch.from_numpy(rng.integers(len(given.f4), size=AT_ONCE))
        finest = network.pyramid.finest(given.f4[at].float(), given.s2[at].float())
        apart = distance(network.heads.by_name["masks"](finest), given.masks[at].float())
        optimiser.zero_grad()
        apart.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        slower.step()
        sums[-1] += float(apart.detach()) / 100
        if step % 100 == 0:
            pace = (time.monotonic() - began) / step
            print(f"step {step}/{steps} {pace:.2f} s: {sums[-1]:.4f}", flush=True)  # noqa: T201
            sums.append(0.0)
    return sums[:-1]


def films(bank: Bank, stream: RealStream, count: int) -> "Tensor":
    """Draw simulated and real training films ``(count, side, side)``."""
    rng = np.random.default_rng(SEED)
    others = round(count * REAL_SHARE)
    simulated = bank.take(rng.choice(len(bank), count - others, replace=len(bank) < count))
    shown = collate([stream.sample(rng) for _ in range(others)])
    return join(simulated, shown)["film"]


def main() -> None:
    """Make the map thinner."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("weights", "bank", "bases", "real", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--fine", type=int, default=MINIATURE.fine_dim)
    parser.add_argument("--films", type=int, default=FILMS)
    parser.add_argument("--steps", type=int, default=STEPS)
    chosen = parser.parse_args()
    torch.manual_seed(SEED)
    state = torch.load(chosen.weights, weights_only=True)
    full = moving.network_of(state["mean"]).eval()
    bank = Bank(chosen.bank)
    stream = RealStream(real.load(chosen.real, "train", chosen.bases / "small"))
    given = told(full, films(bank, stream, chosen.films))
    network = thinner(full, chosen.fine)
    fit(network, given, chosen.steps)
    line = provenance.line(0, vars(chosen), bank=bank.paths, weights=[chosen.weights])
    history = [*state.get("history", ()), line]
    torch.save({**state, "mean": network.state_dict(), "history": history}, chosen.out)


if __name__ == "__main__":
    main()
