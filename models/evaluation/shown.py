"""On which films a reader would be shown a mask: no mask calls anything by itself."""

from typing import TYPE_CHECKING, Any

import numpy as np

from models.anatomy.heads import MASKS, OBSERVATIONS, SIGNS
from models.anatomy.reading import sigmoid
from models.masks.film import MASK_OF
from models.pictures_signs import AIR_SIGNS
from models.vocabulary import DEVICE_SIGNS, MaskName

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from models.evaluation.looking import Looked
    from models.training.measures import Numbers

    Limits = Mapping[Any, Sequence[float]]  # by name of a finding, or of a sign

SIGNS_OF = {MaskName.PNEUMOTHORAX: AIR_SIGNS, MaskName.DEVICE: DEVICE_SIGNS}

NOT_LOOKED_FOR = (np.inf, np.inf)


def masks(seen: "Looked", thresholds: "Limits", sign_thresholds: "Limits") -> "Numbers":
    """Return ``(n, 8)`` bool: whether each mask of each film may be shown, by a bundle's limits.

    A finding's mask is shown where drafts leave it possible or call it, see
    :mod:`models.report.localised`; that of a sign where a picture calls one, see
    :mod:`models.pictures_signs`; organs always.
    """
    found = np.ones((len(seen.findings), len(MASKS)), bool)
    for observation, name in MASK_OF.items():
        absent_below, present_from = thresholds.get(observation.value, NOT_LOOKED_FOR)
        chances = seen.findings[:, OBSERVATIONS.index(observation)]
        found[:, MASKS.index(name)] = chances >= (absent_below or present_from)
    chances = sigmoid(seen.signs)
    for name, signs in SIGNS_OF.items():
        known = [s for s in signs if s.value in sign_thresholds]
        called = [chances[:, SIGNS.index(s)] >= sign_thresholds[s.value][1] for s in known]
        found[:, MASKS.index(name)] = np.any(called, axis=0)
    return found


def only(seen: "Looked", thresholds: "Limits", sign_thresholds: "Limits") -> "Numbers":
    """Return the masks ``(n, 8, side, side)`` of films, empty where none would be shown."""
    return seen.masks * masks(seen, thresholds, sign_thresholds)[:, :, None, None]
