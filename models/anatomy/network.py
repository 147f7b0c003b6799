"""The anatomy network: AnatomiX's APM in one class and two sizes, with the heads a bundle declares.

Convolutions see the film, a transformer encoder relates its places, a decoder holds one ORDERED
token per region (token i is region i, no matching), a feature module looks at the film again and
gives each region an embedding. The released checkpoint has exactly this and 14 image labels; the
miniature adds heads (:data:`EXTRA_HEADS`), and finds each edge of a box as the mean of a heat map
that its token casts over the film, so that edges move with the pixels.
Letters: B films, Q = 36 regions, D width of a token, E width of an embedding, S = 20 signs.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.anatomy import heads
from models.anatomy.lite import LiteBody
from models.anatomy.transformer import Transformer

INPUT_SIDE = 320
REGIONS = heads.REGIONS
EXTRA_HEADS = ("presence", "spread", "findings", "signs", "attributes", "masks", "region_masks",
               "scope", "view", "mirrored", "quality")  # fmt: skip


@dataclass(frozen=True, slots=True)
class ApmConfig:
    """Sizes of a network and the heads it has.

    ``backbone`` is ``"lite0"`` or ``"resnet50"``; ``layers`` of encoder and decoder;
    ``edge_boxes`` chooses heat maps instead of the released sigmoid of an MLP; ``fine_dim`` is
    the channels of the map at stride 2, whose cost is by the 16 that a processor's registers hold.
    """

    backbone: str = "lite0"
    dim: int = 128
    attention_heads: int = 4
    layers: tuple[int, int] = (2, 2)
    feedforward: int = 384
    dropout: float = 0.0
    object_dim: int = 32
    image_classes: int = 0
    edge_boxes: bool = True
    fine_dim: int = 16
    extra_heads: tuple[str, ...] = EXTRA_HEADS


MINIATURE = ApmConfig()
RELEASED = ApmConfig(
    "resnet50", 256, 4, (4, 4), 1024, 0.1, 16, 14, edge_boxes=False, extra_heads=()
)


class BoxMlp(nn.Module):
    """DETR's box head: three layers, ReLU between."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, 4)])

    def forward(self, x: Tensor) -> Tensor:
        """(…, D) -> (…, 4)."""
        for layer in self.layers[:-1]:
            x = functional.relu(layer(x))
        out: Tensor = self.layers[-1](x)
        return out


class FeatureModule(nn.Module):
    """AnatomiX's module M: each region's token looks at the film once more (Eq. 4)."""

    def __init__(self, dim: int, object_dim: int) -> None:
        super().__init__()
        self.mha = nn.MultiheadAttention(dim, 2, batch_first=True)
        self.linear = nn.Linear(dim, object_dim)

    def forward(self, objects: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """(B, Q, D), (B, N, D) -> what was looked at (B, Q, D), embeddings (B, Q, E)."""
        looked = self.mha(objects, memory, memory, need_weights=False)[0]
        return looked, self.linear(looked)


def _backbone(name: str) -> nn.Module:
    if name == "lite0":
        return LiteBody()
    if name == "resnet50":
        from models.anatomy.resnet import ResNetBody  # noqa: PLC0415 - only for the released size

        return ResNetBody()
    raise ValueError(f"unknown backbone {name!r}")


class Backbone(nn.Module):
    """Holds the convolutions under the released checkpoint's name ``body``."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.body = _backbone(name)


class AnatomyPerception(nn.Module):
    """One pass over a batch of square films ``(B, 1, side, side)`` in 0..1.

    The result is a dictionary with ``boxes`` ``(B, Q, 4)``, centre x, centre y, width, height in
    0..1 of the square; ``embedding`` ``(B, Q, E)``; ``classes`` where there are image classes; and
    one tensor of logits per declared head, see :mod:`models.anatomy.heads`.
    """

    def __init__(self, config: ApmConfig = MINIATURE) -> None:
        super().__init__()
        self.config = config
        dim = config.dim
        self.backbone = nn.ModuleList([Backbone(config.backbone)])
        levels = self.body.levels
        self.input_proj = nn.Conv2d(levels[-1], dim, 1)
        self.transformer = Transformer(
            dim, config.attention_heads, config.layers, config.feedforward, config.dropout
        )
        self.query_embed = nn.Embedding(len(REGIONS), dim)
        self.anat_obj_embs = FeatureModule(dim, config.object_dim)
        if config.image_classes:
            self.image_class_embed = nn.Linear(dim, config.image_classes)
        if config.edge_boxes:
            self.finer = nn.Conv2d(levels[-2], dim, 1)
            self.pyramid = heads.Fusion(dim, (levels[0], levels[1], levels[2]), config.fine_dim)
            self.edges = heads.EdgeBoxes(dim)
        else:
            self.bbox_embed = BoxMlp(dim)
        if config.extra_heads:
            self.heads = heads.ExtraHeads(
                dim, config.fine_dim, (levels[-2], levels[-1]), config.extra_heads
            )

    @property
    def body(self) -> LiteBody:
        """The convolutions; the released size's have the same face."""
        return cast("LiteBody", cast("Backbone", self.backbone[0]).body)

    def forward(self, films: Tensor) -> dict[str, Tensor]:
        """(B, 1, side, side) in 0..1, bright = dense."""
        config = self.config
        # The released network was trained on 0..1 as it is, the miniature's convolutions on -1..1.
        levels = self.body((films - 0.5) * 2.0 if config.edge_boxes else films)
        grid = self.input_proj(levels[-1])
        if config.edge_boxes:  # places at stride 16; stride 32 only adds what it understood
            grid = self.finer(levels[-2]) + heads.twice(grid)
        objects, memory, film = self.transformer(grid, self.query_embed.weight)
        looked, embedding = self.anat_obj_embs(objects, memory)
        seen = {"embedding": embedding}
        if config.image_classes:
            seen["classes"] = self.image_class_embed(film)
        if not config.edge_boxes:
            return seen | {"boxes": self.bbox_embed(objects).sigmoid()}
        places = memory.transpose(1, 2).reshape(grid.shape)
        fused = self.pyramid(places, (levels[0], levels[1], levels[2]))
        seen["boxes"], spread = self.edges(objects, fused.s8)
        if config.extra_heads:
            whole = torch.cat([film, levels[-2].mean((2, 3)), levels[-1].mean((2, 3))], 1)
            seen |= self.heads(whole, objects + looked, fused, seen["boxes"])
            if "spread" in config.extra_heads:
                seen["spread"] = spread
        return seen
