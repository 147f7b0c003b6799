import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toy_chest import DETECTOR, build, chest

pytest.importorskip("torch")

from models.simulate import pose, regions, scenes, truth
from models.simulate.findings import Inserted
from models.simulate.pose import Pose, Projection
from models.training import cache, samples, windows
from models.vocabulary import AnatomicStructure as A
from models.vocabulary import MaskName, Observation, Side, Sign

SHAPE = (DETECTOR.side, DETECTOR.side)
SIGNS = tuple(Sign)
REGIONS = tuple(A)


@pytest.fixture(scope="module")
def toy() -> tuple:
    return build()


def _finding(sign: Sign, side: Side | None, rows: slice, columns: slice) -> Inserted:
    mask = np.zeros(SHAPE, bool)
    mask[rows, columns] = True
    return Inserted(sign, side, 40.0, mask * np.float32(9.0), np.zeros(SHAPE, np.float32), mask)


def _boxes() -> np.ndarray:
    boxes = np.full((36, 4), np.nan, np.float32)
    boxes[REGIONS.index(A.RIGHT_LUNG)] = (10, 10, 40, 80)
    boxes[REGIONS.index(A.LEFT_LUNG)] = (55, 10, 90, 80)
    boxes[REGIONS.index(A.RIGHT_LOWER_LUNG_ZONE)] = (10, 60, 40, 80)
    boxes[REGIONS.index(A.CARDIAC_SILHOUETTE)] = (35, 45, 70, 85)
    boxes[REGIONS.index(A.RIGHT_HEMIDIAPHRAGM)] = (10, 70, 40, 82)
    boxes[REGIONS.index(A.LEFT_HEMIDIAPHRAGM)] = (55, 73, 90, 84)
    return boxes


def _body(stance: Pose, boxes: np.ndarray | None = None) -> truth.Answers:
    blank = np.zeros(SHAPE, bool)
    fields = regions.Fields(blank, blank, blank, blank, 4.0)
    return truth.of_the_body(stance, _boxes() if boxes is None else boxes, fields)


def test_scenes_of_one_seed_are_the_same_and_of_two_seeds_are_not(toy: tuple) -> None:
    body = chest(toy, Pose(Projection.PA, heart=1.0))[0]

    def one(seed: int) -> bytes:
        scene = scenes.draw(np.random.default_rng(seed), body, scenes.Theme())
        return b"".join(a.tobytes() for a in scene.added(SHAPE))

    assert one(3) == one(3)
    assert one(3) != one(4)


def test_every_kind_of_finding_comes_up_and_free_air_only_upright(toy: tuple) -> None:
    seen: dict[bool, set[Sign]] = {True: set(), False: set()}
    for upright in (True, False):
        stance = Pose(Projection.AP, heart=1.0, recline=0.0 if upright else 85.0)
        body = chest(toy, stance)[0]
        for seed in range(60):
            scene = scenes.draw(np.random.default_rng(seed), body, scenes.Theme())
            seen[upright] |= {one.sign for one in scene.found}
    lungs = set(SIGNS[: SIGNS.index(Sign.ENLARGED_CARDIAC_SILHOUETTE)])
    assert lungs <= seen[True]
    assert Sign.SUBDIAPHRAGMATIC_AIR in seen[True]
    assert Sign.SUBDIAPHRAGMATIC_AIR not in seen[False]


def test_what_cannot_be_told_is_not_also_there(toy: tuple) -> None:
    body = chest(toy, Pose(Projection.PA, heart=1.0, mediastinum_mm=30.0))[0]
    for seed in range(30):
        scene = scenes.draw(np.random.default_rng(seed), body, scenes.Theme(Side.LEFT, quiet=False))
        shown = {one.sign for one in scene.found if one.mask.sum() >= scenes.SMALLEST_PX}
        assert not shown & scene.unsure
        hidden = {one.sign for one in scene.found} - shown
        assert hidden <= scene.unsure


def test_a_shifted_mediastinum_is_explained_by_one_of_the_lungs(toy: tuple) -> None:
    body = chest(toy, Pose(Projection.PA, heart=1.0, mediastinum_mm=30.0))[0]
    causes = {Sign.ATELECTASIS, Sign.PLEURAL_EFFUSION, Sign.PNEUMOTHORAX}
    for seed in range(10):
        scene = scenes.draw(np.random.default_rng(seed), body, scenes.Theme(Side.LEFT, quiet=False))
        assert scene.found[0].sign in causes
        drawn_there = scene.found[0].sign is Sign.ATELECTASIS
        assert (scene.found[0].side is Side.LEFT) == drawn_there


