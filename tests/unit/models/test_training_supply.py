"""Training on a stream of chunks: growing banks, even poses, findings laid over real films."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models.anatomy.heads import MASK_SIDE, MASKS, OBSERVATIONS, REGIONS, SIGNS  # noqa: E402
from models.anatomy.network import INPUT_SIDE  # noqa: E402
from models.simulate import pose  # noqa: E402
from models.simulate.pose import Projection  # noqa: E402
from models.simulate.source import SourceCt  # noqa: E402
from models.training import cache, laid, real, supply, train, warps  # noqa: E402
from models.training.batches import RealStream  # noqa: E402
from models.training.chunks import FIELDS, Bank, write  # noqa: E402
from models.training.sample import SCOPE_IN, VIEW_AP, VIEW_PA, Sample  # noqa: E402
from models.vocabulary import AnatomicStructure as A  # noqa: E402
from models.vocabulary import MaskName, Observation, Sign  # noqa: E402

MASS = SIGNS.index(Sign.MASS)
DEEP = 100.0  # mm of water between lung and heart of the base


def a_base(sign: Sign = Sign.MASS, mm: float = 60.0, *, also: Sign | None = None) -> cache.Bases:
    """Two lungs and a heart; scene 1 adds a square of tissue to the right lung."""
    arrays = {
        name: np.zeros((1, *shape), dtype) for name, (dtype, shape) in cache.layout("train").items()
    }
    arrays["boxes"][:] = np.nan
    for name, bit, start in (
        (A.RIGHT_LUNG, cache.RIGHT_LUNG, 60),
        (A.LEFT_LUNG, cache.LEFT_LUNG, 180),
    ):
        arrays["fields"][0, 100:300, start : start + 80] |= bit
        arrays["boxes"][0, REGIONS.index(name)] = (start, 100, start + 80, 300)
    arrays["fields"][0, 200:300, 140:180] |= cache.HEART
    arrays["maps"][0, 0] = 100.0 + DEEP
    arrays["maps"][0, 0][(arrays["fields"][0] & 3) > 0] = 100.0
    inside = np.s_[180:220, 80:120]
    arrays["added"][0, 1, 0][inside] = mm
    arrays["planes"][0, 1][inside] = 1 << cache.PLANES.index(MaskName.MASS)
    arrays["signs"][0, 1, SIGNS.index(sign)] = 1
    arrays["reach"][0, 1, SIGNS.index(sign)] = (80, 180, 120, 220)
    if also is not None:
        arrays["signs"][0, 1, SIGNS.index(also)] = 1
    return cache.Bases(**arrays)


def a_film() -> Sample:
    """A calm film with both lungs and the heart known: lungs at 0.3, all else at 0.7."""
    sample = Sample(np.full((INPUT_SIDE, INPUT_SIDE), 0.7, np.float32), SCOPE_IN)
    for index, (name, x0) in enumerate(((A.RIGHT_LUNG, 0.2), (A.LEFT_LUNG, 0.55))):
        low, high = round(x0 * INPUT_SIDE), round((x0 + 0.25) * INPUT_SIDE)
        sample.film[INPUT_SIDE // 4 : 3 * INPUT_SIDE // 4, low:high] = 0.3
        sample.boxes[REGIONS.index(name)] = (x0 + 0.125, 0.5, 0.25, 0.5)
        sample.boxes_known[REGIONS.index(name)] = 1.0
        part = np.s_[MASK_SIDE // 4 : 3 * MASK_SIDE // 4]
        columns = np.s_[round(x0 * MASK_SIDE) : round((x0 + 0.25) * MASK_SIDE)]
        sample.masks[index, part, columns] = 1.0
    sample.masks[
        2, MASK_SIDE // 2 : 3 * MASK_SIDE // 4, round(0.46 * MASK_SIDE) : round(0.54 * MASK_SIDE)
    ] = 1
    sample.masks_known[:] = 0.1
    return sample


def laid_over(base: cache.Bases, sample: Sample, tries: int = 20) -> Sample:
    """Try until something was laid, or often enough to say that nothing is."""
    before = sample.film.copy()
    rng = np.random.default_rng(0)
    for _ in range(tries):
        laid.Findings(base).lay(rng, sample)
        if not np.array_equal(before, sample.film):
            break
    return sample


def test_a_laid_mass_lies_where_its_mask_and_places_say() -> None:
    before = a_film().film
    sample = laid_over(a_base(), a_film())
    changed = sample.film - before
    # The base's mass begins a tenth of the lungs' width from their right edge, at 0.2 of the film.
    rows, columns = np.flatnonzero(changed.max(1) > 0.02), np.flatnonzero(changed.max(0) > 0.02)
    assert columns[[0, -1]] / INPUT_SIDE == pytest.approx((0.26, 0.38), abs=0.01)
    assert rows[[0, -1]] / INPUT_SIDE == pytest.approx((0.45, 0.55), abs=0.01)
    assert 0.05 < changed.max() < 0.5
    mask = sample.masks[MASKS.index(MaskName.MASS)] > 0.5
    assert np.flatnonzero(mask.any(0))[[0, -1]] / MASK_SIDE == pytest.approx(
        (0.26, 0.38), abs=0.015
    )
    assert sample.masks_known[MASKS.index(MaskName.MASS)] == 1
    assert sample.places[MASS].any()
    assert (sample.signs[MASS], sample.signs_known[MASS]) == (1, laid.TOLD)
    assert sample.findings[OBSERVATIONS.index(Observation.MASS)] == 1
    assert sample.findings_known[OBSERVATIONS.index(Observation.LUNG_OPACITY)] == 0


def test_what_cannot_be_seen_is_not_told_either_way() -> None:
    sample = laid_over(a_base(mm=1.0), a_film())
    assert sample.signs_known[MASS] == 0
    assert sample.masks_known[MASKS.index(MaskName.MASS)] == 0
    assert not sample.places[MASS].any()
    assert sample.findings_known[OBSERVATIONS.index(Observation.MASS)] == 0


@pytest.mark.parametrize("other", [Sign.PNEUMOTHORAX, Sign.PLEURAL_EFFUSION])
def test_scenes_with_air_or_fluid_are_never_laid(other: Sign) -> None:
    sample = laid_over(a_base(also=other), a_film())
    assert np.array_equal(sample.film, a_film().film)


def test_a_film_without_known_lungs_or_without_contrast_stays_as_it_is() -> None:
    unknown = a_film()
    unknown.boxes_known[REGIONS.index(A.LEFT_LUNG)] = 0
    assert np.array_equal(laid_over(a_base(), unknown).film, a_film().film)
    flat = a_film()
    flat.film[:] = 0.5
    assert (laid_over(a_base(), flat).film == 0.5).all()


def test_tissue_saturates_above_the_heart_and_metal_at_white() -> None:
    film = np.asarray([[0.0, 0.3, 0.7, 0.95]], np.float32)
    grey = laid.Grey(0.3, 0.7, 0.004)
    none = np.zeros_like(film)
    assert np.array_equal(laid.expose(film, grey, none, none), film)
    thick = laid.expose(film, grey, none + 50, none)
    assert thick[0] == pytest.approx((0.0, 0.8, 0.8, 0.95), abs=1e-5)
    assert laid.expose(film, grey, none, none + 50)[0] == pytest.approx((0.0, 1.0, 1.0, 1.0))
    thin = laid.expose(film, grey, none + 0.01, none)
    assert thin[0, 1] - film[0, 1] == pytest.approx(0.01, rel=0.05)


def _chunk(folder: Path, number: int, greys: list[float]) -> None:
    samples = [Sample(np.full((INPUT_SIDE,) * 2, grey, np.float32), SCOPE_IN) for grey in greys]
    for place, sample in enumerate(samples):
        sample.places[0, place, 3] = 1
    write(folder / f"chunk9_{number:03d}.npz", samples)


def test_a_bank_takes_in_new_chunks_and_keeps_the_old(tmp_path: Path) -> None:
    _chunk(tmp_path, 0, [0.2, 0.4])
    films = Bank(tmp_path)
    assert len(films) == 2
    for number in range(1, 4):
        _chunk(tmp_path, number, [0.6, 0.8, 1.0])
        films.refresh()
    films.refresh()  # nothing new: nothing twice
    assert len(films) == 11
    taken = films.take(np.asarray([1, 0, 10]))
    assert taken["film"][:, 5, 5].tolist() == pytest.approx([0.4, 0.2, 1.0], abs=1 / 255)
    assert taken["places"][1, 0, 0, 3] == 1
    assert float(taken["places"].sum()) == 3


def test_even_poses_fill_the_training_range_and_never_leave_it() -> None:
    drawn = [
        pose.draw(np.random.default_rng(seed), Projection.PA, even=True) for seed in range(300)
    ]
    for most, angles in (
        (pose.TRAIN_YAW, [p.yaw for p in drawn]),
        (pose.TRAIN_PITCH, [p.pitch for p in drawn]),
    ):
        sizes = np.abs(angles) / most
        assert sizes.max() <= 1
        assert 0.25 < (sizes > 2 / 3).mean() < 0.42
    lattices = {p.waves_mm.shape[1] for p in drawn}
    assert lattices == set(pose.EVEN_WAVES)
    assert pose.HELD_OUT_WAVES[0] not in lattices


def test_held_out_poses_do_not_know_of_even_ones() -> None:
    plain = pose.draw(np.random.default_rng(3), Projection.AP, held_out=True)
    even = pose.draw(np.random.default_rng(3), Projection.AP, held_out=True, even=True)
    assert (plain.yaw, plain.pitch, plain.shift_mm) == (even.yaw, even.pitch, even.shift_mm)
    assert np.array_equal(plain.waves_mm, even.waves_mm)


def test_a_new_tone_leaves_black_black_and_order_nearly_as_it_was() -> None:
    films = torch.linspace(0, 1, 64).repeat(8, 64, 1)
    toned = warps.retone(np.random.default_rng(1), films)
    assert (toned[films == 0] == 0).all()
    assert not torch.equal(toned, films)
    assert float((toned - films).abs().mean()) < 0.06


def test_a_plan_is_fulfilled_by_steps_or_by_time(tmp_path: Path) -> None:
    run = train.Run(tmp_path, train.Plan(steps=10, minutes=5.0))
    assert run.progress() == pytest.approx(0, abs=0.01)
    run.step = 5
    assert run.progress() == pytest.approx(0.5)
    run.started -= 240
    assert run.progress() == pytest.approx(0.8, abs=0.01)
    run.step = 11
    assert run.progress() == 1


class AMaker:
    """Stands for the projections: one small chest, whatever is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, int]] = []

    def fresh(self, part: str, first: int, count: int) -> cache.Bases:
        self.asked.append((part, first, count))
        return a_base()

    def devices(self, part: str, bases: cache.Bases, first: int) -> None:
        assert (part, first, len(bases)) == (*self.asked[0][:2], 1)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> supply.Shop:
    monkeypatch.setattr(supply, "SIMULATED", 4)
    monkeypatch.setattr(supply, "REAL", 10)
    pixels = np.random.default_rng(0).integers(1, 255, (320, 280)).astype(np.uint8)
    film = real.RealFilm("a", "p", "PA", 40, frozenset({"No Finding"}), pixels, None)
    ct = SourceCt(np.zeros((8, 9, 9), np.int16), np.zeros((8, 9, 9), np.uint8), (9.0, 9.0, 9.0))
    maker = AMaker()
    return supply.Shop(maker, ct, [film], real.tones([film]), {}, tmp_path)  # type: ignore[arg-type]


