"""The losses: boxes by L1 x 5 and IoU x 2 as in AnatomiX, the other heads beside them."""

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

    from models.anatomy.network import Seen

WEIGHTS = {"box": 1.0, "presence": 0.3, "findings": 1.2, "masks": 2.0, "scope": 0.7, "view": 0.2,
           "mirrored": 0.4}  # fmt: skip
L1_WEIGHT, IOU_WEIGHT = 5.0, 2.0
PLANES = (1.0, 1.0, 1.0, 3.0, 8.0, 20.0)  # lungs, heart, effusion, opacity, mass


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


def measure(seen: "Seen", batch: "dict[str, Tensor]") -> "dict[str, Tensor]":
    """Every loss of one batch, unweighted."""
    known = batch["boxes_known"]
    total = known.sum().clamp_min(1.0)
    distance = (seen.boxes.float() - batch["boxes"]).abs().sum(-1)
    gap = 1.0 - overlap(seen.boxes.float(), batch["boxes"])
    box = ((L1_WEIGHT * distance + IOU_WEIGHT * gap) * known).sum() / total
    presence = functional.binary_cross_entropy_with_logits(
        seen.presence.float(), batch["present"], reduction="none"
    ).mean(1)
    told = batch["presence_known"]
    findings = functional.binary_cross_entropy_with_logits(
        seen.findings.float(), batch["findings"], reduction="none"
    )
    weight = batch["findings_known"]
    view = functional.cross_entropy(seen.view.float(), batch["view"], ignore_index=-1)
    side = functional.binary_cross_entropy_with_logits(
        seen.mirrored.float()[:, 0], batch["mirrored"], reduction="none"
    )
    given = batch["mirror_known"]
    return {
        "box": box,
        "presence": (presence * told).sum() / told.sum().clamp_min(1.0),
        "findings": (findings * weight).sum() / weight.sum().clamp_min(1.0),
        "masks": _masks(seen.masks.float(), batch["masks"], batch["masks_known"]),
        "scope": functional.cross_entropy(seen.scope.float(), batch["scope"]),
        "view": view,
        "mirrored": (side * given).sum() / given.sum().clamp_min(1.0),
    }


def total(parts: "dict[str, Tensor]") -> "Tensor":
    """Return the weighted sum."""
    return torch.stack([WEIGHTS[name] * value for name, value in parts.items()]).sum()


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
