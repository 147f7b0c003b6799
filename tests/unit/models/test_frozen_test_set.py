import json

import pytest

pytest.importorskip("torch")

from toy_studio import toy_studio

from models.simulate import film, test_set
from models.simulate.studio import Studio
from models.simulate.wishes import Kind
from models.vocabulary import Side

ROUND = len(test_set.KINDS)


@pytest.fixture(scope="module")
def studio() -> Studio:
    return toy_studio()


def test_every_test_film_has_a_factor_that_no_training_film_has() -> None:
    wishes = [test_set.wish(number) for number in range(8 * ROUND)]
    assert all(wish.held_out for wish in wishes)
    toned = [wish.tone for wish in wishes if wish.tone is not None]
    assert set(toned) == {film.HELD_OUT_TONE}
    assert len(toned) == pytest.approx(len(wishes) / 3, abs=1)
    flat = [wish for wish in wishes if wish.flat]
    assert flat
    assert all(set(wish.kinds) <= set(test_set.FLAT) for wish in flat)


def test_all_kinds_come_on_both_sides() -> None:
    wishes = [test_set.wish(number) for number in range(2 * ROUND)]
    for kind in set(Kind) - {Kind.MIXED, Kind.LATERAL, Kind.NORMAL}:
        sides = {wish.side for wish in wishes if kind in wish.kinds}
        assert sides == set(Side)


def test_a_film_of_the_second_method_shows_what_is_wished(studio: Studio) -> None:
    number = next(n for n in range(8 * ROUND) if test_set.wish(n).flat)
    taken = studio.take((1,), test_set.wish(number), side=96)
    assert [one.side for one in taken.scene.found] == [test_set.wish(number).side]
    assert taken.scene.found[0].mask.any()


def test_digests_tell_films_apart_and_nothing_else(studio: Studio) -> None:
    def both(seed: int) -> tuple[str, str]:
        taken = studio.take((seed,), test_set.wish(1), side=96)
        return test_set.truth_digest(taken), test_set.look_digest(taken)

    assert both(1) == both(1)
    one, other = both(1), both(2)
    assert one[0] != other[0]
    assert one[1] != other[1]


def test_the_record_names_films_of_nearly_every_kind_and_a_flat_one() -> None:
    known = json.loads(test_set.RECORDED.read_text())
    assert [one["name"] for one in known] == [f"test_{i:05d}" for i in test_set.KEPT]
    wishes = [test_set.wish(number) for number in test_set.KEPT]
    kinds = {kind for wish in wishes for kind in wish.kinds}
    assert {Kind.TUBES, Kind.PACEMAKER, Kind.RIB_FRACTURE, Kind.CLAVICLE_FRACTURE} <= kinds
    assert any(wish.flat for wish in wishes)
    assert len({one["look"] for one in known}) == len(known)
