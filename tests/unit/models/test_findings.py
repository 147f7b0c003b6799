from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from toy_chest import DETECTOR, build, chest

pytest.importorskip("torch")

from models.simulate import air, atlas, collapse, fluid, fractures, phantom, solid
from models.simulate.findings import Inserted
from models.simulate.phantom import BOTTOM_SLICES, SIDE_VOXELS, TOP_SLICES
from models.simulate.pose import Pose, Projection
from models.simulate.source import SourceCt
from models.simulate.tissue import Chest
from models.vocabulary import Side, Sign

Maker = Callable[[np.random.Generator, Chest, Side, float], Inserted]
UPRIGHT = Pose(Projection.PA, heart=1.0, shoulders_mm=0.0)
LYING = Pose(Projection.AP, heart=1.0, shoulders_mm=0.0, recline=90.0, source_mm=1200.0)
IN_A_LUNG: dict[str, tuple[Maker, float]] = {
    "effusion": (fluid.effusion, 60.0),
    "pneumothorax": (air.pneumothorax, 35.0),
    "consolidation": (solid.consolidation, 90.0),
    "mass": (solid.ball, 50.0),
    "nodule": (solid.ball, 24.0),
    "collapse": (collapse.lobe, 50.0),
    "plate": (collapse.plate, 60.0),
}


@pytest.fixture(scope="module")
def toy() -> tuple:
    return build()


@pytest.fixture(scope="module")
def upright(toy: tuple) -> Chest:
    return chest(toy, UPRIGHT)[0]


@pytest.fixture(scope="module")
def lying(toy: tuple) -> Chest:
    return chest(toy, LYING)[0]


def _middle_row(mask: np.ndarray) -> float:
    return float(np.flatnonzero(mask.any(1)).mean())


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("name", sorted(IN_A_LUNG))
def test_a_finding_changes_only_rays_through_its_own_lung(
    upright: Chest, name: str, side: Side
) -> None:
    make, size = IN_A_LUNG[name]
    other = Side.LEFT if side is Side.RIGHT else Side.RIGHT
    for seed in range(3):
        upright.reset()
        made = make(np.random.default_rng(seed), upright, side, size)
        changed = np.abs(made.added_soft) > 1e-3
        assert changed.any()
        assert not (changed & (upright.thickness[side] == 0)).any()
        assert not (made.mask & (upright.thickness[other] > 0)).any()
        assert not made.added_bone.any()


@pytest.mark.parametrize("name", sorted(IN_A_LUNG))
def test_what_a_finding_adds_is_the_change_of_the_densities(upright: Chest, name: str) -> None:
    make, size = IN_A_LUNG[name]
    upright.reset()
    made = make(np.random.default_rng(5), upright, Side.LEFT, size)
    change = (upright.density - upright.untouched) * upright.step_mm
    assert float(made.added_soft.sum()) == pytest.approx(float(change.sum()), rel=1e-3, abs=0.5)


def test_the_same_seed_gives_the_same_finding_after_a_reset(upright: Chest) -> None:
    for make, size in IN_A_LUNG.values():
        pictures = []
        for _ in range(2):
            upright.reset()
            made = make(np.random.default_rng(9), upright, Side.RIGHT, size)
            pictures.append(made.added_soft.tobytes() + made.mask.tobytes())
        assert pictures[0] == pictures[1]


