"""Bases and chunks hold the masks of regions, and say so where they do not."""

from pathlib import Path

import numpy as np
import pytest
import toy_chest

pytest.importorskip("torch")

from models.anatomy.heads import REGIONS
from models.training import cache
from models.training.chunks import Bank
from models.vocabulary import AnatomicStructure as A


def test_a_projected_chest_holds_the_masks_of_its_regions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "SCENES", 1)
    maker = object.__new__(cache.Maker)  # of a toy instead of the CT
    maker._hanging, maker._atlas = toy_chest.build()
    maker._raised = maker._hanging
    made = maker.fresh("train", 0, 1)
    masks = np.unpackbits(made.regions[0], axis=-1) > 0
    for mask, (x0, y0, x1, y1) in zip(masks, made.boxes[0], strict=True):
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        assert bool(rows.size) == (not np.isnan(x0))
        if rows.size:
            assert x0 <= columns[0] + 0.5 <= columns[-1] + 0.5 <= x1
            assert y0 <= rows[0] + 0.5 <= rows[-1] + 0.5 <= y1
    lung = masks[REGIONS.index(A.RIGHT_LUNG)]
    assert np.array_equal(lung, (made.fields[0] & cache.RIGHT_LUNG) > 0)
    zone = masks[REGIONS.index(A.RIGHT_MID_LUNG_ZONE)]
    assert 0 < (zone & lung).sum() == zone.sum() < lung.sum()


def test_chunks_and_bases_of_an_earlier_version_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "chunk1_000.npz", film=np.zeros((1, 4, 4), np.uint8))
    with pytest.raises(ValueError, match=r"chunk1_000\.npz holds no .*region_masks"):
        Bank(tmp_path)
    (tmp_path / "train.json").write_text('{"done": 1, "seed": 101}')
    for name in set(cache.layout("train")) - {"regions"}:
        np.save(tmp_path / f"train.{name}.npy", np.zeros(1))
    with pytest.raises(FileNotFoundError, match="holds no regions: project train anew"):
        cache.load(tmp_path, "train")
