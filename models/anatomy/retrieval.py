"""Retrieval: the nearest known set of signs to a region's embedding (AnatomiX, section 3.2).

A bundle may hold ``retrieval.npz``: per region the sign sets that occur in TRAINING data, each
once, with the embedding of its words: 36 sub-databases; a region is only looked up in its own.

The contrastive loss compares films of one batch, so that a likeness says how much oftener a set
goes with this embedding than with any: the likeliest set is the one with the largest sum of
likeness and log frequency in the training films.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

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


def load(path: Path) -> SubDatabases:
    """Read.

    Raises
    ------
    WeightsMismatch
        If an array is missing, of a wrong shape, or of a region that does not exist.
    """
    try:
        with np.load(path, allow_pickle=False) as kept:
            region = kept["region"].astype(np.int64)
            signs, embedding = kept["signs"].astype(bool), kept["embedding"].astype(np.float32)
            frequency = kept["frequency"].astype(np.float32)
    except (OSError, KeyError, ValueError) as error:
        raise WeightsMismatch("retrieval.npz cannot be read") from error
    count = len(region)
    fits = signs.shape == (count, len(SIGNS)) and embedding.ndim == 2  # noqa: PLR2004
    if (
        not fits
        or not len(embedding) == len(frequency) == count
        or (count and region.max() >= len(REGIONS))
    ):
        raise WeightsMismatch("retrieval.npz has arrays of wrong shape")
    lengths = np.maximum(np.linalg.norm(embedding, axis=1, keepdims=True), 1e-9)
    unit = np.asarray(embedding / lengths, np.float32)
    return SubDatabases(region, signs, unit, frequency)
