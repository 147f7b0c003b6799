"""Row 9: what is no adult frontal chest radiograph is turned away, and real chests are not.

Families come from three places: films of the test part turned, reversed or drowned in noise;
projections and drawings by code that training also used, from other seeds; and files in a folder,
one sub-folder per family, that no training ever saw (``scripts/strangers.py`` collects some).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from scipy import ndimage

from models.evaluation.looking import HALF, look
from models.evaluation.rows import Findings, Reach, Row, counted, mean, of_rows
from models.simulate import strangers
from models.training import measures
from models.training.bank import stranger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from models.evaluation.looking import ListeningEye
    from models.evaluation.real_rows import RealFilms
    from models.training.measures import Numbers
    from models.training.samples import Simulator

GROUP = "out of scope"
SEED = 77_003
REFUSED, FALSE = Reach(0.95), Reach(most=0.03)
DRAWN = 40  # films of each drawn or projected family
SUFFIXES = {".png", ".jpg", ".jpeg"}
KIN = "never trained on, but sagittal and oblique slices of the CT most of them come from were"


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """Where strangers come from; None where a place is not there."""

    frontal: "Simulator | None"
    aside: "Simulator | None"
    folder: Path | None


def refusals(eye: "ListeningEye", given: "RealFilms", sources: Sources) -> Findings:
    """Return the share refused of each family, and of real adult chests that must be read."""
    found = Findings([false_refusals(given)])
    for name, films, origin in families(given, sources):
        seen = look(eye, films)
        refused = (seen.in_scope < HALF).astype(float)
        note = origin if len(films) >= 20 else f"{origin}; few films"  # noqa: PLR2004
        interval = measures.interval(of_rows(refused), [str(i) for i in range(len(films))])
        found.rows.append(
            Row(GROUP, f"refused: {name}", mean(refused), REFUSED, interval,
                f"{len(films)} films", note=note)
        )  # fmt: skip
        kinds, counts = np.unique(seen.reasons[refused > 0], return_counts=True)
        found.tables.setdefault("refusal_reasons", {})[name] = {
            str(kind): int(count) for kind, count in zip(kinds, counts, strict=True)
        }
    return found


def false_refusals(given: "RealFilms") -> Row:
    """Return the share of real adult chests that is refused."""
    refused = (given.seen.in_scope < HALF).astype(float)
    measure = f"real adult films refused: {given.name}"
    interval = measures.interval(of_rows(refused), given.people)
    return Row(GROUP, measure, mean(refused), FALSE, interval, counted(given.people))


def families(
    given: "RealFilms", sources: Sources
) -> "Iterator[tuple[str, Sequence[Numbers], str]]":
    """Yield each family's name, films and what is to be said of it."""
    rng = np.random.default_rng(SEED)
    films = [film.pixels.astype(np.float32) / 255.0 for film in given.films]
    picked = [films[int(i)] for i in rng.permutation(len(films))[: 2 * DRAWN]]
    for name, change in CHANGES.items():
        note = f"{given.name}, changed; such changes of other films were trained on"
        yield name, [change(rng, film) for film in picked], note
    drawn = "drawn anew; the same generator was trained on with other seeds"
    for name in strangers.FAMILIES:
        yield name, [stranger(rng, name).film for _ in range(DRAWN)], drawn
    projected = "projected anew; the same way of projecting was trained on"
    if sources.aside is not None:
        aside = sources.aside
        picture = [aside.sideways(rng, i % len(aside.bases)).film for i in range(DRAWN)]
        yield "lateral or oblique, simulated", picture, projected
    if sources.frontal is not None:
        frontal = sources.frontal
        picture = [frontal.part(rng, i % len(frontal.bases)).film for i in range(DRAWN)]
        yield "abdomen, neck, shoulder, simulated", picture, projected
    if sources.folder is not None:
        for family in sorted(path for path in sources.folder.iterdir() if path.is_dir()):
            paths = [path for path in sorted(family.iterdir()) if path.suffix in SUFFIXES]
            found = [read(path) for path in paths]
            if found:
                known = KIN if family.name.startswith("CT") else "files never trained on"
                yield f"{family.name} (files)", found, known


def read(path: Path) -> "Numbers":
    """Read a picture file as grey 0..1."""
    grey = np.asarray(Image.open(path).convert("F"), np.float32)
    return np.asarray((grey - grey.min()) / max(float(np.ptp(grey)), 1e-6))


def inverted(_: np.random.Generator, film: "Numbers") -> "Numbers":
    """Reverse the tones, as MONOCHROME1 read wrongly."""
    return np.asarray(1.0 - film, np.float32)


def rotated(rng: np.random.Generator, film: "Numbers") -> "Numbers":
    """Lay the film on either side."""
    return np.ascontiguousarray(np.rot90(film, 1 if rng.random() < HALF else 3))


def upside_down(_: np.random.Generator, film: "Numbers") -> "Numbers":
    """Stand the film on its head."""
    return np.ascontiguousarray(np.rot90(film, 2))


def drowned(rng: np.random.Generator, film: "Numbers") -> "Numbers":
    """Return noise with the film's size, from grain to clouds, and none of its anatomy."""
    noise = ndimage.gaussian_filter(rng.standard_normal(film.shape), float(rng.uniform(0, 6)))
    return np.asarray((noise - noise.min()) / np.ptp(noise), np.float32)


CHANGES = {
    "inverted": inverted,
    "rotated by 90°": rotated,
    "upside down": upside_down,
    "noise": drowned,
}
