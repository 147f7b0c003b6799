import copy

import pytest

torch = pytest.importorskip("torch")

from models.anatomy.heads import SIGNS  # noqa: E402
from models.anatomy.network import (  # noqa: E402
    MINIATURE,
    REGIONS,
    AnatomyPerception,
    ApmConfig,
)
from models.training import alignment, losses  # noqa: E402

SHAPES = {
    "boxes": (2, 36, 4), "embedding": (2, 36, 32), "presence": (2, 36), "spread": (2, 36),
    "findings": (2, 4), "signs": (2, 20), "attributes": (2, 36, 20), "masks": (2, 8, 160, 160),
    "region_masks": (2, 36, 80, 80),
    "scope": (2, 5), "view": (2, 3), "mirrored": (2, 1), "quality": (2, 3),
}  # fmt: skip


@pytest.fixture(scope="module")
def network() -> AnatomyPerception:
    torch.manual_seed(0)
    return AnatomyPerception().eval()


def test_the_miniature_gives_what_its_heads_declare(network: AnatomyPerception) -> None:
    with torch.no_grad():
        seen = network(torch.rand(2, 1, 320, 320))
    assert {name: tuple(value.shape) for name, value in seen.items()} == SHAPES
    assert float(seen["boxes"][..., 2:].min()) > 0


def test_a_head_that_is_not_declared_is_not_there() -> None:
    plain = AnatomyPerception(ApmConfig(extra_heads=("masks",))).eval()
    with torch.no_grad():
        seen = plain(torch.rand(1, 1, 320, 320))
    assert set(seen) == {"boxes", "embedding", "masks"}


def test_another_side_of_the_film_needs_no_other_network(network: AnatomyPerception) -> None:
    with torch.no_grad():
        seen = network(torch.rand(1, 1, 256, 256))
    assert seen["boxes"].shape == (1, len(REGIONS), 4)
    assert seen["masks"].shape == (1, 8, 128, 128)


def test_boxes_move_with_the_film_when_heat_maps_do(network: AnatomyPerception) -> None:
    f8 = torch.randn(1, 64, 28, 28)
    objects = torch.randn(1, len(REGIONS), MINIATURE.dim)
    with torch.no_grad():
        boxes, _ = network.edges(objects, f8)
        flipped, _ = network.edges(objects, f8.flip(3))
    # Left edges become right edges measured from the other side, as far as the edge maps agree.
    assert not torch.allclose(boxes, flipped)
    assert torch.allclose(boxes[..., 1], flipped[..., 1], atol=1e-5)
    assert torch.allclose(boxes[..., 3], flipped[..., 3], atol=1e-5)


def test_published_weights_are_taken_over_whole_or_not_at_all(network: AnatomyPerception) -> None:
    body = network.body
    names = {"expand": "_expand_conv", "norm0": "_bn0", "depthwise": "_depthwise_conv",
             "norm1": "_bn1", "project": "_project_conv", "norm2": "_bn2"}  # fmt: skip
    published = {"_conv_stem.weight": torch.randn(32, 3, 3, 3)}
    for name, value in body.state_dict().items():
        if name.startswith("norm."):
            published[f"_bn0.{name.removeprefix('norm.')}"] = torch.rand_like(value.float())
        elif name.startswith("blocks.") and value.ndim:
            _, number, module, part = name.split(".")
            published[f"_blocks.{number}.{names[module]}.{part}"] = torch.rand_like(value)
    fresh = AnatomyPerception().body
    fresh.adopt(published)
    taken = fresh.state_dict()
    assert torch.equal(taken["stem.weight"], published["_conv_stem.weight"].sum(1, keepdim=True))
    assert torch.equal(
        taken["blocks.14.project.weight"], published["_blocks.14._project_conv.weight"]
    )
    del published["_blocks.3._bn1.bias"]
    with pytest.raises(KeyError):
        fresh.adopt(published)


def batch_of(count: int) -> dict[str, torch.Tensor]:
    names = ("presence_known", "mirror_known", "mirrored", "attributes_known", "quality_known")
    known = {name: torch.zeros(count) for name in names}
    return known | {
        "boxes": torch.full((count, 36, 4), 0.5), "boxes_known": torch.zeros(count, 36),
        "present": torch.ones(count, 36), "findings": torch.zeros(count, 4),
        "findings_known": torch.zeros(count, 4), "signs": torch.zeros(count, 20),
        "signs_known": torch.zeros(count, 20), "attributes": torch.zeros(count, 36, 20),
        "masks": torch.zeros(count, 8, 160, 160), "masks_known": torch.zeros(count, 8),
        "scope": torch.zeros(count, dtype=torch.int64), "view": torch.full((count,), -1),
        "quality": torch.zeros(count, 3), "places": torch.zeros(count, 20, 80, 80),
        "places_known": torch.zeros(count, 20), "region_masks": torch.zeros(count, 36, 80, 80),
        "region_masks_known": torch.zeros(count, 36),
    }  # fmt: skip


