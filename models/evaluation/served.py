"""What drafts say of films: the states after every rule and gate, not the numbers behind them."""

from typing import TYPE_CHECKING, Final

import numpy as np

from models import pipeline
from models.anatomy.heads import OBSERVATIONS
from models.values import Analysis, ChestImage
from models.vocabulary import Presence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.protocols import Eye
    from models.training.measures import Numbers

PRESENT, POSSIBLE = 2, 1
SAID: Final = {Presence.PRESENT: PRESENT, Presence.UNCERTAIN: POSSIBLE}


def states(eye: "Eye", films: "Sequence[Numbers]") -> "Numbers":
    """Return ``(n, 4)`` over the observations: 2 PRESENT, 1 UNCERTAIN, 0 anything else.

    A film that is refused, and an observation that is ABSENT or NOT ASSESSED, is 0; of several
    findings of one kind the surest counts.

    Films are looked at once more and one by one, as in service: calibration has settled other
    limits since it last looked, and the report asks for so few of the films it looks at that
    concluding for all of them would take about as long.

    Raises
    ------
    UnreadableImage
        If an array is not a film.
    """
    found = np.zeros((len(films), len(OBSERVATIONS)), np.int8)
    for row, film in enumerate(films):
        image = ChestImage(str(row), np.ascontiguousarray(film, np.float32))
        told = pipeline.analyse(image, eye)
        if not isinstance(told, Analysis):
            continue
        for one in told.findings:
            place = OBSERVATIONS.index(one.observation)
            found[row, place] = max(int(found[row, place]), SAID.get(one.presence, 0))
    return found
