import hashlib
import json
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models.anatomy.network import AnatomyPerception  # noqa: E402
from models.training import adapt, batches, losses, measures, real, samples, train  # noqa: E402

SPLIT_SHA256 = "3ba369ea4b8ce610e014f5b060b8e6e5e5cb169efd7cd659bb54ff08aa28f528"


def test_the_split_by_patient_is_frozen() -> None:
    assert hashlib.sha256(real.SPLIT_FILE.read_bytes()).hexdigest() == SPLIT_SHA256


def test_no_patient_is_in_two_parts_and_the_rule_gives_the_file() -> None:
    split = json.loads(real.SPLIT_FILE.read_text())
    everybody = [patient for part in split.values() for patient in part]
    assert len(everybody) == len(set(everybody))
    assert all(real.part_of(patient) == part for part in split for patient in split[part])


def test_auroc_is_one_for_perfect_half_for_equal_and_zero_for_reversed_scores() -> None:
    labels = np.asarray([0, 0, 1, 1])
    assert measures.auroc(labels, np.asarray([0.1, 0.2, 0.3, 0.4])) == 1.0
    assert measures.auroc(labels, np.asarray([0.5, 0.5, 0.5, 0.5])) == 0.5
    assert measures.auroc(labels, np.asarray([4, 3, 2, 1])) == 0.0
    assert np.isnan(measures.auroc(np.zeros(3), np.arange(3)))


def test_limits_count_present_and_absent_separately() -> None:
    labels = np.asarray([1] * 5 + [0] * 5)
    scores = np.asarray([0.9, 0.9, 0.5, 0.5, 0.1, 0.9, 0.1, 0.1, 0.1, 0.1])
    result = measures.binary(labels, scores, (0.2, 0.8))
    assert result["sensitivity_present"] == 0.4
    assert result["specificity_present"] == 0.8
    assert result["missed_as_absent"] == 0.2
    assert result["rightly_absent"] == 0.8


def test_too_few_cases_give_no_figure() -> None:
    assert "auroc" not in measures.binary(np.asarray([1, 0, 0]), np.zeros(3), (0.2, 0.8))


def test_an_interval_over_patients_holds_the_mean() -> None:
    values = np.random.default_rng(0).random(60)
    people = [str(i // 3) for i in range(60)]
    low, high = measures.bootstrap_mean(values, people)
    assert low < values.mean() < high


def test_paired_overlap_agrees_in_both_forms() -> None:
    a = np.asarray([[0.5, 0.5, 0.4, 0.4], [0.3, 0.3, 0.2, 0.2]], np.float32)
    b = np.asarray([[0.6, 0.5, 0.4, 0.4], [0.8, 0.8, 0.2, 0.2]], np.float32)
    from_torch = losses.overlap(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    corners = [
        np.concatenate([x[:, :2] - x[:, 2:] / 2, x[:, :2] + x[:, 2:] / 2], 1) for x in (a, b)
    ]
    assert from_torch == pytest.approx(measures.overlaps(*corners), abs=1e-6)
    assert from_torch[1] == 0


def test_a_cut_and_its_way_back_keep_a_box() -> None:
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 255, (288, 240)).astype(np.uint8)
    cut = (0.1, 0.0, 1.0, 0.9)
    _, frame = batches.place(pixels, cut)
    boxes = np.tile(np.asarray([[0.3, 0.2, 0.7, 0.8]], np.float32), (36, 1))
    square = batches._into_square(boxes, cut, frame)
    corners = np.concatenate(
        [square[:, :2] - square[:, 2:] / 2, square[:, :2] + square[:, 2:] / 2], 1
    )
    assert adapt._to_film(corners, cut, frame) == pytest.approx(boxes, abs=0.004)


def test_a_film_whose_answers_are_no_chest_is_not_taught() -> None:
    film = real.RealFilm("a", "p", "PA", 40, frozenset(), np.zeros((288, 288), np.uint8), None)
    strict = adapt.Shape(np.zeros((36, 4), np.float32), np.full((36, 4), 1e-9, np.float32))
    assert adapt.teach(AnatomyPerception().eval(), film, strict) is None


def test_a_kind_of_label_that_is_left_out_is_not_told() -> None:
    pixels, lungs = np.zeros((288, 288), np.uint8), np.ones((2, 4), np.float32)
    film = real.RealFilm("a", "p", "PA", 40, frozenset({"Effusion"}), pixels, lungs)
    (same,) = real.untold([film], [])
    assert same.labelled
    assert same.lungs is lungs
    (silent,) = real.untold([film], ["text-mined labels"])
    assert not silent.labelled
    assert silent.lungs is lungs
    (neither,) = real.untold([film], sorted(real.KINDS))
    assert not neither.labelled
    assert neither.lungs is neither.drawn is None


def test_what_lies_in_an_outline_is_kept_and_a_thin_outline_widened() -> None:
    plane = np.ones((8, 8), np.uint8)
    cut = samples.within(plane, np.asarray((1.2, 2.0, 3.0, 4.5), np.float32))
    assert cut[2:5, 1:3].all()
    assert cut.sum() == 6
    wide = samples.within(plane, np.asarray((0.5, 3, 0.5, 5), np.float32), least=2.0)
    assert wide[3:5, 0:2].all()  # half a pixel of it would lie beyond the plane
    assert wide.sum() == 4


def test_labels_cannot_be_left_out_of_chunks_that_were_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--bank", "b", "--bases", "b", "--real", "r", "--out", "o", "--real-bank", "c"]
    monkeypatch.setattr(sys, "argv", ["train", *words, "--untold", "lung boxes"])
    with pytest.raises(SystemExit):
        train.main()
    assert "told already" in capsys.readouterr().err
