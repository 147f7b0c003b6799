"""Aligning a region's embedding with the set of signs in it: AnatomiX's contrastive stage.

Printed as in the paper (Eqs. 5 to 8) the target is all but uniform and cannot train
(:func:`literal_target` keeps it for the ablation). The form used here compares one region across
the films of a batch: the target is the row-softmax of the likeness of their sign sets, so that two
films with the same finding in that region are positives of each other, and neither region names
nor easy negatives can solve it. What stands for the sentence is the finding vector itself: small
sentence encoders blur negation and side.
Letters: B films, Q = 36 regions, S signs, E width of an embedding.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.anatomy.heads import REGIONS, SIGNS
from models.anatomy.retrieval import TEMPERATURE

TARGET_TEMPERATURE = 0.15


class SignTower(nn.Module):
    """Embeds (region, set of signs); takes the place of a sentence encoder."""

    def __init__(self, object_dim: int) -> None:
        super().__init__()
        self.signs = nn.Sequential(
            nn.Linear(len(SIGNS) + 1, 64), nn.ReLU(), nn.Linear(64, object_dim)
        )
        self.regions = nn.Parameter(torch.randn(len(REGIONS), object_dim) * 0.05)

    def forward(self, attributes: Tensor) -> Tensor:
        """(B, Q, S) of 0 and 1 -> (B, Q, E)."""
        embedded: Tensor = self.signs(with_healthy(attributes)) + self.regions
        return embedded


def with_healthy(attributes: Tensor) -> Tensor:
    """(…, S) -> (…, S + 1): a last column that says *no sign here*, so that no vector is zero."""
    healthy = (attributes.sum(-1, keepdim=True) < 0.5).to(attributes.dtype)  # noqa: PLR2004
    return torch.cat([attributes, healthy], -1)


def target(attributes: Tensor) -> Tensor:
    """(B, Q, S) -> (Q, B, B): rows sum to one, alike sign sets share the weight."""
    unit = functional.normalize(with_healthy(attributes).float(), dim=-1).transpose(0, 1)
    return torch.softmax(unit @ unit.transpose(1, 2) / TARGET_TEMPERATURE, -1)


def literal_target(sentences: Tensor) -> Tensor:
    """Eqs. 5 to 7 as printed, of sentence embeddings ``(N, E)``: softmax twice, hence flat."""
    unit = functional.normalize(sentences, dim=-1)
    return torch.softmax(torch.softmax(unit @ unit.T, -1), -1)


def loss(embedding: Tensor, words: Tensor, attributes: Tensor) -> Tensor:
    """Cross entropy between target and likeness, both ways; ``(B, Q, E)`` twice, ``(B, Q, S)``."""
    seen = functional.normalize(embedding.float(), dim=-1).transpose(0, 1)
    said = functional.normalize(words.float(), dim=-1).transpose(0, 1)
    likeness = seen @ said.transpose(1, 2) / TEMPERATURE  # (Q, B, B)
    wanted = target(attributes)
    across = -(wanted * functional.log_softmax(likeness, -1)).sum(-1)
    back = -(wanted * functional.log_softmax(likeness.transpose(1, 2), -1)).sum(-1)
    return (across + back).mean() / 2


def literal_loss(embedding: Tensor, words: Tensor) -> Tensor:
    """Eqs. 5 to 8 as printed, over all regions of all films alike; for the ablation only.

    ``(B, Q, E)`` twice; the target is that of the words themselves and passes no gradient.
    """
    seen = functional.normalize(embedding.float().flatten(0, 1), dim=-1)
    said = functional.normalize(words.float().flatten(0, 1), dim=-1)
    wanted = literal_target(said).detach()
    found: Tensor = -(wanted * functional.log_softmax(seen @ said.T, -1)).sum(-1).mean()
    return found
