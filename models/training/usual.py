"""The usual shape of each region in its box: the mean of its masks over training films."""

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from models.anatomy.heads import REGIONS, SHAPE_SIDE
from models.training.chunks import Bank

if TYPE_CHECKING:
    from collections.abc import Iterable

    from models.anatomy.network import AnatomyPerception

AT_ONCE, FILMS = 64, 2000
RAREST = 0.02  # chance of a cell that no film of a bank shows
SEED = 9


def begin(networks: "Iterable[AnatomyPerception]", bank: Bank) -> None:
    """Start the head for masks of regions from usual shapes, where it knows none yet."""
    heads = [network.heads.region_masks for network in networks]
    if any(bool(head.usual.any()) for head in heads):
        return
    found = shapes(bank)
    with torch.no_grad():
        for head in heads:
            head.usual.copy_(found)


def shapes(bank: Bank, films: int = FILMS) -> torch.Tensor:
    """Return log odds ``(36, SHAPE_SIDE, SHAPE_SIDE)`` of a region's cells, across its box."""
    count = min(films, len(bank))
    chosen = torch.randperm(len(bank), generator=torch.Generator().manual_seed(SEED))[:count]
    total = torch.zeros(len(REGIONS), SHAPE_SIDE, SHAPE_SIDE)
    seen = torch.zeros(len(REGIONS))
    for start in range(0, count, AT_ONCE):
        some = chosen[start : start + AT_ONCE].numpy()
        batch = {name: value.cpu() for name, value in bank.take(some).items()}
        known = (batch["region_masks_known"] > 0) & (batch["boxes_known"] > 0)
        known &= batch["region_masks"].any(dim=3).any(dim=2)
        read = _in_boxes(batch["region_masks"], batch["boxes"])
        total += (read * known[..., None, None]).sum(0)
        seen += known.sum(0)
    share = (total / seen.clamp_min(1)[:, None, None]).clamp(RAREST, 1 - RAREST)
    return torch.log(share / (1 - share))


def _in_boxes(masks: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """Read masks ``(B, Q, n, n)`` at the cells of boxes ``(B, Q, 4)``, centre and size in 0..1."""
    cells = (torch.arange(SHAPE_SIDE) + 0.5) / SHAPE_SIDE - 0.5
    x, y = (boxes[..., a, None] + boxes[..., a + 2, None] * cells for a in (0, 1))
    wide = x[:, :, None, :].expand(-1, -1, SHAPE_SIDE, -1)
    high = y[:, :, :, None].expand(-1, -1, -1, SHAPE_SIDE)
    grid = 2 * torch.stack([wide, high], -1).flatten(0, 1) - 1
    read = functional.grid_sample(masks.flatten(0, 1)[:, None], grid, align_corners=False)
    return read[:, 0].reshape(*boxes.shape[:2], SHAPE_SIDE, SHAPE_SIDE)