def test_training_poses_keep_out_of_the_held_out_ranges_and_test_poses_enter_one() -> None:
    for seed in range(200):
        rng = np.random.default_rng(seed)
        kind = Projection.AP if seed % 2 else Projection.PA
        usual = pose.draw(rng, kind)
        assert abs(usual.yaw) <= pose.TRAIN_YAW
        assert abs(usual.pitch) <= pose.TRAIN_PITCH
        odd = pose.draw(rng, kind, held_out=True)
        assert (
            abs(odd.yaw) >= pose.HELD_OUT_YAW[0]
            or abs(odd.pitch) >= pose.HELD_OUT_PITCH[0]
            or odd.waves_mm.shape[1] == pose.HELD_OUT_WAVES[0]
        )


def test_a_shift_moves_the_heart_to_its_side_and_widening_leaves_the_walls(toy: tuple) -> None:
    def centre(**changes: float) -> float:
        stance = replace(Pose(Projection.PA, heart=1.0, shoulders_mm=0.0), **changes)
        heart = chest(toy, stance)[1].structures[3]
        return float((heart.sum(0) * np.arange(heart.shape[1])).sum() / heart.sum())

    usual = centre()
    assert centre(mediastinum_mm=30.0) > usual + 2
    assert centre(mediastinum_mm=-30.0) < usual - 2
    outline = [
        chest(toy, Pose(Projection.PA, heart=1.0, widening=w))[1].soft > 25 for w in (1.0, 1.8)
    ]
    assert (outline[0] != outline[1]).mean() < 0.01


@pytest.mark.parametrize(("shift", "state"), [(2.0, 0), (9.0, -1), (-20.0, 1), (30.0, 1)])
def test_a_shift_of_the_mediastinum_is_present_from_a_written_size(
    shift: float, state: int
) -> None:
    answers = _body(Pose(Projection.PA, mediastinum_mm=shift))
    place = SIGNS.index(Sign.MEDIASTINAL_SHIFT)
    assert answers.signs[place] == state
    if state == 1:
        assert answers.sides[place] == (1 if shift < 0 else 2)


def test_a_dome_is_raised_when_it_stands_too_high_for_its_side() -> None:
    place = SIGNS.index(Sign.ELEVATED_HEMIDIAPHRAGM)
    for left_top, state, side in ((73, 0, 0), (84, 1, 1), (64, 1, 2), (78, -1, 0)):
        boxes = _boxes()
        boxes[REGIONS.index(A.LEFT_HEMIDIAPHRAGM), 1] = left_top
        answers = _body(Pose(Projection.PA), boxes)
        assert (answers.signs[place], answers.sides[place]) == (state, side)


def test_a_finding_touches_the_regions_of_its_side_that_it_fills() -> None:
    found = _finding(Sign.CONSOLIDATION, Side.RIGHT, slice(62, 78), slice(15, 40))
    answers = truth.of_scene(scenes.Scene([found]), _body(Pose(Projection.PA)), _boxes())
    place = SIGNS.index(Sign.CONSOLIDATION)
    touched = {REGIONS[i] for i in np.flatnonzero(answers.touches[place])}
    assert touched == {A.RIGHT_LUNG, A.RIGHT_LOWER_LUNG_ZONE, A.RIGHT_HEMIDIAPHRAGM}
    assert answers.sides[place] == 1
    assert tuple(answers.reach[place]) == (15, 62, 40, 78)


def test_a_sign_that_nobody_can_answer_is_left_open() -> None:
    scene = scenes.Scene([], {Sign.NODULE})
    answers = truth.of_scene(scene, _body(Pose(Projection.PA)), _boxes())
    assert answers.signs[SIGNS.index(Sign.NODULE)] == truth.OPEN
    assert answers.signs[SIGNS.index(Sign.MASS)] == truth.ABSENT


def test_a_scene_joins_the_masks_of_signs_that_share_a_plane() -> None:
    two = [
        _finding(Sign.MASS, Side.RIGHT, slice(10, 20), slice(10, 20)),
        _finding(Sign.NODULE, Side.LEFT, slice(30, 35), slice(60, 65)),
    ]
    scene = scenes.Scene(two)
    assert scene.plane(MaskName.MASS, SHAPE).sum() == 125
    assert not scene.plane(MaskName.DEVICE, SHAPE).any()
    assert scene.added(SHAPE)[0].sum() == pytest.approx(9.0 * 125)