def _training(network: AnatomyPerception) -> AnatomyPerception:
    return copy.deepcopy(network).train()


def test_places_are_told_while_training_and_count_for_their_sign(
    network: AnatomyPerception,
) -> None:
    films = torch.rand(2, 1, 320, 320)
    with torch.no_grad():
        places = _training(network)(films)["places"]
        before = network(films)
        louder = copy.deepcopy(network)
        louder.heads.places.bias[3] += 2.0
        after = louder(films)
    assert places.shape == (2, len(SIGNS), 80, 80)
    assert "places" not in before
    more = after["signs"] - before["signs"]
    assert torch.allclose(more[:, 3], torch.full((2,), 1.0), atol=1e-4)  # half of it counts
    assert float(more[:, :3].abs().max()) == 0.0


def test_what_is_not_known_costs_nothing(network: AnatomyPerception) -> None:
    with torch.no_grad():
        parts = losses.measure(_training(network)(torch.rand(2, 1, 320, 320)), batch_of(2))
    assert float(parts.pop("scope")) > 0  # the scope of a training film is always known
    assert {name: float(value) for name, value in parts.items()} == dict.fromkeys(parts, 0.0)


def test_what_is_known_costs_something(network: AnatomyPerception) -> None:
    batch = batch_of(2)
    for name in batch:
        if name.endswith("_known"):
            batch[name] = torch.ones_like(batch[name])
    batch["view"] = torch.zeros(2, dtype=torch.int64)
    batch["region_masks"][:, :, 20:60] = 1.0  # boxes that mean nothing yet may hold no cell
    with torch.no_grad():
        parts = losses.measure(_training(network)(torch.rand(2, 1, 320, 320)), batch)
    assert all(float(value) > 0 for value in parts.values())


def test_films_with_the_same_signs_are_positives_of_each_other() -> None:
    attributes = torch.zeros(4, 36, 20)
    attributes[0, 5, 3] = attributes[1, 5, 3] = 1.0
    rows = alignment.target(attributes)
    assert rows.shape == (36, 4, 4)
    assert torch.allclose(rows.sum(-1), torch.ones(36, 4))
    assert float(rows[5, 0, 1]) == pytest.approx(float(rows[5, 0, 0]))
    assert float(rows[5, 0, 2]) < 0.01
    assert torch.allclose(rows[0], torch.full((4, 4), 0.25))  # all healthy: all alike


def test_the_alignment_can_be_learnt() -> None:
    torch.manual_seed(1)
    attributes = torch.zeros(6, 36, 20)
    attributes[torch.arange(6), :, torch.arange(6)] = 1.0
    tower = alignment.SignTower(32)
    embedding = nn_parameter(6)
    optimiser = torch.optim.Adam([embedding, *tower.parameters()], 0.02)
    first = float(alignment.loss(embedding, tower(attributes), attributes).detach())
    for _ in range(60):
        value = alignment.loss(embedding, tower(attributes), attributes)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
    assert float(value.detach()) < 0.5 * first


def nn_parameter(count: int) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.randn(count, 36, 32))


def test_the_target_as_printed_is_flat() -> None:
    torch.manual_seed(2)
    rows = alignment.literal_target(torch.randn(768, 768))
    assert float(rows.max() - rows.min()) < 0.005 / 768


def test_a_region_s_mask_is_taught_inside_the_box_that_was_found() -> None:
    boxes = torch.full((1, 36, 4), 0.5)
    boxes[:, 1] = torch.tensor((0.25, 0.5, 0.5, 1.0))  # the left half
    inside = losses.filled(boxes, 80)
    assert inside[0, 0, 20:60, 20:60].all()
    assert float(inside[0, 0].sum()) == 1600
    assert inside[0, 1, :, :40].all()
    assert not inside[0, 1, :, 40:].any()
    batch = {"region_masks": inside, "region_masks_known": torch.ones(1, 36)}
    right = 40.0 * (2 * inside - 1)
    lost = losses._region_masks({"boxes": boxes, "region_masks": right}, batch)
    assert float(lost) == pytest.approx(0, abs=1e-3)
    outside = torch.where(inside > 0, right, 40.0)  # cut off when it is served
    assert losses._region_masks({"boxes": boxes, "region_masks": outside}, batch) == lost
    wrong = losses._region_masks({"boxes": boxes, "region_masks": -right}, batch)
    assert float(wrong) > 10
    batch["region_masks_known"][:] = 0
    assert float(losses._region_masks({"boxes": boxes, "region_masks": -right}, batch)) == 0
