"""Findings inserted in three dimensions: what each does to the tissue along the rays."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.vocabulary import Side, Sign

WATER, FLUID, AIR = 1.0, 1.02, 0.004  # relative density
LARGE_MM = 30.0  # a mass; below it is a nodule


@dataclass(frozen=True, slots=True, eq=False)
class Inserted:
    """One finding on the grid of a projection, ``(rows, columns)``.

    ``side`` is None where a finding has none (or both); ``size_mm`` is its extent as its maker
    means it. ``added_soft`` and ``added_bone`` change the path integrals, mm of water, negative
    where tissue gave way to air; ``mask`` is where the finding itself is projected to.
    """

    sign: "Sign"
    side: "Side | None"
    size_mm: float
    added_soft: "NDArray[np.float32]"
    added_bone: "NDArray[np.float32]"
    mask: "NDArray[np.bool_]"


def soft_only(
    sign: "Sign",
    side: "Side | None",
    size_mm: float,
    added: "NDArray[np.float32]",
    mask: "NDArray[np.bool_]",
) -> Inserted:
    """Return a finding that leaves bone alone."""
    return Inserted(sign, side, size_mm, added, np.zeros_like(added), mask)
