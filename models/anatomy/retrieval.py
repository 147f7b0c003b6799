"""Retrieval: the nearest known set of signs to a region's embedding (AnatomiX, section 3.2).

A bundle may hold ``retrieval.npz``: per region the sign sets that occur in TRAINING data, each
once, with the embedding of its words: 36 sub-databases; a region is only looked up in its own.

The contrastive loss compares films of one batch, so that a likeness says how much oftener a set
goes with this embedding than with any: the likeliest set is the one with the largest sum of
likeness and log frequency in the training films.
"""

import zipfile
import zlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.errors import WeightsMismatch
from models.vocabulary import AnatomicStructure, Sign

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILE = "retrieval.npz"
TEMPERATURE = 0.1  # of the contrastive loss: cosine / TEMPERATURE is a log ratio of chances
REGIONS = tuple(AnatomicStructure)
SIGNS = tuple(Sign)


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What one region's embedding is nearest to: signs, and the cosine of the two embeddings."""

    structure: AnatomicStructure
    signs: tuple[Sign, ...]
    cosine: float

    @property
    def sentence(self) -> str:
        """AnatomiX's sentence of the retrieved set."""
        if not self.signs:
            return f"{self.structure.value} is healthy."
        return f"{self.structure.value} shows {' and '.join(s.value for s in self.signs)}."


@dataclass(frozen=True, slots=True, eq=False)
class SubDatabases:
    """``region`` (N,) number of it, ``signs`` (N, 20) bool, ``embedding`` (N, E) unit rows.

    ``frequency`` (N,) is the log of a set's share of the training films, within its region.
    """

    region: "NDArray[np.int64]"
    signs: "NDArray[np.bool_]"
    embedding: "NDArray[np.float32]"
    frequency: "NDArray[np.float32]"

    def nearest(
        self, embedding: "NDArray[np.float32]", *, likeness_alone: bool = False
    ) -> tuple[Retrieved, ...]:
        """(36, E) of one film -> the best of each region's own sub-database, in regions' order.

        With ``likeness_alone`` the paper's nearest neighbour, whatever is frequent.

        Raises
        ------
        WeightsMismatch
            If the embedding has another shape than the databases.
        """
        if embedding.shape != (len(REGIONS), self.embedding.shape[1]):
            raise WeightsMismatch(f"embedding {embedding.shape} does not fit the sub-databases")
        lengths = np.maximum(np.linalg.norm(embedding, axis=1), 1e-9)
        found = []
        for number, name in enumerate(REGIONS):
            rows = np.flatnonzero(self.region == number)
            if not len(rows):
                continue
            cosines = self.embedding[rows] @ embedding[number] / lengths[number]
            expected = 0.0 if likeness_alone else self.frequency[rows]
            best = int(np.argmax(cosines / TEMPERATURE + expected))
            signs = tuple(
                s for s, there in zip(SIGNS, self.signs[rows[best]], strict=True) if there
            )
            found.append(Retrieved(name, signs, float(cosines[best])))
        return tuple(found)

    def save(self, path: Path) -> None:
        """Write; embeddings as float16, rows in a fixed order."""
        np.savez(
            path, allow_pickle=False, region=self.region.astype(np.uint8), signs=self.signs,
            embedding=self.embedding.astype(np.float16), frequency=self.frequency,
        )  # fmt: skip


ARRAYS = tuple(one.name for one in fields(SubDatabases))


def load(path: Path) -> SubDatabases:
    """Read.

    Raises
    ------
    WeightsMismatch
        If an array is missing or surplus, of a wrong shape or type, of a region that does not
        exist, or holds what is not a finite number.
    """
    held = _arrays(path)
    region, signs = held["region"], held["signs"]
    embedding, frequency = held["embedding"], held["frequency"]
    count = len(region) if region.ndim == 1 else -1
    if (
        signs.shape != (count, len(SIGNS))
        or embedding.ndim != 2  # noqa: PLR2004
        or len(embedding) != count
        or frequency.shape != (count,)
    ):
        raise WeightsMismatch(f"{FILE} has arrays of wrong shape")
    if [held[name].dtype.kind for name in ARRAYS] != ["u", "b", "f", "f"]:
        raise WeightsMismatch(f"{FILE} has arrays of wrong type")
    if not (np.isfinite(embedding).all() and np.isfinite(frequency).all()):
        raise WeightsMismatch(f"{FILE} holds numbers that are not finite")
    if count and (region.max() >= len(REGIONS) or frequency.max() > 0):
        raise WeightsMismatch(f"{FILE} names a region or a share that cannot be")
    embedding = embedding.astype(np.float32)
    lengths = np.maximum(np.linalg.norm(embedding, axis=1, keepdims=True), 1e-9)
    unit = np.asarray(embedding / lengths, np.float32)
    return SubDatabases(region.astype(np.int64), signs, unit, frequency.astype(np.float32))


def _arrays(path: Path) -> "dict[str, NDArray[Any]]":
    """Return the arrays of a file by name: those of a sub-database, and no others."""
    try:
        # Opened here, since NumPy leaves a file open that turns out to be no archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            held = {name: kept[name] for name in kept.files}
    except (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        # What NumPy raises for a file that is cut short, no archive, or full of objects.
        raise WeightsMismatch(f"{FILE} cannot be read: {type(error).__name__}") from error
    if differ := sorted(set(held) ^ set(ARRAYS)):
        raise WeightsMismatch(f"{FILE}: missing or surplus arrays: {', '.join(differ)}")
    if not all(isinstance(value, np.ndarray) for value in held.values()):
        raise WeightsMismatch(f"{FILE} holds something that is no array")
    return held
