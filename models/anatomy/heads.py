"""The heads of the anatomy network beside boxes by MLP: edge heat maps, masks, judgements.

Letters as in :mod:`models.anatomy.network`; all outputs are logits where not said otherwise.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.vocabulary import AnatomicStructure, MaskName, Observation, Quality, ScopeReason, Sign

MASK_SIDE, PLACE_SIDE = 160, 80
APART = (1, 2, 1, 4, 1, 2)  # cells of 4 px
SHAPE_SIDE = 16  # cells of a region's usual shape, across its box and down
REGIONS = tuple(AnatomicStructure)
OUTLINED = tuple(map(AnatomicStructure, ("left clavicle", "right clavicle", "trachea", "spine")))
"""Regions whose masks learn from outlines of real films too."""
MOST_SAID = tuple(6.0 if region in OUTLINED else 2.0 for region in REGIONS)
"""Log odds by which a film may contradict a region's usual shape; more where real films taught."""
OBSERVATIONS = tuple(Observation)
SIGNS = tuple(Sign)
MASKS = tuple(MaskName)
QUALITIES = tuple(Quality)
SCOPES = ("in scope", *(reason.value for reason in ScopeReason))
VIEWS = ("PA", "AP", "lateral")
FINDING_MASKS = {
    Observation.PLEURAL_EFFUSION: MaskName.PLEURAL_EFFUSION,
    Observation.LUNG_OPACITY: MaskName.LUNG_OPACITY,
    Observation.MASS: MaskName.MASS,
}
EDGE_DIM, MID_DIM = 64, 40
OF_THEIR_OWN = ("presence", "region_masks", "scope", "view", "mirrored", "quality")
"""Heads that give nothing to each other, so that each can be trained alone."""
RARE_PLACE = -4.0  # logit of a place before anything is learnt: signs cover little of a film
STRONGEST_PLACES = 8


def twice(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, 2 H, 2 W), bilinear."""
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def _conv(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
        nn.BatchNorm2d(channels, momentum=0.03),
        nn.ReLU(inplace=True),
    )


class Fused(NamedTuple):
    """Fused maps at stride 8 ``(B, 64, …)``, stride 4 ``(B, 40, …)``, stride 2 ``(B, F, …)``."""

    s8: Tensor
    s4: Tensor
    s2: Tensor


class Fusion(nn.Module):
    """From the encoder's places back to a fine grid, with short cuts from the convolutions."""

    def __init__(self, dim: int, levels: tuple[int, int, int], fine: int) -> None:
        super().__init__()
        s2, s4, s8 = levels
        self.up8, self.skip8 = nn.Conv2d(dim, EDGE_DIM, 1), nn.Conv2d(s8, EDGE_DIM, 1)
        self.up4, self.skip4 = nn.Conv2d(EDGE_DIM, MID_DIM, 1), nn.Conv2d(s4, MID_DIM, 1)
        self.up2, self.skip2 = nn.Conv2d(MID_DIM, fine, 1), nn.Conv2d(s2, fine, 1)
        self.fuse8, self.fuse4, self.fuse2 = _conv(EDGE_DIM), _conv(MID_DIM), _conv(fine)

    def forward(self, places: Tensor, levels: tuple[Tensor, Tensor, Tensor]) -> Fused:
        """(B, D, H, W) at stride 16 and maps at strides 2, 4, 8."""
        s2, s4, s8 = levels
        f8 = self.fuse8(twice(self.up8(places)) + self.skip8(s8))
        f4 = self.fuse4(twice(self.up4(f8)) + self.skip4(s4))
        return Fused(f8, f4, self.finest(f4, s2))

    def finest(self, f4: Tensor, s2: Tensor) -> Tensor:
        """Fused map at stride 4 and map at stride 2 -> fused map at stride 2."""
        fused: Tensor = self.fuse2(twice(self.up2(f4)) + self.skip2(s2))
        return fused


