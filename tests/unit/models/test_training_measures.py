import numpy as np
import pytest

from models.training import measures


def test_platt_s_scaling_finds_what_spoilt_the_chances() -> None:
    rng = np.random.default_rng(3)
    true = rng.normal(0, 2, 6000)
    labels = rng.random(6000) < 1 / (1 + np.exp(-true))
    slope, offset = measures.platt(labels, true * 4 + 1)
    assert slope == pytest.approx(0.25, abs=0.03)
    assert offset == pytest.approx(-0.25, abs=0.1)


def test_scaling_never_reverses_an_order() -> None:
    slope, _ = measures.platt(np.asarray([0, 0, 1, 1] * 10), np.asarray([3, 2, -2, -3] * 10))
    assert slope == measures.SMALLEST_SLOPE


def test_a_perfect_forecaster_has_no_calibration_error_and_a_liar_has() -> None:
    labels = np.asarray([0] * 50 + [1] * 50)
    assert measures.calibration_error(labels, labels.astype(float)) == 0.0
    assert measures.calibration_error(labels, 1.0 - labels) == 1.0
    assert measures.calibration_error(labels, np.full(100, 0.5)) == 0.0


def test_the_curve_runs_from_corner_to_corner_and_never_back() -> None:
    labels = np.asarray([0, 1, 0, 1, 1])
    false, true = measures.roc(labels, np.asarray([0.1, 0.9, 0.8, 0.7, 0.2]))
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
    assert (np.diff(false) >= 0).all()
    assert (np.diff(true) >= 0).all()


def test_an_interval_needs_more_than_one_patient_and_holds_the_value() -> None:
    values = np.random.default_rng(1).random(40)
    assert measures.interval(lambda rows: float(values[rows].mean()), ["a"] * 40) is None
    found = measures.interval(
        lambda rows: float(values[rows].mean()), [str(i // 2) for i in range(40)]
    )
    assert found is not None
    assert found[0] < values.mean() < found[1]