def _contents(folder: Path) -> dict[str, bytes]:
    """All arrays of all chunks, by chunk and name."""
    found = {}
    for path in sorted(folder.rglob("*.npz")):
        with np.load(path) as chunk:
            found |= {f"{path.parent.name} {path.name} {n}": chunk[n].tobytes() for n in chunk}
    return found


def test_a_chunk_is_the_same_whoever_makes_it_and_is_made_once(shop: supply.Shop) -> None:
    shop.chunk(3)
    made = _contents(shop.out)
    assert len(made) == 2 * len(FIELDS)
    with np.load(shop.out / "real" / "chunk301_0003.npz") as chunk:
        assert len(chunk["film"]) == 10
        assert (chunk["scope"] == SCOPE_IN).sum() == 9
    asked = len(shop.maker.asked)  # type: ignore[attr-defined]
    shop.chunk(3)
    assert len(shop.maker.asked) == asked  # type: ignore[attr-defined]
    (shop.out / "simulated" / "chunk301_0003.npz").unlink()  # as if it had died half-way
    shop.maker.asked.clear()  # type: ignore[attr-defined]
    shop.work(range(3, 4))
    assert _contents(shop.out) == made


def test_chunks_have_chests_of_their_own(shop: supply.Shop) -> None:
    for number in (0, 1):
        shop.maker.asked.clear()  # type: ignore[attr-defined]
        shop.chunk(number)
        part, first, count = shop.maker.asked[0]  # type: ignore[attr-defined]
        assert (part, first, count) == ("train", 10_000 + 6 * number, 6)


