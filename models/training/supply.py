"""Steps 1 and 2 as a stream: chests projected anew for every chunk, for a fast learner beside it.

``python -m models.training.supply --source DIR --real ROOT --out DIR --processes 16 --chunks 400``

No base is kept: each process projects some chests, composes a chunk of simulated films of them
(``OUT/simulated``) and one of real films (``OUT/real``), and begins again. Each chunk has its own
seed, so that a stopped supply goes on where it was and is the same with any number of processes.
"""

import argparse
import multiprocessing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from models.simulate import source
from models.training import bank, cache, real
from models.training.batches import RealStream, load_pseudo
from models.training.chunks import write
from models.training.laid import Findings
from models.training.samples import Simulator

if TYPE_CHECKING:
    from models.simulate.film import Tones
    from models.simulate.source import SourceCt
    from models.training.batches import Pseudo
    from models.training.real import RealFilm

SEED = 301
FRONTAL, ASIDE = 6, 1  # chests projected for a chunk
SIMULATED, REAL = 250, 130  # films in a chunk
WRONG_SHARE = 0.1  # of them, not to be read
FIRST = 10_000  # numbers of earlier bases are left alone


@dataclass(frozen=True, slots=True, eq=False)
class Shop:
    """All that chunks are made of."""

    maker: cache.Maker
    ct: "SourceCt"
    films: "list[RealFilm]"
    tones: "Tones"
    pseudo: "dict[str, Pseudo]"
    out: Path

    def chunk(self, number: int) -> None:
        """Make one chunk of simulated and one of real films, unless they are there."""
        targets = [
            self.out / kind / f"chunk{SEED}_{number:04d}.npz" for kind in ("real", "simulated")
        ]
        if all(target.is_file() for target in targets):
            return
        rng = np.random.default_rng((SEED, number))
        first = FIRST + number * FRONTAL
        chests = self.maker.fresh("train", first, FRONTAL)
        aside = self.maker.fresh("sideways", FIRST + number * ASIDE, ASIDE)
        devices = self.maker.devices("train", chests, first)
        stream = RealStream(self.films, self.pseudo, Findings(chests))
        wrong = round(WRONG_SHARE * REAL)
        films = [stream.sample(rng) for _ in range(REAL - wrong)]
        write(targets[0], films + [stream.negative(rng) for _ in range(wrong)])
        makers = bank.Makers(
            Simulator(chests, self.tones, devices), Simulator(aside, self.tones), self.ct
        )
        write(targets[1], [bank.compose(rng, makers) for _ in range(SIMULATED)])

    def work(self, numbers: range) -> None:
        """Make one chunk after the other."""
        for number in numbers:
            self.chunk(number)


def main() -> None:
    """Make chunks in several processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("source", "real", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--pseudo", type=Path)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--first", type=int, default=0, help="number of the first chunk")
    parser.add_argument("--chunks", type=int, default=64)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    ct = source.read(source.fetch(chosen.source))
    films = real.load(chosen.real, "train", chosen.out / "small")
    pseudo = load_pseudo(chosen.pseudo) if chosen.pseudo else {}
    shop = Shop(cache.Maker(ct), ct, films, real.tones(films), pseudo, chosen.out)
    last = chosen.first + chosen.chunks
    fork = multiprocessing.get_context("fork")  # the phantoms are shared, not sent
    workers = [
        fork.Process(target=shop.work, args=(range(own, last, chosen.processes),))
        for own in range(chosen.first, chosen.first + chosen.processes)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise SystemExit("a process failed; what it had made stays")


if __name__ == "__main__":
    main()
