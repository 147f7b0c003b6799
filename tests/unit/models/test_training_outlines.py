"""Outlines drawn by eye on real films: read, filled, taught, and compared with served masks."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")

from models.anatomy.heads import REGIONS
from models.evaluation import outlined_rows
from models.masks.regions import RegionMasks
from models.training import outlines, real
from models.training.batches import RealStream
from models.training.sample import SCOPE_IN, Sample
from models.values import AnatomyRegion, PixelBox
from models.vocabulary import AnatomicStructure as A

PARTS = {"train": "train", "valid": "valid", "test_a": "test", "test_b": "test"}
SQUARE = np.asarray([(0.25, 0.25), (0.75, 0.25), (0.75, 0.5), (0.25, 0.5)], np.float32)


def test_an_outline_is_filled_where_its_cells_lie() -> None:
    filled = outlines.fill(SQUARE, (40, 80))
    assert filled[10:20, 20:60].all()
    assert filled.sum() == 10 * 40
    slanted = np.asarray([(0, 0), (1, 0), (0, 1)], np.float32)
    assert outlines.fill(slanted, (80, 80)).mean() == pytest.approx(0.5, abs=0.01)


def test_outlined_films_are_of_patients_of_their_part_and_both_passes_hold_the_same() -> None:
    drawn = {name: outlines.load(name) for name in PARTS}
    assert set(drawn["test_a"]) == set(drawn["test_b"])
    assert len(drawn["test_a"]) >= 20
    split = json.loads(real.SPLIT_FILE.read_text())
    for name, part in PARTS.items():
        known = {p.removeprefix("nih:") for p in split[part] if p.startswith("nih:")}
        nih = {f.removeprefix("images/nih_").split("_")[0] for f in drawn[name] if "nih_" in f}
        assert nih
        assert nih <= known
    assert outlines.load("never") == {}


def test_every_outline_encloses_something_on_its_film() -> None:
    drawn = [film for name in PARTS for film in outlines.load(name).values()]
    for outline in (outline for film in drawn for outline in film.values()):
        assert len(outline) >= 4
        assert outline.min() >= 0
        assert outline.max() <= 1
        assert outlines.fill(outline, (320, 320)).sum() >= 40


def test_an_outline_moves_with_the_cut_and_ends_with_it() -> None:
    sample = Sample(film=np.zeros((320, 320), np.float32), scope=SCOPE_IN)
    # the right half of a film is shown, twice as high as wide, in the middle of the square
    outlines.teach(sample, {A.TRACHEA: SQUARE}, (0.5, 0.0, 1.0, 1.0), (80.0, 0.0, 160.0, 320.0))
    mask = sample.region_masks[REGIONS.index(A.TRACHEA)]
    assert mask[20:40, 20:40].all()  # half of what is shown across; the rest was cut off
    assert mask.sum() == 20 * 20
    assert np.flatnonzero(sample.region_masks_known).tolist() == [REGIONS.index(A.TRACHEA)]


def test_a_real_film_brings_its_outlines_mirrored_with_it() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (200, 200)).astype(np.uint8)
    one = {A.TRACHEA: SQUARE - np.float32((0.2, 0))}
    film = real.RealFilm("a", "p", "PA", 40, frozenset(), pixels, None, outlines=one)
    rng, sides = np.random.default_rng(5), {}
    for _ in range(20):
        sample = RealStream([film]).sample(rng)
        mask = sample.region_masks[REGIONS.index(A.TRACHEA)]
        sides[sample.mirrored] = float(np.flatnonzero(mask.any(axis=0)).mean()) < 40
    assert sides == {0.0: True, 1.0: False}
    assert not real.untold([film], ["drawn outlines"])[0].outlines


def test_served_masks_are_compared_beside_their_boxes_and_the_other_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    narrow = SQUARE * np.float32((1, 0.5)) + np.float32((0, 0.125))  # 20 of 40 rows
    drawn = {"a": {"f": {A.TRACHEA: SQUARE}}, "b": {"f": {A.TRACHEA: narrow}}}
    monkeypatch.setattr(outlines, "load", drawn.__getitem__)
    pixels = np.zeros((160, 160), np.uint8)
    film = real.RealFilm("f", "p", "PA", 40, frozenset(), pixels, None)
    box = PixelBox(40, 40, 120, 80)
    regions = tuple(AnatomyRegion(name, box, 0.9) for name in A)
    served = np.zeros((160, 160), bool)
    served[40:60, 40:120] = True  # the upper half of the box
    masks = RegionMasks.__new__(RegionMasks)
    monkeypatch.setattr(RegionMasks, "__getitem__", lambda *_: served)
    eye = SimpleNamespace(look=lambda _: [SimpleNamespace(regions=regions, region_masks=masks)])
    found = outlined_rows.outlined(eye, [film], ("a", "b"))  # type: ignore[arg-type]
    told = found.tables["outlined"]["trachea"]
    assert told["films"] == 1
    assert told["iou"] == pytest.approx((0.5 + 1.0) / 2)
    assert told["passes_agree"] == pytest.approx(0.5)
    assert told["own_box_filled"] == pytest.approx(0.75, abs=0.02)
    rows = {row.measure: row for row in found.rows}
    assert rows["trachea: mask IoU"].value == pytest.approx(0.75)
    assert "0 films" in rows["spine: mask IoU"].cases
    drawn["b"] = {}
    once = outlined_rows.outlined(eye, [film], ("a", "b"))  # type: ignore[arg-type]
    assert once.tables["outlined"]["trachea"]["iou"] == pytest.approx(0.5)
    assert once.tables["outlined"]["trachea"]["passes_agree"] is None
    other = outlined_rows.outlined(eye, [], ("a", "b"))  # type: ignore[arg-type]
    assert other.rows[0].value is None
