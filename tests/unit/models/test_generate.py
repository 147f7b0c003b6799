import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

from toy_studio import SIDE, toy_studio

from models.simulate import attributes, generate, sentences, wishes
from models.simulate.attributes import SignTruth
from models.simulate.film import HELD_OUT_TONE, TRAINING_TONES
from models.simulate.generate import Order
from models.simulate.pose import Projection
from models.simulate.studio import Studio, Taken
from models.simulate.wishes import Kind, Wish
from models.vocabulary import DEVICE_SIGNS, AnatomicStructure, Presence, Side, Sign

SHOWN = {
    Kind.EFFUSION: Sign.PLEURAL_EFFUSION,
    Kind.PNEUMOTHORAX: Sign.PNEUMOTHORAX,
    Kind.CONSOLIDATION: Sign.CONSOLIDATION,
    Kind.MASS: Sign.MASS,
    Kind.WIDE_MEDIASTINUM: Sign.MEDIASTINAL_WIDENING,
    Kind.SHIFT: Sign.MEDIASTINAL_SHIFT,
    Kind.PACEMAKER: Sign.PACEMAKER,
}


@pytest.fixture(scope="module")
def studio() -> Studio:
    return toy_studio()


@pytest.fixture(scope="module")
def effusion(studio: Studio) -> Taken:
    wish = Wish((Kind.EFFUSION,), side=Side.LEFT, strength=0.9, heart=1.0)
    return studio.take((1,), wish, side=SIDE)


def _by_sign(taken: Taken) -> dict[Sign, SignTruth]:
    return {fact.sign: fact for fact in attributes.signs(taken)}


def test_a_film_of_a_seed_is_the_same_however_many_are_made(studio: Studio, tmp_path: Path) -> None:
    for folder, n in (("one", 1), ("two", 2)):
        list(generate.simulate(studio, Order(n, 3, Kind.MIXED, SIDE), tmp_path / folder))
    files = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*.*"))
    assert {p.suffix for p in files} >= {".png", ".json"}
    for name in files:
        if (tmp_path / "one" / name).is_file():
            one, two = ((tmp_path / folder / name).read_bytes() for folder in ("one", "two"))
            assert one == two
    other = studio.take((4, 0, generate.FILM), Wish(), side=SIDE)
    again = studio.take((5, 0, generate.FILM), Wish(), side=SIDE)
    assert other.pixels.tobytes() != again.pixels.tobytes()


@pytest.mark.parametrize("kind", SHOWN, ids=lambda kind: kind.value)
def test_what_is_wished_is_shown_and_said(studio: Studio, kind: Kind) -> None:
    shown = 0
    for seed in range(3):
        wish = wishes.draw(np.random.default_rng(seed), kind)
        taken = studio.take((seed, 9), wish, side=SIDE)
        fact = _by_sign(taken)[SHOWN[kind]]
        shown += fact.state is Presence.PRESENT
        if fact.state is Presence.PRESENT and fact.sign not in devices_and_midline():
            assert fact.sides == (wish.side,) or len(fact.sides) == 2
    assert shown >= 2


def devices_and_midline() -> set[Sign]:
    return {*DEVICE_SIGNS, Sign.MEDIASTINAL_WIDENING, Sign.MEDIASTINAL_SHIFT}


def test_a_normal_film_shows_nothing(studio: Studio) -> None:
    taken = studio.take((2,), Wish(heart=1.0), side=SIDE)
    present = [f.sign for f in attributes.signs(taken) if f.state is Presence.PRESENT]
    # The toy's heart and domes are what they are; everything else must be absent.
    assert set(present) <= {Sign.ENLARGED_CARDIAC_SILHOUETTE, Sign.ELEVATED_HEMIDIAPHRAGM}
    assert taken.devices == []


def test_boxes_and_masks_lie_on_the_film_and_in_each_other(effusion: Taken) -> None:
    rows, columns = effusion.pixels.shape
    assert {AnatomicStructure.RIGHT_LUNG, AnatomicStructure.LEFT_LUNG} <= set(effusion.boxes)
    for name, (x0, y0, x1, y1) in effusion.boxes.items():
        assert 0 <= x0 < x1 <= columns
        assert 0 <= y0 < y1 <= rows
        mask = effusion.masks[name]
        assert mask.shape == (rows, columns)
        if mask.any():
            inside_y, inside_x = np.nonzero(mask)
            assert inside_x.min() >= x0 - 1
            assert inside_x.max() < x1 + 1
            assert inside_y.min() >= y0 - 1
            assert inside_y.max() < y1 + 1


