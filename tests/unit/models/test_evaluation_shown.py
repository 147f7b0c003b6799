"""What of the masks a reader would be shown."""

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

pytest.importorskip("torch")

from evaluation_builders import answers

from models.anatomy.heads import MASKS, OBSERVATIONS, SIGNS
from models.evaluation import gallery, shown
from models.evaluation.real_rows import RealFilms
from models.vocabulary import MaskName, Observation, Sign

if TYPE_CHECKING:
    from models.evaluation.looking import ListeningEye


def test_a_mask_is_shown_where_its_finding_is_called_or_left_possible() -> None:
    findings, signs = np.zeros((3, 4)), np.full((3, 20), -5.0)
    effusion = OBSERVATIONS.index(Observation.PLEURAL_EFFUSION)
    mass = OBSERVATIONS.index(Observation.MASS)
    findings[1, effusion], findings[1:, mass] = 0.2, (0.4, 0.6)
    signs[2, SIGNS.index(Sign.CHEST_TUBE)] = 1.0
    masks = np.full((3, 8, 2, 2), 9, np.uint8)
    seen = answers(3, findings=findings, signs=signs, masks=masks)
    limits_of = {o.value: [0.1, 0.5] for o in OBSERVATIONS} | {"mass or nodule": [0.0, 0.5]}
    told = shown.only(seen, limits_of, {s.value: [0.1, 0.5] for s in SIGNS})
    assert told[:, MASKS.index(MaskName.PLEURAL_EFFUSION)].any(axis=(1, 2)).tolist() == [0, 1, 0]
    assert told[:, MASKS.index(MaskName.MASS)].any(axis=(1, 2)).tolist() == [0, 0, 1]
    assert told[:, MASKS.index(MaskName.DEVICE)].any(axis=(1, 2)).tolist() == [0, 0, 1]
    assert not told[:, MASKS.index(MaskName.PNEUMOTHORAX)].any()
    assert told[:, MASKS.index(MaskName.HEART)].all()
    nothing_known = shown.masks(seen, {}, {})
    assert nothing_known.sum(axis=1).tolist() == [3, 3, 3]  # lungs and heart


def test_no_mask_is_drawn_of_what_is_not_called() -> None:
    chances = np.zeros((2, 4))
    chances[1, OBSERVATIONS.index(Observation.PLEURAL_EFFUSION)] = 0.9
    seen = answers(2, findings=chances, masks=np.full((2, 8, 160, 160), 255, np.uint8))
    limits = {Observation.PLEURAL_EFFUSION: (0.1, 0.5)}
    eye = cast("ListeningEye", SimpleNamespace(thresholds=limits, sign_thresholds={}))
    kept = gallery.as_shown(eye, RealFilms("two", [], seen, seen)).seen.masks
    place = MASKS.index(MaskName.PLEURAL_EFFUSION)
    assert kept[:, place].any(axis=(1, 2)).tolist() == [False, True]
    assert not kept[:, MASKS.index(MaskName.DEVICE)].any()
