"""What makes each training film another one: stretching, new tubes, and slices that are no film."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from toy_chest import build  # noqa: E402

from models.simulate import extra, slices  # noqa: E402
from models.simulate.pose import Pose, Projection  # noqa: E402
from models.simulate.projector import Detector  # noqa: E402
from models.simulate.source import SourceCt  # noqa: E402
from models.training import provenance, samples, warps  # noqa: E402
from models.vocabulary import MaskName, Sign  # noqa: E402

SIGNS = tuple(Sign)


def _batch(films: int = 6, n: int = 112) -> dict:
    """Films that show one bright rectangle each, boxed and masked."""
    film, masks = np.zeros((films, n, n), np.float32), np.zeros((films, 1, n, n), np.float32)
    boxes = np.zeros((films, 36, 4), np.float32)
    for i in range(films):
        x0, y0, x1, y1 = 20 + i, 30, 70, 80 + i
        film[i, y0:y1, x0:x1] = 1.0
        masks[i, 0, y0:y1, x0:x1] = 1.0
        boxes[i, :] = np.asarray(((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0)) / n
    batch = {"film": film, "masks": masks, "places": masks.copy(), "boxes": boxes,
             "region_masks": masks.copy(), "signs": np.ones((films, 20), np.float32)}  # fmt: skip
    return {name: torch.from_numpy(array) for name, array in batch.items()}


def test_a_stretched_box_still_bounds_what_was_stretched() -> None:
    batch = _batch()
    moved = warps.stretch(np.random.default_rng(1), batch)
    assert not torch.equal(moved["film"], batch["film"])
    assert torch.equal(moved["signs"], batch["signs"])
    for film, box in zip(moved["masks"][:, 0].numpy(), moved["boxes"][:, 0].numpy(), strict=True):
        rows, columns = np.flatnonzero(film.max(1) >= 0.5), np.flatnonzero(film.max(0) >= 0.5)
        seen = np.asarray((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)) / 112
        stated = np.concatenate([box[:2] - box[2:] / 2, box[:2] + box[2:] / 2])
        assert seen == pytest.approx(stated, abs=1.01 / 112)


def test_film_masks_and_places_move_together() -> None:
    moved = warps.stretch(np.random.default_rng(2), _batch())
    assert torch.allclose(moved["film"], moved["masks"][:, 0])
    assert torch.allclose(moved["masks"], moved["places"])
    assert torch.allclose(moved["masks"], moved["region_masks"])


def test_curves_keep_the_edges_and_turn_nothing_round() -> None:
    drawn = warps.curves(np.random.default_rng(3), 200, 0.2)
    assert np.allclose(drawn[:, [0, -1]], 0)
    places = warps.U + drawn
    assert (np.diff(places, axis=1) > 0).all()
    still = (np.abs(drawn).max(axis=1) == 0).mean()
    assert 0.15 < still < 0.45


def _ct() -> SourceCt:
    hu = np.full((20, 40, 40), -1000, np.int16)
    hu[4:16, 8:32, 8:32] = 40
    hu[12:16, 8:32, 8:32] = 300  # the head's end is denser
    return SourceCt(hu, np.zeros_like(hu, np.uint8), (12.0, 8.0, 8.0))


def test_planes_stay_away_from_axial_and_coronal_ones() -> None:
    rng = np.random.default_rng(4)
    away = np.cos(np.radians(slices.AWAY_DEG))
    drawn = np.stack([slices.normal(rng) for _ in range(300)])
    assert np.allclose(np.linalg.norm(drawn, axis=1), 1)
    assert np.abs(drawn[:, :2]).max() <= away
    assert 0.3 < (drawn[:, 2] == 1).mean() < 0.5


def test_a_slice_is_a_picture_of_the_ct_with_the_head_up() -> None:
    ct = _ct()
    drawn = [slices.cut(np.random.default_rng(seed), ct, 64) for seed in range(40)]
    assert all(one.shape == (64, 64) and one.min() >= 0 and one.max() <= 1 for one in drawn)
    assert np.mean([np.ptp(one) > 0.3 for one in drawn]) > 0.8
    right, down = slices._axes(np.asarray((0.0, 0.0, 1.0)))
    assert np.allclose(down, (-1, 0, 0))
    assert abs(right[1]) == 1
    assert np.array_equal(drawn[0], slices.cut(np.random.default_rng(0), ct, 64))


def test_new_tubes_join_the_truth_of_a_scene_that_has_none() -> None:
    projector, stance = build()[0], Pose(Projection.AP, heart=1.0)
    detector = Detector(side=160, steps=40)
    more = extra.ExtraDevices(lambda _: (projector, stance), detector)
    drawn = [more.draw(np.random.default_rng(seed), 0) for seed in range(30)]
    kinds = {one.sign for some in drawn for one in some}
    assert {Sign.ENTERIC_TUBE, Sign.CHEST_TUBE, Sign.CENTRAL_VENOUS_LINE} <= kinds
    some = next(one for one in drawn if one)
    boxes = np.full((36, 4), 40.0, np.float32) + np.asarray((0, 0, 60, 60), np.float32)
    empty = samples.Shown(
        np.zeros((2, 160, 160), np.float16), np.zeros((160, 160), np.uint8), _nothing()
    )
    shown = empty.joined(some, boxes)
    bit = samples.PLANES.index(MaskName.DEVICE)
    drawn_mask = np.any([one.mask for one in some], axis=0)
    assert np.array_equal((shown.planes >> bit) & 1, drawn_mask)
    assert {SIGNS[i] for i in np.flatnonzero(shown.answers.signs == 1)} == {o.sign for o in some}
    assert shown.added[:, drawn_mask].sum() > 0
    assert not empty.planes.any()


def _nothing() -> samples.truth.Answers:
    return samples.truth.Answers(
        np.zeros(20, np.int8), np.zeros(20, np.uint8), np.zeros(20, np.float16),
        np.full((20, 4), np.nan, np.float32), np.zeros((20, 36), np.uint8),
    )  # fmt: skip


def test_a_run_s_history_tells_other_data_apart(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"2")
    both = [tmp_path / "a", tmp_path / "b"]
    told = provenance.of_files(both)
    assert told == provenance.of_files(reversed(both))
    assert provenance.line(100, "plan", bank=both) == f"from step 100: plan; bank {told}"
    assert provenance.end(300, bank=both) == f"to step 300: bank 2 chunks {told}"
    (tmp_path / "b").write_bytes(b"3")
    assert provenance.of_files(both) != told
