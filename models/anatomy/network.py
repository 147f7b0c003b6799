"""The anatomy network: an APM after AnatomiX in miniature, with masks and judgement of the film.

Convolutions see the film, a small transformer encoder relates its places, a decoder holds one
ORDERED token per region (token i is region i, no matching). Each edge of a box is the mean of a
heat map that its token casts over the film, so that edges move with the pixels; a small network on
the token corrects it. Letters: B films, C channels, Q = 36 regions, H, W grid.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.vocabulary import AnatomicStructure, MaskName, Observation, ScopeReason

INPUT_SIDE = 224
MASK_SIDE = 112
REGIONS = tuple(AnatomicStructure)
OBSERVATIONS = tuple(Observation)
MASKS = tuple(MaskName)
SCOPES = ("in scope", *(reason.value for reason in ScopeReason))
VIEWS = ("PA", "AP", "lateral")
FINDING_MASKS = {
    Observation.PLEURAL_EFFUSION: MaskName.PLEURAL_EFFUSION,
    Observation.LUNG_OPACITY: MaskName.LUNG_OPACITY,
    Observation.MASS: MaskName.MASS,
}
WIDTHS = (24, 40, 80, 128)
EDGE_DIM = 64


class Seen(NamedTuple):
    """What the network gives; logits where not said otherwise.

    ``boxes`` (B, Q, 4) centre x, centre y, width, height in 0..1 of the square input; ``presence``
    (B, Q); ``spread`` (B, Q) mean standard deviation of the four edge heat maps, 0..1; ``findings``
    (B, 4); ``masks`` (B, 6, 112, 112); ``scope`` (B, 5); ``view`` (B, 3); ``mirrored`` (B, 1).
    """

    boxes: Tensor
    presence: Tensor
    spread: Tensor
    findings: Tensor
    masks: Tensor
    scope: Tensor
    view: Tensor
    mirrored: Tensor


def _conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """Two convolutions beside a short cut."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = _conv(inputs, outputs, 3, stride)
        self.second = nn.Sequential(
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        )
        straight = stride == 1 and inputs == outputs
        self.shortcut = (
            nn.Identity()
            if straight
            else nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H / stride, W / stride)."""
        total: Tensor = self.second(self.first(x)) + self.shortcut(x)
        return functional.relu(total)


class AnatomyNetwork(nn.Module):
    """One pass over a batch of square films ``(B, 1, 224, 224)`` in 0..1."""

    def __init__(self, dim: int = 128, heads: int = 4, layers: int = 2) -> None:
        super().__init__()
        a, b, c, d = WIDTHS
        self.stem = _conv(1, a, 5, 2)
        self.stage1 = nn.Sequential(Residual(a, b, 2), Residual(b, b))
        self.stage2 = nn.Sequential(Residual(b, c, 2), Residual(c, c))
        self.stage3 = nn.Sequential(Residual(c, d, 2), Residual(d, dim))
        tokens = (INPUT_SIDE // 16) ** 2
        self.place = nn.Parameter(torch.randn(1, tokens, dim) * 0.02)
        self.film_token = nn.Parameter(torch.randn(1, 1, dim) * 0.02)
        make = {"dropout": 0.0, "batch_first": True, "norm_first": True}
        encoder = nn.TransformerEncoderLayer(dim, heads, dim * 3, **make)  # type: ignore[arg-type]
        self.encoder = nn.TransformerEncoder(encoder, layers, enable_nested_tensor=False)
        decoder = nn.TransformerDecoderLayer(dim, heads, dim * 3, **make)  # type: ignore[arg-type]
        self.decoder = nn.TransformerDecoder(decoder, layers)
        self.regions = nn.Parameter(torch.randn(1, len(REGIONS), dim) * 0.1)
        self.norm = nn.LayerNorm(dim)
        self.up8, self.skip8 = nn.Conv2d(dim, EDGE_DIM, 1), nn.Conv2d(c, EDGE_DIM, 1)
        self.fuse8 = _conv(EDGE_DIM, EDGE_DIM)
        self.up4, self.skip4 = nn.Conv2d(EDGE_DIM, 40, 1), nn.Conv2d(b, 40, 1)
        self.fuse4 = _conv(40, 40)
        self.up2, self.skip2 = nn.Conv2d(40, 24, 1), nn.Conv2d(a, 24, 1)
        self.fuse2 = _conv(24, 24)
        self.mask_head = nn.Conv2d(24, len(MASKS), 1)
        self.edges = nn.Linear(dim, 4 * EDGE_DIM)
        self.correct = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, 4))
        for value in self.correct[2].parameters():  # starts as no correction at all
            nn.init.zeros_(value)
        self.presence = nn.Linear(dim, 1)
        self.finding_head = nn.Linear(2 * dim, len(OBSERVATIONS))
        self.finding_gain = nn.Parameter(torch.full((len(OBSERVATIONS),), 0.5))
        self.scope_head = nn.Sequential(
            nn.Linear(2 * dim, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, len(SCOPES))
        )
        self.view_head = nn.Linear(2 * dim, len(VIEWS))
        self.mirror_head = nn.Linear(2 * dim, 1)

    def forward(self, films: Tensor) -> Seen:
        """(B, 1, 224, 224) in 0..1, bright = dense."""
        s2 = self.stem((films - 0.5) * 2.0)  # (B, 24, 112, 112)
        s4 = self.stage1(s2)
        s8 = self.stage2(s4)
        s16 = self.stage3(s8)  # (B, 128, 14, 14)
        batch, dim, height, width = s16.shape
        tokens = s16.flatten(2).transpose(1, 2) + self.place
        tokens = torch.cat([self.film_token.expand(batch, -1, -1), tokens], 1)
        memory = self.encoder(tokens)  # (B, 1 + 196, 128)
        objects = self.norm(self.decoder(self.regions.expand(batch, -1, -1), memory))
        grid = memory[:, 1:].transpose(1, 2).reshape(batch, dim, height, width)
        f8 = self.fuse8(_twice(self.up8(grid)) + self.skip8(s8))  # (B, 64, 28, 28)
        f4 = self.fuse4(_twice(self.up4(f8)) + self.skip4(s4))
        f2 = self.fuse2(_twice(self.up2(f4)) + self.skip2(s2))
        masks = self.mask_head(f2)  # (B, 6, 112, 112)
        whole = torch.cat([memory[:, 0], s16.mean((2, 3))], 1)  # (B, 256)
        boxes, spread = self._boxes(objects, f8)
        return Seen(
            boxes,
            self.presence(objects)[..., 0],
            spread,
            self._findings(whole, masks),
            masks,
            self.scope_head(whole),
            self.view_head(whole),
            self.mirror_head(whole),
        )

    def _boxes(self, objects: Tensor, f8: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes (B, Q, 4) as centre and size, and the spread of their heat maps (B, Q)."""
        batch, _, height, width = f8.shape
        queries = self.edges(objects).reshape(batch, len(REGIONS) * 4, EDGE_DIM)
        heat = torch.matmul(queries, f8.flatten(2)) / EDGE_DIM**0.5  # (B, Q * 4, H * W)
        heat = heat.softmax(-1).reshape(batch, len(REGIONS), 4, height, width)
        x = (torch.arange(width, device=f8.device) + 0.5) / width
        y = (torch.arange(height, device=f8.device) + 0.5) / height
        over_x, over_y = heat.sum(3), heat.sum(4)  # (B, Q, 4, W), (B, Q, 4, H)
        means = torch.stack(
            [(over_x[:, :, 0] * x).sum(-1), (over_y[:, :, 1] * y).sum(-1),
             (over_x[:, :, 2] * x).sum(-1), (over_y[:, :, 3] * y).sum(-1)], -1,
        )  # fmt: skip
        squares = torch.stack(
            [(over_x[:, :, 0] * x * x).sum(-1), (over_y[:, :, 1] * y * y).sum(-1),
             (over_x[:, :, 2] * x * x).sum(-1), (over_y[:, :, 3] * y * y).sum(-1)], -1,
        )  # fmt: skip
        spread = (squares - means * means).clamp_min(1e-6).sqrt().mean(-1)
        corners = means + 0.25 * torch.tanh(self.correct(objects))
        low, high = corners[..., :2], corners[..., 2:]
        size = (high - low).clamp_min(1e-3)
        return torch.cat([(low + high) / 2, size], -1), spread

    def _findings(self, whole: Tensor, masks: Tensor) -> Tensor:
        """Logits (B, 4): the film token's opinion plus the strongest part of the finding's mask."""
        logits: Tensor = self.finding_head(whole)
        coarse = functional.avg_pool2d(masks, 4)  # (B, 6, 28, 28)
        strongest = torch.topk(coarse.flatten(2), 8, dim=2).values.mean(2)  # (B, 6)
        extra = [
            strongest[:, MASKS.index(FINDING_MASKS[o])]
            if o in FINDING_MASKS
            else torch.zeros_like(strongest[:, 0])
            for o in OBSERVATIONS
        ]
        return logits + self.finding_gain * torch.stack(extra, 1)


def _twice(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