@pytest.mark.parametrize(("view", "told"), [(VIEW_PA, laid.TOLD), (VIEW_AP, 0.0)])
def test_a_laid_device_is_told_where_films_without_are_told_too(view: int, told: float) -> None:
    tube = SIGNS.index(Sign.CHEST_TUBE)
    base = a_base(Sign.CHEST_TUBE)
    base.planes[0, 1][base.planes[0, 1] > 0] = 1 << cache.PLANES.index(MaskName.DEVICE)
    film = a_film()
    film.view = view
    film.signs_known[tube] = film.places_known[tube] = 0.2
    sample = laid_over(base, film)
    assert (sample.signs_known[tube], sample.places_known[tube]) == (told, float(told > 0))
    assert sample.masks_known[MASKS.index(MaskName.DEVICE)] == pytest.approx(0.1 if told else 0)


def test_only_calm_films_say_what_they_do_not_show() -> None:
    pixels = np.random.default_rng(0).integers(1, 255, (320, 280)).astype(np.uint8)
    known = {}
    for view, label in (("PA", "No Finding"), ("AP", "No Finding"), ("PA", "Mass")):
        film = real.RealFilm("a", "p", view, 40, frozenset({label}), pixels, None)
        sample = RealStream([film]).sample(np.random.default_rng(1))
        known[view, label] = (
            sample.signs_known[SIGNS.index(Sign.CHEST_TUBE)] > 0,
            sample.places_known[MASS] > 0,
        )
    assert known == {
        ("PA", "No Finding"): (True, True), ("AP", "No Finding"): (False, True),
        ("PA", "Mass"): (False, False),
    }  # fmt: skip
