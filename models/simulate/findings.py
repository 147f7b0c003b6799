"""Findings inserted in three dimensions: what each does to the tissue along the rays."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from models.vocabulary import Side, Sign


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