class EdgeBoxes(nn.Module):
    """Each edge is the mean of a heat map over the film, corrected a little by its token."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.queries = nn.Linear(dim, 4 * EDGE_DIM)
        last = nn.Linear(dim, 4)
        for value in last.parameters():  # starts as no correction at all
            nn.init.zeros_(value)
        self.correct = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), last)

    def forward(self, objects: Tensor, f8: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes (B, Q, 4) as centre and size, spread of their heat maps (B, Q), both in 0..1."""
        batch, _, height, width = f8.shape
        queries = self.queries(objects).reshape(batch, len(REGIONS) * 4, EDGE_DIM)
        heat = torch.matmul(queries, f8.flatten(2)) / EDGE_DIM**0.5  # (B, Q * 4, H * W)
        heat = heat.softmax(-1).reshape(batch, len(REGIONS), 4, height, width)
        x = (torch.arange(width, device=f8.device) + 0.5) / width
        y = (torch.arange(height, device=f8.device) + 0.5) / height
        over_x, over_y = heat.sum(3), heat.sum(4)  # (B, Q, 4, W), (B, Q, 4, H)
        means, squares = (
            torch.stack(
                [(over_x[:, :, 0] * u).sum(-1), (over_y[:, :, 1] * v).sum(-1),
                 (over_x[:, :, 2] * u).sum(-1), (over_y[:, :, 3] * v).sum(-1)], -1,
            )
            for u, v in ((x, y), (x * x, y * y))
        )  # fmt: skip
        spread = (squares - means * means).clamp_min(1e-6).sqrt().mean(-1)
        corners = means + 0.25 * torch.tanh(self.correct(objects))
        low, high = corners[..., :2], corners[..., 2:]
        return torch.cat([(low + high) / 2, (high - low).clamp_min(1e-3)], -1), spread