@pytest.fixture
def bases() -> cache.Bases:
    """One base of two rectangles with an empty scene and one with an effusion and a nodule."""
    side, boxes = cache.SIDE, np.full((1, 36, 4), np.nan, np.float32)
    fields = np.full((1, side, side), cache.BODY, np.uint8)
    lungs = {A.RIGHT_LUNG: (cache.RIGHT_LUNG, 60, 130), A.LEFT_LUNG: (cache.LEFT_LUNG, 160, 230)}
    for name, (bit, start, stop) in lungs.items():
        fields[0, 60:220, start:stop] |= bit
        boxes[0, REGIONS.index(name)] = (start, 60, stop, 220)
    boxes[0, REGIONS.index(A.CARDIAC_SILHOUETTE)] = (110, 130, 190, 220)
    body = _body(Pose(Projection.PA))
    arrays = {
        name: np.zeros((1, *shape), dtype) for name, (dtype, shape) in cache.layout("train").items()
    }
    arrays |= {"fields": fields, "boxes": boxes}
    arrays["maps"][0, 0] = 200.0
    arrays["maps"][0, 0, 60:220, 60:230] = 90.0
    arrays["facts"][0] = (0.55, 0)
    shape = (side, side)
    mask = np.zeros(shape, bool)
    mask[190:220, 62:128] = True
    fluid = Inserted(
        Sign.PLEURAL_EFFUSION, Side.RIGHT, 50.0, mask * np.float32(60), np.zeros(shape), mask
    )
    for place, scene in enumerate((scenes.Scene(), scenes.Scene([fluid], {Sign.CONSOLIDATION}))):
        cache._write_scene(arrays, (0, place), scene, body)
    return cache.Bases(**{name: array[:, :2] if name in PER_SCENE else array
                          for name, array in arrays.items()})  # fmt: skip


PER_SCENE = ("added", "planes", "signs", "sides", "sizes", "reach", "touches")


def test_a_film_of_a_scene_says_what_the_scene_holds(bases: cache.Bases) -> None:
    sample = samples.Simulator(bases).scene(np.random.default_rng(0), 0, 1)
    assert sample.film.shape == (320, 320)
    assert sample.signs[SIGNS.index(Sign.PLEURAL_EFFUSION)] == 1
    assert sample.signs_known[SIGNS.index(Sign.CONSOLIDATION)] == 0
    assert sample.masks.shape == (8, 160, 160)
    assert sample.masks[3].sum() > 50
    assert not sample.masks[4:].any()
    known = dict(zip(Observation, sample.findings_known, strict=True))
    there = dict(zip(Observation, sample.findings, strict=True))
    assert there[Observation.PLEURAL_EFFUSION] == 1
    assert known[Observation.LUNG_OPACITY] == 0
    assert (there[Observation.MASS], known[Observation.MASS]) == (0, 1)
    effusion = sample.attributes[:, SIGNS.index(Sign.PLEURAL_EFFUSION)]
    assert {REGIONS[i] for i in np.flatnonzero(effusion)} == {A.RIGHT_LUNG}


def test_an_empty_scene_still_shows_a_large_heart(bases: cache.Bases) -> None:
    sample = samples.Simulator(bases).scene(np.random.default_rng(2), 0, 0)
    heart = SIGNS.index(Sign.ENLARGED_CARDIAC_SILHOUETTE)
    assert np.flatnonzero(sample.signs).tolist() == [heart]
    assert sample.attributes[REGIONS.index(A.CARDIAC_SILHOUETTE), heart] == 1
    assert sample.findings.tolist() == [1, 0, 0, 0]


def test_mirroring_a_film_moves_boxes_and_masks_but_no_names(bases: cache.Bases) -> None:
    simulator = samples.Simulator(bases)
    usual = simulator.scene(np.random.default_rng(2), 0, 1, mirror=0.0)
    mirrored = simulator.scene(np.random.default_rng(2), 0, 1, mirror=1.0)
    assert np.allclose(usual.boxes[:, 0], 1.0 - mirrored.boxes[:, 0])
    assert np.array_equal(usual.masks, mirrored.masks[:, :, ::-1])
    assert np.array_equal(usual.attributes, mirrored.attributes)


def test_a_plate_that_cuts_a_lung_off_says_so(bases: cache.Bases) -> None:
    lungs = (bases.fields[0] & 3) > 0
    assert windows.Window(40, 40, 220, 220).outside(lungs) == 0
    assert windows.Window(40, 40, 110, 220).outside(lungs) == pytest.approx(0.5)


def test_some_plates_miss_an_edge_of_the_lungs_and_most_do_not(bases: cache.Bases) -> None:
    lungs = (bases.fields[0] & 3) > 0
    rng = np.random.default_rng(4)
    off = [windows.around_lungs(rng, bases.boxes[0]).outside(lungs) for _ in range(300)]
    assert 0.04 < np.mean(np.asarray(off) >= samples.CUT_FROM) < 0.2
    assert max(off) < 0.3


def test_half_made_bases_open_with_what_is_done(tmp_path: Path, bases: cache.Bases) -> None:
    for name in cache.layout("train"):
        array = getattr(bases, name)
        np.save(tmp_path / f"train.{name}.npy", np.concatenate([array, np.zeros_like(array)]))
    (tmp_path / "train.json").write_text(json.dumps({"done": 1}))
    opened = cache.load(tmp_path, "train")
    assert len(opened) == 1
    assert np.array_equal(opened.touches, bases.touches)