def test_fluid_makes_its_lung_denser_and_touches_its_side_only(
    studio: Studio, effusion: Taken
) -> None:
    fact = _by_sign(effusion)[Sign.PLEURAL_EFFUSION]
    assert fact.state is Presence.PRESENT
    assert fact.severity == attributes.LARGE
    assert fact.mask is not None
    assert not any(name.value.startswith("right") for name in fact.regions)
    assert AnatomicStructure.LEFT_LUNG in fact.regions
    assert effusion.scene.found[0].added_soft[fact.mask].mean() > 5.0


def test_the_written_truth_holds_regions_signs_words_and_masks(
    effusion: Taken, tmp_path: Path
) -> None:
    picture = generate.write(effusion, tmp_path / "film")
    told = json.loads((tmp_path / "film.json").read_text())
    with Image.open(picture) as image:
        assert image.size == (told["columns"], told["rows"])
    assert [r["name"] for r in told["regions"]] == [name.value for name in AnatomicStructure]
    assert [s["sign"] for s in told["signs"]] == [sign.value for sign in Sign]
    left = next(r for r in told["regions"] if r["name"] == "left lung")
    assert "pleural effusion" in left["attributes"]
    assert "pleural effusion" in left["sentence"]
    assert any(s.startswith("Large left pleural effusion") for s in told["report"]["findings"])
    assert "No pneumothorax." in told["report"]["findings"]
    assert any("cannot be excluded" in s for s in told["report"]["findings"])
    for place in (told["masks"]["regions"], told["masks"]["signs"]):
        for name in place.values():
            with Image.open(tmp_path / name) as mask:
                assert mask.mode == "1"
                assert mask.size == (told["columns"], told["rows"])
    assert told["view_position"] == "PA"


def test_a_lateral_has_no_regions_and_says_which_side_faces_the_detector(studio: Studio) -> None:
    views = set()
    for seed in range(6):
        wish = Wish((Kind.LATERAL,), Projection.LATERAL)
        taken = studio.take((seed,), wish, side=SIDE)
        told = generate.truth(taken, attributes.signs(taken))
        assert told["regions"] == told["signs"] == []
        views.add(told["view_position"])
    assert views == {"LL", "RL"}


def test_a_fine_film_gets_its_findings_from_a_coarser_grid(studio: Studio) -> None:
    wish = Wish((Kind.EFFUSION,), strength=1.0, heart=1.0)
    small, large = (studio.take((6,), wish, side=side) for side in (96, 448))
    shares = [t.scene.found[0].mask.mean() for t in (small, large)]
    assert shares[1] == pytest.approx(shares[0], rel=0.15)
    assert large.scene.found[0].mask.shape == large.pixels.shape


def test_tones_of_training_are_drawn_and_a_named_tone_is_kept(studio: Studio) -> None:
    drawn = {studio.take((s,), Wish(), side=SIDE).tone for s in range(4)}
    assert drawn <= set(TRAINING_TONES)
    assert studio.take((1,), Wish(tone=HELD_OUT_TONE), side=SIDE).tone is HELD_OUT_TONE


def test_the_words_of_a_sign_have_grade_and_side() -> None:
    def fact(sign: Sign, sides: tuple[Side, ...], size: float) -> SignTruth:
        return SignTruth(sign, Presence.PRESENT, sides, size, None, None, ())

    assert sentences.stated(fact(Sign.PNEUMOTHORAX, (Side.RIGHT,), 50.0)) == (
        "Large right pneumothorax."
    )
    both = fact(Sign.PULMONARY_EDEMA, tuple(Side), 0.4)
    assert sentences.stated(both) == "Mild bilateral pulmonary edema."
    assert sentences.impression([], []) == ["No acute finding."]


def test_every_kind_can_be_wished_for_by_name() -> None:
    for kind in Kind:
        for seed in range(5):
            wish = wishes.draw(np.random.default_rng(seed), kind)
            assert 0.0 <= wish.strength <= 1.0
            assert (wish.projection is Projection.LATERAL) == (Kind.LATERAL in wish.kinds)
            if kind is not Kind.MIXED:
                assert wish.kinds == (kind,)