class Around(nn.Module):
    """What lies around a cell, ``apart`` cells from each other, added; next to nothing at first."""

    def __init__(self, channels: int, apart: int) -> None:
        super().__init__()
        self.gather = nn.Conv2d(channels, channels, 5, 1, 2 * apart, apart, groups=channels)
        self.widen = nn.Conv2d(channels, 2 * channels, 1)
        self.narrow = nn.Conv2d(2 * channels, channels, 1)
        nn.init.zeros_(self.narrow.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        seen: Tensor = self.narrow(functional.relu(self.widen(self.gather(x))))
        return x + seen


class RegionMaskHead(nn.Module):
    """The usual shape of each region, laid into its box, and what the film says for or against it.

    For the film speaks a mask head of query tokens (Cheng et al., MaskFormer, NeurIPS 2021, section
    3.3): each region's token weighs the channels of the fused map at stride 4, once every cell has
    looked far around itself. That takes time, so that a film goes through it only when somebody
    asks for masks. The usual shape holds on films of a kind the channels have not learnt from.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.around = nn.Sequential(*(Around(MID_DIM, apart) for apart in APART))
        self.weigh = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, MID_DIM + 1))
        self.refine = nn.Sequential(
            nn.Conv2d(MID_DIM, MID_DIM, 5, 1, 2, groups=MID_DIM),
            nn.Conv2d(MID_DIM, MID_DIM, 1),
            nn.ReLU(),
        )
        self.usual = nn.Parameter(torch.zeros(len(REGIONS), SHAPE_SIDE, SHAPE_SIDE))

    def forward(self, objects: Tensor, f4: Tensor, boxes: Tensor) -> Tensor:
        """(B, Q, D) tokens, (B, 40, H, W) and (B, Q, 4) boxes -> (B, Q, H, W)."""
        weights, cells = self.weigh(objects), self.refine(self.around(f4))
        likeness = torch.matmul(weights[..., :MID_DIM], cells.flatten(2)) / MID_DIM**0.5
        most = torch.tensor(MOST_SAID, device=f4.device)[:, None]
        seen = torch.minimum(torch.maximum(likeness + weights[..., MID_DIM:], -most), most)
        seen = seen.reshape(*objects.shape[:2], *f4.shape[2:])
        high, wide = (_reading(boxes[..., axis::2], f4.shape[2 + (axis == 0)]) for axis in (1, 0))
        masks: Tensor = high @ self.usual @ wide.transpose(2, 3) + seen
        return masks


def _reading(line: Tensor, cells: int) -> Tensor:
    """Return what reads a shape along one axis of its box, linearly: (B, Q, cells, SHAPE_SIDE).

    ``line`` (B, Q, 2) holds middle and length, 0..1; beyond a box its edge goes on.
    """
    centres = (torch.arange(cells, device=line.device) + 0.5) / cells
    at = (centres - line[..., :1]) / line[..., 1:].clamp_min(1e-3) + 0.5
    at = (at * SHAPE_SIDE - 0.5).clamp(0, SHAPE_SIDE - 1)
    cell = torch.arange(SHAPE_SIDE, device=line.device)
    share: Tensor = (1 - (at[..., None] - cell).abs()).clamp_min(0)
    return share


class ExtraHeads(nn.Module):
    """The declared heads.

    ``presence`` (B, Q); ``findings`` (B, 4); ``signs`` (B, S); ``attributes`` (B, Q, S), a sign in
    a region; ``masks`` (B, 8, 160, 160); ``region_masks`` (B, Q, 80, 80); ``scope`` (B, 5);
    ``view`` (B, 3); ``mirrored`` (B, 1); ``quality`` (B, 3). While training also ``places``
    (B, S, 80, 80), where on the film a sign is: exact masks teach them, and their strongest
    places count for ``signs``.
    """

    def __init__(
        self, dim: int, fine: int, pooled: tuple[int, int], declared: tuple[str, ...]
    ) -> None:
        super().__init__()
        whole = dim + sum(pooled)
        self.declared = declared
        makers: dict[str, nn.Module] = {
            "presence": nn.Linear(dim, 1),
            "findings": nn.Linear(whole, len(OBSERVATIONS)),
            "signs": nn.Linear(whole, len(SIGNS)),
            "attributes": nn.Linear(dim, len(SIGNS)),
            "masks": nn.Conv2d(fine, len(MASKS), 1),
            "scope": nn.Sequential(
                nn.Linear(whole, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, len(SCOPES))
            ),
            "view": nn.Linear(whole, len(VIEWS)),
            "mirrored": nn.Sequential(nn.Linear(whole, 64), nn.ReLU(), nn.Linear(64, 1)),
            "quality": nn.Linear(whole, len(QUALITIES)),
        }
        self.by_name = nn.ModuleDict({n: m for n, m in makers.items() if n in declared})
        if "region_masks" in declared:
            self.region_masks = RegionMaskHead(dim)
        if "findings" in declared:
            self.finding_gain = nn.Parameter(torch.full((len(OBSERVATIONS),), 0.5))
        if "signs" in declared:
            self.sign_gain = nn.Parameter(torch.full((len(SIGNS),), 0.5))
            self.places = nn.Conv2d(MID_DIM, len(SIGNS), 1)
            nn.init.constant_(self.places.bias, RARE_PLACE)  # type: ignore[arg-type]
            self.place_gain = nn.Parameter(torch.full((len(SIGNS),), 0.5))

    def module_of(self, head: str) -> nn.Module:
        """Return the module of a head in :data:`OF_THEIR_OWN`."""
        return self.region_masks if head == "region_masks" else self.by_name[head]

    def forward(
        self, whole: Tensor, objects: Tensor, fused: Fused, boxes: Tensor
    ) -> dict[str, Tensor]:
        """(B, W) the whole film, (B, Q, D) regions, fused maps, (B, Q, 4) boxes -> by name."""
        seen: dict[str, Tensor] = {}
        for name, head in self.by_name.items():
            given = {"presence": objects, "attributes": objects, "masks": fused.s2}.get(name, whole)
            seen[name] = head(given)
        if "region_masks" in self.declared:
            seen["region_masks"] = self.region_masks(objects, fused.s4, boxes.detach())
        if "presence" in seen:
            seen["presence"] = seen["presence"][..., 0]
        if "findings" in seen and "masks" in seen:
            seen["findings"] = seen["findings"] + self.finding_gain * finding_strength(
                seen["masks"]
            )
        if "signs" in seen and "attributes" in seen:
            best = torch.topk(seen["attributes"], 2, dim=1).values.mean(1)
            seen["signs"] = seen["signs"] + self.sign_gain * best
        if "signs" in seen:
            places = self.places(fused.s4)
            strongest = torch.topk(places.flatten(2), STRONGEST_PLACES, dim=2).values.mean(2)
            seen["signs"] = seen["signs"] + self.place_gain * (strongest - RARE_PLACE)
            if self.training:
                seen["places"] = places
        return seen


def finding_strength(masks: Tensor) -> Tensor:
    """(B, 8, 160, 160) -> (B, 4): how strong the strongest part of each finding's mask is."""
    coarse = functional.avg_pool2d(masks, 4)
    strongest = torch.topk(coarse.flatten(2), 8, dim=2).values.mean(2)
    columns = [
        strongest[:, MASKS.index(FINDING_MASKS[o])]
        if o in FINDING_MASKS
        else torch.zeros_like(strongest[:, 0])
        for o in OBSERVATIONS
    ]
    return torch.stack(columns, 1)
