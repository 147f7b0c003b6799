from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models.simulate import film, flat_findings, phantom, pose, regions, strangers  # noqa: E402
from models.simulate.phantom import Structure  # noqa: E402
from models.simulate.pose import Pose, Projection  # noqa: E402
from models.simulate.projector import Detector, Projector  # noqa: E402
from models.vocabulary import Side  # noqa: E402

SPACING = (8.0, 8.0, 8.0)
SHAPE = (50, 40, 56)  # z, y, x


def _ellipsoid(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
    grid = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    return sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radii, strict=True)) < 1


@pytest.fixture(scope="module")
def toy() -> phantom.Phantom:
    """A trunk with two lungs, a heart on the left and a liver on the right."""
    soft = np.where(_ellipsoid((25, 20, 28), (40, 16, 24)), 1.0, 0.0).astype(np.float32)
    codes = np.zeros(SHAPE, np.uint8)
    parts = {
        Structure.RIGHT_LUNG: ((30, 20, 17), (13, 11, 8)),
        Structure.LEFT_LUNG: ((30, 20, 39), (13, 11, 8)),
        Structure.HEART: ((26, 24, 32), (7, 6, 8)),
    }
    for code, (centre, radii) in parts.items():
        inside = _ellipsoid(centre, radii)
        codes[inside] = code
        soft[inside] = 0.25 if code is not Structure.HEART else 1.05
    codes[_ellipsoid((9, 20, 17), (8, 12, 10))] = Structure.ABDOMEN
    bone = np.where(_ellipsoid((25, 6, 28), (45, 3, 3)), 0.5, 0.0).astype(np.float32)
    return phantom.Phantom(soft, bone, codes, SPACING, (272.0, 160.0, 224.0), (208.0, 192.0, 256.0))


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(side=96, steps=40)


def test_the_patients_right_lies_on_the_left_of_the_film(
    toy: phantom.Phantom, detector: Detector
) -> None:
    for projection in (Projection.PA, Projection.AP):
        shadow = Projector(toy).project(Pose(projection, heart=1.0), detector)
        columns = np.arange(detector.side)
        centres = [
            float((shadow.structures[s].sum(0) * columns).sum() / shadow.structures[s].sum())
            for s in (Structure.RIGHT_LUNG, Structure.HEART, Structure.LEFT_LUNG)
        ]
        assert centres == sorted(centres)


def test_the_head_is_at_the_top(toy: phantom.Phantom, detector: Detector) -> None:
    shadow = Projector(toy).project(Pose(Projection.PA), detector)
    rows = np.arange(detector.side)[:, None]

    def height(s: Structure) -> float:
        return float((shadow.structures[s] * rows).sum() / shadow.structures[s].sum())

    assert height(Structure.RIGHT_LUNG) < height(Structure.ABDOMEN)


def test_path_length_through_water_is_its_thickness(
    toy: phantom.Phantom, detector: Detector
) -> None:
    plain = replace(toy, soft=np.ones(SHAPE, np.float32), bone=np.zeros(SHAPE, np.float32))
    shadow = Projector(plain).project(Pose(Projection.PA, shoulders_mm=0, heart=1.0), detector)
    middle = shadow.soft[48, 48]
    assert middle == pytest.approx(300.0, rel=0.03)  # the beam crosses 2 x 150 mm of volume


def test_ap_magnifies_a_heart_in_front_more_than_pa(
    toy: phantom.Phantom, detector: Detector
) -> None:
    widths = {}
    for projection, source_mm in ((Projection.PA, 1700.0), (Projection.AP, 900.0)):
        shadow = Projector(toy).project(Pose(projection, source_mm=source_mm, heart=1.0), detector)
        widths[projection] = int((shadow.structures[Structure.HEART].max(0) > 5).sum())
    assert widths[Projection.AP] > widths[Projection.PA]


def test_a_larger_heart_gives_a_larger_ratio(toy: phantom.Phantom, detector: Detector) -> None:
    ratios = []
    for size in (0.8, 1.0, 1.3):
        shadow = Projector(toy).project(Pose(Projection.PA, heart=size), detector)
        fields = regions.visible_fields(shadow, detector.pixel_mm)
        ratios.append(regions.cardiothoracic_ratio(fields))
    assert ratios == sorted(ratios)
    assert ratios[2] - ratios[0] > 0.05


