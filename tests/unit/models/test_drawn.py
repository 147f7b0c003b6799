import json

import numpy as np
import pytest

pytest.importorskip("torch")

from models.training import drawn, real
from models.vocabulary import AnatomicStructure as A

REGIONS = tuple(A)


def test_both_passes_hold_the_same_films_and_no_patient_who_teaches() -> None:
    first, second, teaching = (drawn.load(name) for name in ("test_a", "test_b", "train"))
    assert set(first) == set(second)
    assert len(first) >= 40
    assert sum("nih_" in film for film in first) >= 20
    assert not set(first) & set(teaching)


def test_the_films_that_teach_are_of_training_patients() -> None:
    split = json.loads(real.SPLIT_FILE.read_text())
    known = {p.removeprefix("nih:") for p in split["train"] if p.startswith("nih:")}
    films = [
        f.removeprefix("images/nih_").split("_")[0] for f in drawn.load("train") if "nih_" in f
    ]
    assert films
    assert set(films) <= known


def test_every_number_lies_on_its_film() -> None:
    for name in ("train", "test_a", "test_b"):
        for film in drawn.load(name).values():
            for shape in film.shapes.values():
                assert all(0 <= v <= 1 for v in shape)
                assert len(shape) == 2 or (shape[0] < shape[2] and shape[1] < shape[3])


def test_points_become_boxes_of_the_written_size_on_a_film_that_is_not_square() -> None:
    film = drawn.Drawn({
        "right_lung": (0.1, 0.1, 0.4, 0.8), "left_lung": (0.5, 0.1, 0.8, 0.8),
        "right_costophrenic": (0.1, 0.8), "right_dome": (0.25, 0.6), "carina": (0.45, 0.3),
    })  # fmt: skip
    corners, trust = film.boxes(aspect=0.5)  # twice as high as wide
    angle = corners[REGIONS.index(A.RIGHT_COSTOPHRENIC_ANGLE)]
    half = 17.0 / 265.0 * 0.7
    assert angle == pytest.approx([0.1 - half, 0.8 - 0.7 * half, 0.1 + half, 0.8 + 0.3 * half])
    dome = corners[REGIONS.index(A.RIGHT_HEMIDIAPHRAGM)]
    assert dome[1] == pytest.approx(0.6 - 6.0 / 265.0 * 0.7 * 0.5)
    assert (dome[0], dome[3]) == (pytest.approx(0.1), pytest.approx(0.8))
    known = {REGIONS[i] for i in np.flatnonzero(trust)}
    assert known == {A.RIGHT_LUNG, A.LEFT_LUNG, A.RIGHT_HEMIDIAPHRAGM, A.CARINA,
                     A.RIGHT_COSTOPHRENIC_ANGLE}  # fmt: skip


def test_without_both_lungs_no_box_is_derived() -> None:
    _, trust = drawn.Drawn({"heart": (0.3, 0.4, 0.6, 0.8), "carina": (0.5, 0.3)}).boxes(1.0)
    assert np.flatnonzero(trust).tolist() == [REGIONS.index(A.CARDIAC_SILHOUETTE)]
