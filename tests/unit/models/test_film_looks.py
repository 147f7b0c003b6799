import numpy as np
import pytest

from models.simulate import film
from models.simulate.film import Tone

BODY = np.ones((80, 80), bool)


def _chest() -> np.ndarray:
    x = np.linspace(40.0, 300.0, 80, dtype=np.float32)
    return np.broadcast_to(x, (80, 80)).copy()


def test_the_held_out_tone_is_never_drawn_for_training() -> None:
    rng = np.random.default_rng(0)
    drawn = {film.draw_tone(rng) for _ in range(300)}
    assert drawn == set(film.TRAINING_TONES)
    assert film.HELD_OUT_TONE not in drawn
    assert set(Tone) == {*film.TRAINING_TONES, film.HELD_OUT_TONE}


@pytest.mark.parametrize("tone", list(Tone))
def test_denser_is_never_darker_in_any_tone(tone: Tone) -> None:
    for seed in range(8):
        rng = np.random.default_rng(seed)
        image = film.expose(rng, _chest(), np.zeros_like(_chest()), BODY, tone)
        assert image.min() >= 0.0
        assert image.max() <= 1.0
        assert np.ptp(image) > 0.3
        assert (np.diff(image[40]) > -1e-3).all()


def test_the_held_out_tone_gives_the_dense_half_less_than_the_others_do() -> None:
    def upper_half(tone: Tone) -> float:
        spans = []
        for seed in range(12):
            rng = np.random.default_rng(seed)
            row = film.expose(rng, _chest(), np.zeros_like(_chest()), BODY, tone)[40]
            spans.append((row[-1] - row[40]) / (row[-1] - row[0]))
        return float(np.mean(spans))

    others = min(upper_half(tone) for tone in film.TRAINING_TONES)
    assert upper_half(film.HELD_OUT_TONE) < others - 0.1


def test_noise_grows_where_little_light_arrives() -> None:
    half = np.zeros((200, 200), np.float32)
    half[:, 100:] = 0.6
    half[:, :100] = 0.2
    more = 0
    for seed in range(20):
        image = film.develop(np.random.default_rng(seed), half)
        more += image[20:-20, 120:180].std() > image[20:-20, 20:80].std()
    assert more >= 17


def test_markers_do_not_look_at_the_film() -> None:
    blank, grey = np.zeros((224, 200), np.float32), np.full((224, 200), 0.3, np.float32)
    drawn = 0
    for seed in range(10):
        one = film.markers(np.random.default_rng(seed), blank) > 0.35
        two = film.markers(np.random.default_rng(seed), grey) > 0.65
        assert (one == two).all()
        drawn += one.any()
    assert 4 <= drawn < 10


def test_shutters_cover_only_the_border() -> None:
    covered = 0
    for seed in range(40):
        image = film.collimate(np.random.default_rng(seed), np.full((200, 160), 0.5, np.float32))
        assert (image[20:-20, 16:-16] == 0.5).all()
        covered += (image != 0.5).any()
    assert 2 < covered < 25


def test_a_film_without_body_is_still_a_film() -> None:
    nothing = np.zeros((40, 40), np.float32)
    image = film.expose(np.random.default_rng(1), nothing, nothing, nothing.astype(bool))
    assert np.isfinite(image).all()
