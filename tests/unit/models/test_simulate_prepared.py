"""The preparation of the CT is checked on a block, and on the CT itself where it is cached."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from models.simulate import phantom, prepared, source
from models.simulate.phantom import Structure
from models.simulate.prepared import Figure, Prepared
from models.simulate.source import SourceCt

CACHE = Path(os.environ.get("SIMULATE_CACHE", "carina-data/simulate-cache"))
SHAPE, SPACING, MASS = (24, 24, 24), (5.0, 5.0, 5.0), (8, 8, 8)
HEART_VOXEL, VEIN_VOXEL, PLAIN_VOXEL, RIM_VOXEL = (20, 20, 20), (20, 20, 2), (2, 2, 20), (20, 2, 4)


@pytest.fixture
def block(monkeypatch: pytest.MonkeyPatch) -> Prepared:
    """A lower lobe with a mass before and none after; a heart, vessels, a rib, all as they must."""
    monkeypatch.setattr(prepared, "MASS_CENTRE", MASS)
    labels, raw = np.zeros(SHAPE, np.uint8), np.full(SHAPE, 40, np.int16)
    labels[:16, :16, :16], raw[:16, :16, :16] = prepared.LUNG_LABEL, -850
    raw[7:10, 7:10, 6:12] = 50  # 54 voxels of 0.125 ml
    for place, label in (
        (HEART_VOXEL, 51),
        ((21, 20, 20), 51),
        ((22, 22, 22), 62),
        ((20, 20, 12), 54),
    ):
        labels[place], raw[place] = label, 400
    labels[20, 20, 16], labels[22, 22, 12], labels[22, 22, 10] = 52, 52, 52
    for place, label in ((VEIN_VOXEL, 53), ((22, 20, 2), 63), ((22, 22, 2), 64)):
        labels[place] = label
    labels[20, 2, 3] = 104
    ct = SourceCt(raw, labels, SPACING)
    hu = np.where(labels == prepared.LUNG_LABEL, -850, 40).astype(np.float32)
    codes = phantom.structures(ct)
    codes[20, 20, 16], codes[22, 22, 12] = Structure.AORTIC_ARCH, Structure.ASCENDING_AORTA
    codes[22, 22, 10] = Structure.DESCENDING_AORTA
    return Prepared(ct, hu, codes)


def outside(found: Iterable[Figure]) -> list[str]:
    return [figure.name for figure in found if not figure.holds]


def every(made: Prepared) -> list[Figure]:
    return [*prepared.contrast(made), *prepared.mass(made), *prepared.bones(made)]


def test_a_block_without_contrast_and_mass_passes(block: Prepared) -> None:
    assert outside(every(block)) == []


@pytest.mark.parametrize(
    ("place", "hu", "named"),
    [
        (HEART_VOXEL, 331, ["heart: highest HU", "a voxel or more from bone: highest HU"]),
        (HEART_VOXEL, 10, ["heart: lowest HU"]),
        (VEIN_VOXEL, 362, ["pulmonary veins: highest HU",
                           "a voxel or more from bone: highest HU"]),
        (PLAIN_VOXEL, 200, ["a voxel or more from bone: highest HU"]),
        (MASS, 50, ["mass after preparation: ml"]),
    ],
)  # fmt: skip
def test_what_the_preparation_left_is_named(
    block: Prepared, place: tuple[int, int, int], hu: float, named: list[str]
) -> None:
    block.hu[place] = hu
    assert outside(every(block)) == named


def test_contrast_beside_a_rib_is_measured_and_limited(block: Prepared) -> None:
    name = "beside right collar bone and two ribs, above 400 HU: ml, as it is"

    def dense() -> Figure:
        return next(figure for figure in prepared.contrast(block) if figure.name == name)

    assert dense().value == 0
    block.hu[RIM_VOXEL] = 1000
    assert dense().value == pytest.approx(0.125)
    assert dense().holds
    block.hu[19:22, 1:4, 2:5] = 1000
    assert dense().value == pytest.approx(6 * 0.125)


def test_a_ct_without_the_mass_in_its_place_is_another_ct(block: Prepared) -> None:
    block.ct.hu[7:10, 7:10, 6:12] = -850
    assert outside(prepared.mass(block)) == ["mass before preparation: ml"]


def test_what_is_no_number_never_holds() -> None:
    figure = Figure("x", float("nan"), 0.0, 1.0)
    assert not figure.holds
    assert str(figure).startswith("OUTSIDE")
    assert str(Figure("x", 1.0, 0.0, 1.0)).startswith("ok")


@pytest.mark.skipif(
    not source.is_cached(CACHE), reason="the CT is not cached: SIMULATE_CACHE names the folder"
)
def test_the_real_ct_is_prepared_as_it_must_be() -> None:
    found = list(prepared.figures(source.read(source.fetch(CACHE))))
    assert found[-1].name.startswith("cardiothoracic ratio")
    assert outside(found) == []
