"""Step 3: train the anatomy network on the bank and on real training films; resumable.

``python -m models.training.train --bank DIR --bases DIR --real ROOT --out DIR --steps 3000``
"""

import argparse
import copy
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from models.anatomy import heads
from models.anatomy.network import AnatomyPerception
from models.training import alignment, losses, moving, provenance, real, usual, warps
from models.training.batches import RealStream, collate, join, load_pseudo
from models.training.chunks import Bank

if TYPE_CHECKING:
    from torch import Tensor, nn


MIX = (13, 6, 1)  # films in a batch: simulated, real, real but not to be read
EMA = 0.997


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how fast: ``steps`` batches, top learning rate ``rate``."""

    steps: int
    rate: float = 1.2e-3
    warmup: int = 40
    save_every: int = 100
    seed: int = 5
    body_share: float = 0.3  # of the rate, for convolutions that start from published weights
    mix: tuple[int, int, int] = MIX
    frozen_blocks: int = 5  # of the convolutions' first blocks
    without: tuple[str, ...] = ()  # losses left out, for ablations
    untold: tuple[str, ...] = ()  # kinds of labels of real films left out, for ablations
    only: str | None = None  # the one head that learns; all else stays as it started
    literal: bool = False  # the alignment as printed, for its ablation
    minutes: float = float("inf")  # the rate has fallen to its end by then, if steps take longer
    device: str = "cpu"


class Run:
    """The state of one training: weights, their running mean, optimiser, step."""

    def __init__(self, out: Path, plan: Plan, start: Path | None = None) -> None:
        torch.manual_seed(plan.seed)
        self.out, self.plan, self.step = out, plan, 0
        self.started = time.monotonic()
        self.history: list[str] = []  # what was learnt from, see models.training.provenance
        self.network = AnatomyPerception()
        self.words = alignment.SignTower(self.network.config.object_dim)
        self.knows_words = True
        if start is not None:
            state = torch.load(start, weights_only=True, map_location="cpu")
            fresh = moving.adopt(self.network, state["mean"])
            print(f"starts from {start.name}; at random: {fresh}", flush=True)  # noqa: T201
            self._read_words(state)
        self.network.to(plan.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.words.to(plan.device)
        self.mean = copy.deepcopy(self.network).eval()
        groups, self.frozen = self._moving()
        self.optimiser = torch.optim.AdamW(groups, weight_decay=0.02)
        out.mkdir(parents=True, exist_ok=True)
        if (out / "last.pt").is_file():
            state = torch.load(out / "last.pt", weights_only=True, map_location=plan.device)
            self.network.load_state_dict(state["network"])
            self.mean.load_state_dict(state["mean"])
            self._read_words(state)
            self.optimiser.load_state_dict(state["optimiser"])
            self.step = int(state["step"])
            self.history = list(state.get("history", ["from step 0: not recorded"]))

    def _read_words(self, state: "dict[str, dict[str, Tensor]]") -> None:
        """Take over the words of signs; a bundle holds none, see models.training.restore."""
        self.knows_words = "words" in state
        if self.knows_words:
            self.words.load_state_dict(state["words"])
        elif "alignment" not in self.plan.without:
            raise ValueError("the start holds no words of signs: leave the alignment out")

    def _moving(self) -> "tuple[moving.Groups, list[nn.Module]]":
        """Return the parameters that learn, and the modules that stay as they are."""
        plan = self.plan
        if plan.only is not None:
            return moving.one_head(self.network, self.words, plan.only, plan.rate)
        rates = plan.rate * plan.body_share, plan.rate
        return moving.all_but_first(self.network, self.words, plan.frozen_blocks, rates)

    def adopt(self, body: Path) -> None:
        """Start the convolutions from published weights instead of at random."""
        weights = torch.load(body, weights_only=True)
        for network in (self.network, self.mean):
            network.body.adopt(weights)

    def save(self) -> None:
        """Keep everything needed to go on; written aside first, so that a stop leaves one whole."""
        kept: dict[str, nn.Module] = {"network": self.network, "mean": self.mean}
        if self.knows_words:
            kept["words"] = self.words
        state: dict[str, object] = {
            part: {name: value.cpu() for name, value in module.state_dict().items()}
            for part, module in kept.items()
        }
        state |= {"optimiser": self.optimiser.state_dict(), "step": self.step,
                  "history": self.history}  # fmt: skip
        torch.save(state, self.out / "last.tmp")
        (self.out / "last.tmp").rename(self.out / "last.pt")

    def progress(self) -> float:
        """How far the plan is fulfilled, 0..1: by steps or by time, whichever is further."""
        minutes = (time.monotonic() - self.started) / 60
        return min(max(self.step / self.plan.steps, minutes / self.plan.minutes), 1.0)

    def learn(self, batch: "dict[str, Tensor]") -> "dict[str, Tensor]":
        """One step; returns the losses."""
        plan = self.plan
        warm = min(1.0, (self.step + 1) / plan.warmup)
        cosine = 0.5 * (1 + np.cos(np.pi * self.progress()))
        for group in self.optimiser.param_groups:
            group["lr"] = group["top"] * warm * max(float(cosine), 0.02)
        self.network.train()
        for module in self.frozen:
            module.eval()  # running statistics stay those of the weights
        films = batch["film"][:, None].contiguous(memory_format=torch.channels_last)
        # Depthwise convolutions have no quick bfloat16 on a CPU: measured 1.2 s against 1.7 s.
        seen = self.network(films)
        parts = losses.measure(seen, batch)
        told = batch["attributes_known"] > 0
        if int(told.sum()) > 1:
            attributes, embedding = batch["attributes"][told], seen["embedding"][told]
            words = self.words(attributes)
            parts["alignment"] = (
                alignment.literal_loss(embedding, words)
                if plan.literal
                else alignment.loss(embedding, words, attributes)
            )
        parts = {name: value for name, value in parts.items() if name not in plan.without}
        self.optimiser.zero_grad()
        losses.total(parts).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 2.0)
        self.optimiser.step()
        self.step += 1
        self._average()
        return {name: value.detach() for name, value in parts.items()}

    def _average(self) -> None:
        """Move the running mean; every fourth step is enough and saves a twentieth of the time."""
        if self.step % 4:
            return
        keep = min(EMA**4, (1 + self.step) / (10 + self.step))
        own, mean = self.network.state_dict(), self.mean.state_dict()
        moving = [name for name, value in mean.items() if value.dtype.is_floating_point]
        with torch.no_grad():
            torch._foreach_lerp_([mean[n] for n in moving], [own[n] for n in moving], 1 - keep)


def fit(run: Run, bank: Bank, real_films: "RealStream | Bank") -> None:
    """Learn until the plan is fulfilled."""
    first, began = run.step, time.monotonic()
    sums: dict[str, Tensor] = {}
    with ThreadPoolExecutor(1) as pool:  # the next batch is made while this one is learnt
        coming = pool.submit(_batch, run.plan, run.step, bank, real_films)
        while run.progress() < 1:
            batch = coming.result()
            coming = pool.submit(_batch, run.plan, run.step + 1, bank, real_films)
            for name, value in run.learn(batch).items():
                sums[name] = sums.get(name, torch.zeros_like(value)) + value
            _tell(run, sums, (time.monotonic() - began) / (run.step - first))
            if run.step % run.plan.save_every == 0:
                run.save()
                coming.result()  # nobody reads a bank while it grows
                bank.refresh()
                if isinstance(real_films, Bank):
                    real_films.refresh()
    run.save()


def _batch(
    plan: Plan, step: int, bank: Bank, real_films: "RealStream | Bank"
) -> "dict[str, Tensor]":
    rng = np.random.default_rng((plan.seed, step))
    simulated_films, others, wrong = plan.mix
    parts = [bank.take(rng.integers(len(bank), size=simulated_films))]
    if isinstance(real_films, Bank):
        parts.append(real_films.take(rng.integers(len(real_films), size=others + wrong)))
    elif others + wrong:
        films = [real_films.sample(rng) for _ in range(others)]
        parts.append(collate(films + [real_films.negative(rng) for _ in range(wrong)]))
    moved = warps.stretch(rng, join(*parts))
    moved["film"] = warps.retone(rng, moved["film"])
    return moved


def _tell(run: Run, sums: "dict[str, Tensor]", pace: float) -> None:
    """Print the mean losses of the last fifty steps."""
    if run.step % 50:
        return
    words = " ".join(f"{name} {float(value) / 50:.3f}" for name, value in sums.items())
    print(f"step {run.step}/{run.plan.steps} {pace:.2f} s: {words}", flush=True)  # noqa: T201
    sums.clear()


def _asked() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("bank", "bases", "real", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--rate", type=float, default=1.2e-3)
    parser.add_argument("--start", type=Path)
    parser.add_argument("--body", type=Path, help="published weights of the convolutions")
    parser.add_argument("--mix", type=int, nargs=3, default=MIX, help="simulated, real, wrong")
    parser.add_argument("--frozen", type=int, default=5)
    parser.add_argument("--pseudo", type=Path)
    parser.add_argument("--real-bank", type=Path, help="chunks of real films, of training.supply")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--save-every", type=int, default=100)
    parser.add_argument("--without", nargs="*", default=(), choices=sorted(losses.WEIGHTS))
    parser.add_argument("--untold", nargs="*", default=(), choices=sorted(real.KINDS),
                        help="kinds of labels of real films left out, for ablations")  # fmt: skip
    parser.add_argument("--only", choices=heads.OF_THEIR_OWN,
                        help="the head that learns; all else stays as it started")  # fmt: skip
    parser.add_argument("--literal", action="store_true", help="alignment as printed")
    chosen = parser.parse_args()
    if chosen.only and (chosen.start is None or chosen.body):
        parser.error("--only: all else stays as it is in --start, without --body")
    if chosen.untold and chosen.real_bank:
        parser.error("--untold: chunks of real films are told already")
    return chosen


def main() -> None:
    """Train, or go on training."""
    chosen = _asked()
    torch.set_num_threads(2)
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")  # on a GPU; a CPU knows no lower one
    real_films = _real_films(chosen)
    plan = Plan(
        chosen.steps, chosen.rate, mix=tuple(chosen.mix), frozen_blocks=chosen.frozen,
        without=tuple(chosen.without), untold=tuple(chosen.untold), literal=chosen.literal,
        only=chosen.only, minutes=chosen.minutes, device=chosen.device,
        save_every=chosen.save_every,
    )  # fmt: skip
    run = Run(chosen.out, plan, chosen.start)
    if chosen.body and not run.step:
        run.adopt(chosen.body)
    bank, given = Bank(chosen.bank, chosen.device), (chosen.start, chosen.body, chosen.pseudo)
    usual.begin((run.network, run.mean), bank)
    grown = {"bank": bank}
    if isinstance(real_films, Bank):
        grown["real bank"] = real_films
    told = provenance.line(
        run.step, plan, **{name: own.paths for name, own in grown.items()},
        real=[chosen.real / "images.csv"], weights=[path for path in given if path is not None],
    )  # fmt: skip
    run.history.append(told)
    print(told, flush=True)  # noqa: T201
    fit(run, bank, real_films)
    run.history.append(provenance.end(run.step, **{n: own.paths for n, own in grown.items()}))
    run.save()


def _real_films(chosen: argparse.Namespace) -> "RealStream | Bank":
    if chosen.real_bank:
        return Bank(chosen.real_bank, chosen.device)
    films = real.load(chosen.real, "train", chosen.bases / "small")
    films = real.untold(films, chosen.untold)
    if chosen.only == "region_masks":  # what else is known of a film teaches it nothing
        films = [film for film in films if film.outlines]
    return RealStream(films, load_pseudo(chosen.pseudo) if chosen.pseudo else {})


if __name__ == "__main__":
    main()