def test_fluid_lies_at_the_bottom_of_a_patient_upright_and_rises_at_the_wall(
    upright: Chest,
) -> None:
    upright.reset()
    made = fluid.effusion(np.random.default_rng(1), upright, Side.RIGHT, 70.0)
    assert _middle_row(made.mask) > _middle_row(upright.field[Side.RIGHT])
    columns = np.flatnonzero(made.mask.any(0))
    tops = np.argmax(made.mask, axis=0)[columns]
    outer, middle = tops[: len(tops) // 4].min(), tops[len(tops) // 2 :].min()
    assert outer < middle  # the right lung's wall is at the left of the film


def test_more_fluid_covers_more(upright: Chest) -> None:
    covered = []
    for size in (20.0, 60.0, 110.0):
        upright.reset()
        covered.append(
            fluid.effusion(np.random.default_rng(1), upright, Side.LEFT, size).mask.sum()
        )
    assert covered == sorted(covered)
    assert covered[0] < covered[2] / 2


def test_fluid_behind_the_lung_of_a_patient_lying_down_is_an_even_veil(lying: Chest) -> None:
    lying.reset()
    made = fluid.effusion(np.random.default_rng(1), lying, Side.LEFT, 60.0)
    height = np.ptp(np.flatnonzero(made.mask.any(1)))
    assert height > 0.7 * np.ptp(np.flatnonzero(lying.field[Side.LEFT].any(1)))
    fluid_heights = lying.height_mm[(lying.density > 0.9) & (lying.untouched < 0.5)]
    assert fluid_heights.max() < lying.low_mm(Side.LEFT) + 75.0


def test_air_rises_to_the_apex_upright_and_in_front_lying_down(
    upright: Chest, lying: Chest
) -> None:
    upright.reset()
    rim = air.pneumothorax(np.random.default_rng(2), upright, Side.LEFT, 30.0)
    assert _middle_row(rim.mask) < _middle_row(upright.field[Side.LEFT])
    assert rim.added_soft[rim.mask].mean() < 0
    lying.reset()
    air.pneumothorax(np.random.default_rng(2), lying, Side.LEFT, 30.0)
    emptied = (lying.density < 0.05) & (lying.untouched > 0.2)
    assert lying.zyx[1, emptied].mean() > lying.zyx[1, lying.zone == 4].mean()


def test_free_air_lies_below_the_dome_and_takes_tissue_away(upright: Chest) -> None:
    upright.reset()
    made = air.subdiaphragmatic(np.random.default_rng(1), upright, Side.RIGHT, 24.0)
    assert made.added_soft.min() < -10
    assert made.added_soft.max() <= 1e-3
    assert made.mask.any()
    columns = np.flatnonzero(made.mask.any(0))
    assert columns.max() < DETECTOR.side / 2


def test_a_ball_is_as_large_as_asked_and_named_by_its_size(upright: Chest) -> None:
    for size, sign in ((26.0, Sign.NODULE), (60.0, Sign.MASS)):
        upright.reset()
        made = solid.ball(np.random.default_rng(4), upright, Side.RIGHT, size)
        assert made.sign is sign
        across = 2 * np.sqrt(made.mask.sum() / np.pi) * DETECTOR.pixel_mm
        assert across == pytest.approx(size, rel=0.35)


def test_nothing_is_put_where_fluid_took_the_lungs_place(upright: Chest) -> None:
    upright.reset()
    before = len(upright.lung(Side.LEFT))
    fluid.effusion(np.random.default_rng(0), upright, Side.LEFT, 100.0)
    drowned = upright.density > 0.99
    assert len(upright.lung(Side.LEFT)) < before
    densities = upright.density[drowned].copy()
    solid.consolidation(np.random.default_rng(0), upright, Side.LEFT, 120.0)
    solid.ball(np.random.default_rng(0), upright, Side.LEFT, 60.0)
    assert np.array_equal(upright.density[drowned], densities)


def test_a_lung_without_air_takes_no_more_findings(upright: Chest) -> None:
    upright.reset()
    upright.displace(upright.lung(Side.RIGHT))
    for make, size in IN_A_LUNG.values():
        made = make(np.random.default_rng(3), upright, Side.RIGHT, size)
        assert not made.mask.any()
        assert not made.added_soft.any()


@pytest.mark.parametrize("pulled", [True, False])
def test_a_white_lung_has_hardly_any_air(upright: Chest, *, pulled: bool) -> None:
    upright.reset()
    made = fluid.white(np.random.default_rng(1), upright, Side.LEFT, pulled=pulled)
    assert upright.density[upright.lung(Side.LEFT)].mean() > 0.75
    assert made.sign is (Sign.ATELECTASIS if pulled else Sign.PLEURAL_EFFUSION)


@pytest.mark.parametrize("make", [fluid.edema, solid.interstitial])
def test_findings_of_both_lungs_grow_with_their_strength(upright: Chest, make: object) -> None:
    added = []
    for strength in (0.2, 0.9):
        upright.reset()
        made = make(np.random.default_rng(1), upright, strength)  # type: ignore[operator]
        added.append(float(made.added_soft.sum()))
        assert made.side is None
    assert 0 < added[0] < added[1]
    assert all(made.mask[:, half].any() for half in (slice(0, 48), slice(48, 96)))


@pytest.mark.parametrize(
    ("make", "sign"),
    [(fractures.rib, Sign.RIB_FRACTURE), (fractures.clavicle, Sign.CLAVICLE_FRACTURE)],
)
def test_a_fracture_moves_bone_and_loses_next_to_none(
    upright: Chest, make: Maker, sign: Sign
) -> None:
    upright.reset()
    made = make(np.random.default_rng(2), upright, Side.LEFT, 12.0)
    assert made.sign is sign
    assert made.mask.any()
    gained = made.added_bone[made.added_bone > 0].sum()
    lost = -made.added_bone[made.added_bone < 0].sum()
    assert gained > 0.3 * lost > 0
    assert np.flatnonzero(made.mask.any(0)).min() > DETECTOR.side / 2


def test_the_atlas_knows_lobes_walls_domes_and_bones_on_the_phantoms_grid() -> None:
    labels = np.zeros((20, 60, 80), np.uint8)
    labels[6:16, 10:50, 8:32] = 13  # a block of right middle lobe
    labels[6:16, 10:50, 48:72] = 11  # left lower
    labels[14, 5, 10:30], labels[15, 55, 60:70] = 104, 73  # first right rib, left clavicle
    source = SourceCt(np.zeros(labels.shape, np.int16), labels, (2.5, 1.0, 1.0))
    padding = ((BOTTOM_SLICES, TOP_SLICES), (0, 0), (SIDE_VOXELS, SIDE_VOXELS))
    codes = np.pad(phantom.structures(source), padding)[:, ::2, ::2]
    blank = np.zeros(codes.shape, np.float32)
    made = phantom.Phantom(blank, blank, codes, (2.5, 2.0, 2.0), (0, 0, 0), (0, 0, 0))
    maps = atlas.build(source, made)
    assert maps.lobes.shape == codes.shape
    assert maps.lobes[BOTTOM_SLICES + 8, 15, (SIDE_VOXELS + 20) // 2] == atlas.RIGHT_MIDDLE
    assert maps.lobes[BOTTOM_SLICES + 8, 15, (SIDE_VOXELS + 60) // 2] == atlas.LEFT_LOWER
    middle = maps.wall_mm[BOTTOM_SLICES + 8, :, (SIDE_VOXELS + 40) // 4]
    assert middle.max() > maps.wall_mm[BOTTOM_SLICES + 8, :, (SIDE_VOXELS + 10) // 4].max()
    assert maps.dome_mm[15, (SIDE_VOXELS + 20) // 2] == (BOTTOM_SLICES + 6) * 2.5
    rib = maps.ribs[Side.RIGHT, 1]
    assert np.allclose(rib[0], ((BOTTOM_SLICES + 14) * 2.5, 5.0, SIDE_VOXELS + 10.0))
    assert len(maps.clavicles[Side.LEFT]) > 0
    assert not len(maps.clavicles[Side.RIGHT])


def test_a_bone_that_the_labels_lack_breaks_nowhere(toy: tuple) -> None:
    projector, maps = toy
    none = dict.fromkeys(maps.ribs, np.zeros((0, 3), np.float32))
    body = chest((projector, replace(maps, ribs=none)), UPRIGHT)[0]
    made = fractures.rib(np.random.default_rng(1), body, Side.LEFT, 8.0)
    assert not made.mask.any()
    assert not made.added_bone.any()
