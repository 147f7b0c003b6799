"""Step 2: compose a bank of simulated films from the base projections; resumable by chunk.

``python -m models.training.bank --bases DIR --real ROOT --out DIR --chunks 10``
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.anatomy.network import INPUT_SIDE
from models.anatomy.preparation import equalise
from models.simulate import slices, source, strangers
from models.simulate.source import SourceCt
from models.training import cache, real
from models.training.chunks import write
from models.training.sample import (
    SCOPE_NOT_A_CHEST,
    SCOPE_NOT_AN_IMAGE,
    SCOPE_NOT_FRONTAL,
    Sample,
)
from models.training.samples import Simulator

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK = 500
SHARES = {"frontal": 0.71, "sideways": 0.07, "part": 0.06, "stranger": 0.09, "slice": 0.03,
          "turned": 0.04}  # fmt: skip
NO_ANATOMY = ("noise", "gradient", "text", "scene", "plate")


def stranger(rng: np.random.Generator, family: str | None = None) -> Sample:
    """Return a picture that is no chest, of a given family or any; limbs are the most likely."""
    names = tuple(strangers.FAMILIES)
    weights = np.asarray([4.0 if name == "limb" else 1.0 for name in names])
    name = family or str(rng.choice(names, p=weights / weights.sum()))
    picture = strangers.FAMILIES[name](rng, INPUT_SIDE)
    if rng.random() < 0.5:  # noqa: PLR2004 - not every plate is square
        keep = int(rng.integers(5 * INPUT_SIDE // 8, INPUT_SIDE))
        start = (INPUT_SIDE - keep) // 2
        framed = np.zeros_like(picture)
        band = slice(start, start + keep)
        inner = (slice(None), band) if rng.random() < 0.5 else (band, slice(None))  # noqa: PLR2004
        framed[inner] = picture[inner]
        picture = framed
    scope = SCOPE_NOT_AN_IMAGE if name in NO_ANATOMY else SCOPE_NOT_A_CHEST
    return Sample(film=equalise(picture), scope=scope)


def turned(rng: np.random.Generator, picture: "NDArray[np.float32]") -> Sample:
    """Return a frontal film lying on its side, on its head, or with its tones reversed."""
    choice = int(rng.integers(4))
    if choice == 3:  # noqa: PLR2004
        inside = picture > 0
        return Sample(film=equalise(np.where(inside, 1.0 - picture, 0.0)), scope=SCOPE_NOT_A_CHEST)
    turned_film = np.ascontiguousarray(np.rot90(picture, choice + 1))
    return Sample(film=turned_film.astype(np.float32), scope=SCOPE_NOT_FRONTAL)


@dataclass(frozen=True, slots=True, eq=False)
class Makers:
    """What films of a bank are made of: frontal and other projections, and the CT itself."""

    frontal: Simulator
    aside: Simulator
    ct: SourceCt


def compose(rng: np.random.Generator, makers: Makers) -> Sample:
    """One sample of a kind drawn by ``SHARES``."""
    frontal, aside = makers.frontal, makers.aside
    kind = str(rng.choice(list(SHARES), p=list(SHARES.values())))
    index = int(rng.integers(len(frontal.bases)))
    if kind == "frontal":
        return frontal.frontal(rng, index)
    if kind == "sideways":
        return aside.sideways(rng, int(rng.integers(len(aside.bases))))
    if kind == "part":
        return frontal.part(rng, index)
    if kind == "stranger":
        return stranger(rng)
    if kind == "slice":
        picture = slices.cut(rng, makers.ct, INPUT_SIDE)
        return Sample(film=equalise(picture), scope=SCOPE_NOT_A_CHEST)
    return turned(rng, frontal.frontal(rng, index).film)


def make(out: Path, makers: Makers, chunks: int, seed: int) -> None:
    """Write the chunks that are not there yet."""
    for number in range(chunks):
        target = out / f"chunk{seed}_{number:03d}.npz"
        if not target.is_file():
            rng = np.random.default_rng((seed, number))
            write(target, [compose(rng, makers) for _ in range(CHUNK)])


def main() -> None:
    """Make the bank of the training part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bases", type=Path, required=True)
    parser.add_argument("--real", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--part", default="train")
    parser.add_argument("--chunks", type=int, default=10)
    parser.add_argument("--seed", type=int, default=11)
    chosen = parser.parse_args()
    tones = real.tones(real.load(chosen.real, "train", chosen.bases / "small"))
    ct = source.read(source.fetch(chosen.bases / "source"))
    bases = cache.load(chosen.bases, chosen.part)
    frontal = Simulator(bases, tones, cache.Maker(ct).devices(chosen.part, bases))
    aside = Simulator(cache.load(chosen.bases, "sideways"), tones)
    make(chosen.out, Makers(frontal, aside, ct), chosen.chunks, chosen.seed)


if __name__ == "__main__":
    main()
