"""The losses: boxes by L1 x 5 and IoU x 2 as in AnatomiX, the other heads beside them."""

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from models.anatomy.heads import SIGNS

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = {"box": 1.0, "presence": 0.3, "findings": 1.2, "signs": 1.5, "attributes": 1.0,
           "masks": 2.0, "region_masks": 0.5, "places": 2.0, "scope": 0.7, "view": 0.2,
           "mirrored": 0.5, "quality": 0.2, "alignment": 0.3}  # fmt: skip
L1_WEIGHT, IOU_WEIGHT = 5.0, 2.0
# lungs, heart, effusion, opacity, mass, air, device: the smaller and rarer, the heavier
PLANES = (1.0, 1.0, 1.0, 3.0, 6.0, 12.0, 6.0, 4.0)
RARE_PLACE = 10.0  # weight of a place where a sign is
RARE = 6.0  # weight of a sign in one region, which is rare


def corners(boxes: "Tensor") -> "Tensor":
    """Centre and size to corners, last axis 4."""
    return torch.cat([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], -1)


def overlap(first: "Tensor", second: "Tensor") -> "Tensor":
    """Intersection over union of boxes given as centre and size, paired."""
    a, b = corners(first), corners(second)
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    shared = (high - low).clamp_min(0).prod(-1)
    areas = first[..., 2:].prod(-1) + second[..., 2:].prod(-1)
    return shared / (areas - shared).clamp_min(1e-7)


def measure(seen: "dict[str, Tensor]", batch: "dict[str, Tensor]") -> "dict[str, Tensor]":
    """Every loss of one batch, unweighted; ``seen`` as from the network, all heads declared."""
    seen = {name: value.float() for name, value in seen.items()}
    known = batch["boxes_known"]
    distance = (seen["boxes"] - batch["boxes"]).abs().sum(-1)
    gap = 1.0 - overlap(seen["boxes"], batch["boxes"])
    once = torch.ones_like(batch["presence_known"])[:, None]
    return {
        "box": _mean(L1_WEIGHT * distance + IOU_WEIGHT * gap, known),
        "presence": _said(seen["presence"], batch["present"], batch["presence_known"][:, None]),
        "findings": _said(seen["findings"], batch["findings"], batch["findings_known"]),
        "signs": _said(seen["signs"], batch["signs"], batch["signs_known"]),
        "attributes": _attributes(seen["attributes"], batch),
        "masks": _masks(seen["masks"], batch["masks"], batch["masks_known"]),
        "region_masks": _region_masks(seen, batch),
        "places": _places(seen["places"], batch["places"], batch["places_known"]),
        "scope": functional.cross_entropy(seen["scope"], batch["scope"]),
        "view": _view(seen["view"], batch["view"]),
        "mirrored": _said(
            seen["mirrored"], batch["mirrored"][:, None], once * batch["mirror_known"][:, None]
        ),
        "quality": _said(seen["quality"], batch["quality"], batch["quality_known"][:, None]),
    }


def total(parts: "dict[str, Tensor]") -> "Tensor":
    """Return the weighted sum."""
    return torch.stack([WEIGHTS[name] * value for name, value in parts.items()]).sum()


def _mean(values: "Tensor", weights: "Tensor") -> "Tensor":
    """Weighted mean; zero where nothing is known."""
    return (values * weights).sum() / weights.sum().clamp_min(1.0)


def _said(logits: "Tensor", truth: "Tensor", weights: "Tensor") -> "Tensor":
    """Binary cross entropy where the truth is known."""
    entropy = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return _mean(entropy, weights.expand_as(entropy))


def _view(logits: "Tensor", view: "Tensor") -> "Tensor":
    """Cross entropy over the films whose view is known; zero when none is."""
    known = view >= 0
    entropy = functional.cross_entropy(logits, view.clamp_min(0), reduction="none")
    return _mean(entropy, known.float())


def _attributes(logits: "Tensor", batch: "dict[str, Tensor]") -> "Tensor":
    entropy = functional.binary_cross_entropy_with_logits(
        logits, batch["attributes"], reduction="none", pos_weight=logits.new_tensor(RARE)
    )
    return _mean(entropy.mean((1, 2)), batch["attributes_known"])


def _masks(logits: "Tensor", truth: "Tensor", known: "Tensor") -> "Tensor":
    """Cross entropy and soft Dice, per known mask; what is small and rare weighs more."""
    rare = torch.tensor(PLANES, device=logits.device)
    entropy = functional.binary_cross_entropy_with_logits(
        logits, truth, reduction="none", pos_weight=rare[:, None, None]
    )
    soft = logits.sigmoid()
    shared = (soft * truth).sum((2, 3))
    dice = 1 - (2 * shared + 8.0) / (soft.sum((2, 3)) + truth.sum((2, 3)) + 8.0)
    both = (entropy.mean((2, 3)) + 0.3 * dice) * known * rare.sqrt()
    return both.sum() / known.sum().clamp_min(1.0)


def _region_masks(seen: "dict[str, Tensor]", batch: "dict[str, Tensor]") -> "Tensor":
    """Cross entropy and soft Dice inside the box that was found, per known region.

    A mask is cut to that box when it is served: what goes on outside it is the box's affair. Dice
    counts what the box leaves out, and small regions count as much as large ones.
    """
    logits, truth = seen["region_masks"], batch["region_masks"]
    inside = filled(seen["boxes"].detach(), logits.shape[-1])
    entropy = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    soft = logits.sigmoid() * inside
    shared = (soft * truth).sum((2, 3))
    dice = 1 - (2 * shared + 1.0) / (soft.sum((2, 3)) + truth.sum((2, 3)) + 1.0)
    among = (entropy * inside).sum((2, 3)) / inside.sum((2, 3)).clamp_min(1.0)
    return _mean(among + dice, batch["region_masks_known"])


def filled(boxes: "Tensor", side: int) -> "Tensor":
    """Boxes ``(B, Q, 4)`` as masks ``(B, Q, side, side)``: 1 where a cell's centre is inside."""
    at = (torch.arange(side, device=boxes.device) + 0.5) / side
    edges = corners(boxes)[..., None]
    across = (at > edges[..., 0, :]) & (at < edges[..., 2, :])
    down = (at > edges[..., 1, :]) & (at < edges[..., 3, :])
    return (down[..., :, None] & across[..., None, :]).float()


def _places(logits: "Tensor", truth: "Tensor", known: "Tensor") -> "Tensor":
    """Cross entropy of every place, and soft Dice where a sign is present, per known sign."""
    entropy = functional.binary_cross_entropy_with_logits(
        logits, truth, reduction="none", pos_weight=logits.new_tensor(RARE_PLACE)
    )
    soft = logits.sigmoid()
    dice = 1 - (2 * (soft * truth).sum((2, 3)) + 1.0) / ((soft + truth).sum((2, 3)) + 1.0)
    present = known * (truth.sum((2, 3)) > 0)
    return _mean(entropy.mean((2, 3)), known) * len(SIGNS) / 2 + 0.5 * _mean(dice, present)
