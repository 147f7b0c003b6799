"""Fewer channels at stride 2, and usual shapes to start masks of regions from."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from evaluation_builders import projections  # noqa: E402

from models.anatomy.heads import REGIONS, SHAPE_SIDE, RegionMaskHead  # noqa: E402
from models.anatomy.network import AnatomyPerception, ApmConfig  # noqa: E402
from models.training import moving, thin, usual  # noqa: E402
from models.training.chunks import Bank, write  # noqa: E402
from models.training.samples import Simulator  # noqa: E402
from models.vocabulary import AnatomicStructure as A  # noqa: E402


@pytest.fixture(scope="module")
def full() -> AnatomyPerception:
    torch.manual_seed(3)
    return AnatomyPerception(ApmConfig(fine_dim=24)).eval()


def test_thin_channels_learn_what_all_of_them_told_and_nothing_else_moves(
    full: AnatomyPerception,
) -> None:
    films = torch.rand(6, 96, 96)
    told = thin.told(full, films)
    assert told.masks.shape == (6, 8, 48, 48)
    with torch.no_grad():
        seen = full(films[:2, None])
    assert torch.allclose(told.masks[:2].float(), seen["masks"], atol=2e-2)
    made = thin.thinner(full, 16)
    before = {name: value.clone() for name, value in made.state_dict().items()}
    pace = thin.fit(made, told, steps=200)
    assert pace[1] < 0.7 * pace[0]
    after = made.state_dict()
    moved = {name for name, value in before.items() if not torch.equal(after[name], value)}
    assert moved
    assert all(name.startswith(thin.MOVED) for name in moved)
    assert not any("running" in name for name in moved)
    with torch.no_grad():
        assert torch.allclose(made(films[:2, None])["boxes"], seen["boxes"], atol=1e-6)


def test_the_channels_that_stay_are_those_that_masks_weigh_most(full: AnatomyPerception) -> None:
    made = thin.thinner(full, 16)
    weights = full.heads.by_name["masks"].weight.detach()
    strength = weights.square().sum((0, 2, 3))
    own = made.heads.by_name["masks"].weight.detach().square().sum((0, 2, 3))
    assert sorted(own.tolist()) == sorted(strength.tolist())[8:]
    same = thin.thinner(full, 24).state_dict()
    assert all(torch.equal(value, same[name]) for name, value in full.state_dict().items())


def test_weights_say_how_fine_their_network_is(full: AnatomyPerception) -> None:
    assert moving.network_of(full.state_dict()).config.fine_dim == 24
    assert moving.network_of(thin.thinner(full, 16).state_dict()).config.fine_dim == 16


def test_usual_shapes_are_the_mean_of_masks_in_their_boxes(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    samples = [Simulator(projections()).scene(rng, 0, 0) for _ in range(4)]
    at = REGIONS.index(A.TRACHEA)
    for number, sample in enumerate(samples):
        sample.boxes[at] = (0.5, 0.5, 0.5, 0.4)
        sample.region_masks[at] = 0
        sample.region_masks[at, 24:40, 20:60] = 1  # the upper half of the box, always
        sample.region_masks[at, 40:56, 20:40] = number == 0  # a quarter of it once in four
    write(tmp_path / "chunk1_000.npz", samples)
    networks = AnatomyPerception(), AnatomyPerception()
    usual.begin(networks, Bank(tmp_path))
    shapes = [network.heads.region_masks.usual.detach() for network in networks]
    assert torch.equal(*shapes)
    chance = shapes[0][at].sigmoid()
    half = SHAPE_SIDE // 2
    assert float(chance[: half - 1].min()) > 0.95
    assert chance[half + 1 :, : half - 1].numpy() == pytest.approx(0.25, abs=0.02)
    assert float(chance[half + 1 :, half + 1 :].max()) < 0.05
    usual.begin(networks, Bank(tmp_path / "empty"))  # knows shapes already, and reads nothing


def test_a_shape_is_laid_into_its_box() -> None:
    head = RegionMaskHead(8).eval()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.zero_()
        head.usual[:] = -3.0
        head.usual[:, : SHAPE_SIDE // 2] = 3.0  # the upper half
        boxes = torch.full((1, 36, 4), 0.5)
        boxes[:, 1] = torch.tensor((0.3, 0.6, 0.2, 0.4))
        masks = head(torch.zeros(1, 36, 8), torch.zeros(1, 40, 80, 80), boxes) > 0
    assert masks[0, 0, 20:40, 20:60].all()
    assert not masks[0, 0, 40:60, 20:60].any()
    assert masks[0, 1, 32:48, 16:32].all()
    assert not masks[0, 1, 48:64, 16:32].any()