def test_the_same_seed_gives_the_same_bytes(toy: phantom.Phantom, detector: Detector) -> None:
    def one(seed: int) -> bytes:
        rng = np.random.default_rng(seed)
        stance = pose.draw(rng, Projection.AP)
        shadow = Projector(toy).project(stance, detector)
        body = shadow.soft > 25
        return film.develop(rng, film.expose(rng, shadow.soft, shadow.bone, body)).tobytes()

    assert one(5) == one(5)
    assert one(5) != one(6)


@pytest.fixture
def lungs() -> flat_findings.Lungs:
    y, x = np.mgrid[:120, :120]
    right, left = (((x - c) / 22) ** 2 + ((y - 60) / 45) ** 2 < 1 for c in (30, 90))
    return flat_findings.Lungs(
        right * np.float32(150), left * np.float32(150), right, left, pixel_mm=2.0
    )


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize(
    ("maker", "size"),
    [(flat_findings.effusion, 80.0), (flat_findings.opacity, 90.0), (flat_findings.mass, 40.0)],
)
def test_a_finding_lies_in_its_own_lung_and_never_exceeds_it(
    lungs: flat_findings.Lungs, maker: object, size: float, side: Side
) -> None:
    thickness, field = lungs.side(side)
    for seed in range(5):
        made = maker(np.random.default_rng(seed), lungs, side, size)  # type: ignore[operator]
        assert made.mask.any()
        assert not (made.mask & ~field).any()
        assert (made.added_mm <= thickness + 1e-3).all()
        assert (made.added_mm >= 0).all()


def test_fluid_gathers_at_the_bottom_and_stands_highest_at_the_wall(
    lungs: flat_findings.Lungs,
) -> None:
    made = flat_findings.effusion(np.random.default_rng(0), lungs, Side.RIGHT, 90.0)
    rows = np.flatnonzero(made.mask.any(1))
    assert rows[-1] == np.flatnonzero(lungs.right_field.any(1))[-1]
    tops = np.argmax(made.mask, axis=0)[[16, 44]]  # outer, inner column of the right lung
    assert tops[0] < tops[1]


def test_a_mass_is_as_large_as_asked(lungs: flat_findings.Lungs) -> None:
    made = flat_findings.mass(np.random.default_rng(1), lungs, Side.LEFT, 40.0)
    across = 2 * np.sqrt(made.mask.sum() / np.pi) * lungs.pixel_mm
    assert across == pytest.approx(40.0, rel=0.2)


def test_without_a_lung_there_is_no_finding() -> None:
    empty, blank = np.zeros((50, 50), np.float32), np.zeros((50, 50), bool)
    nothing = flat_findings.Lungs(empty, empty, blank, blank, 2.0)
    for maker in (flat_findings.effusion, flat_findings.opacity, flat_findings.mass):
        assert not maker(np.random.default_rng(0), nothing, Side.LEFT, 30.0).mask.any()


@pytest.mark.parametrize("family", sorted(strangers.FAMILIES))
def test_every_stranger_is_a_picture_and_repeats_by_seed(family: str) -> None:
    make = strangers.FAMILIES[family]
    first, again = (make(np.random.default_rng(3), 96) for _ in range(2))
    assert first.shape == (96, 96)
    assert first.dtype == np.float32
    assert 0 <= first.min() < first.max() <= 1
    assert np.array_equal(first, again)


def test_the_mass_of_the_ct_is_filled_and_no_contrast_remains(tmp_path: Path) -> None:
    source = pytest.importorskip("models.simulate.source")
    shape = (100, 160, 330)
    labels = np.full(shape, 11, np.uint8)
    hu = np.full(shape, -850, np.int16)
    z, y, x = phantom.MASS_CENTRE
    hu[z - 3 : z + 4, y - 9 : y + 9, x - 9 : x + 9] = 40  # the patient's own mass
    labels[:40], hu[:40] = 51, 450  # a heart full of contrast medium
    ct = source.SourceCt(hu, labels, (2.5, 0.7, 0.7))
    plain = phantom._without_mass(hu.astype(np.float32), ct)
    assert plain[z - 3 : z + 4, y - 9 : y + 9, x - 9 : x + 9].max() < -600
    codes = phantom.structures(ct)
    assert phantom.ordinary_hu(ct, codes)[:40].max() <= phantom.BLOOD_HU
