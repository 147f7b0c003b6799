"""The transformer of AnatomiX's APM: DETR's layers, with a film token in the encoder.

Module names follow the released checkpoint, so that one class loads both sizes (ADR 0013).
Normalisation comes after each sum; positions are added to queries and keys of every layer.
Letters: B films, N places, Q regions, D width of a token.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


def sine_positions(height: int, width: int, dim: int, device: torch.device) -> Tensor:
    """DETR's normalised sine encoding of a grid, ``(height * width, dim)``, rows first."""
    half = dim // 2
    scale = 2 * math.pi
    y = (torch.arange(1, height + 1, device=device) / height * scale)[:, None].expand(-1, width)
    x = (torch.arange(1, width + 1, device=device) / width * scale)[None, :].expand(height, -1)
    order = torch.arange(half, device=device)
    period = 10000.0 ** (2 * torch.div(order, 2, rounding_mode="floor") / half)
    parts = []
    for axis in (y, x):
        angle = axis.reshape(-1, 1) / period
        pair = torch.stack([angle[:, 0::2].sin(), angle[:, 1::2].cos()], 2)
        parts.append(pair.flatten(1))
    return torch.cat(parts, 1)


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward network over the places of a film."""

    def __init__(self, dim: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(dim, heads, dropout=dropout, batch_first=True)
        self.linear1, self.linear2 = nn.Linear(dim, feedforward), nn.Linear(feedforward, dim)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, places: Tensor) -> Tensor:
        """(B, N, D) tokens and (1, N, D) places -> (B, N, D)."""
        asked = tokens + places
        seen = self.self_attn(asked, asked, tokens, need_weights=False)[0]
        tokens = self.norm1(tokens + self.dropout(seen))
        further = self.linear2(self.dropout(functional.relu(self.linear1(tokens))))
        out: Tensor = self.norm2(tokens + self.dropout(further))
        return out


class DecoderLayer(nn.Module):
    """The regions look at each other, then at the film."""

    def __init__(self, dim: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(dim, heads, dropout=dropout, batch_first=True)
        self.multihead_attn = nn.MultiheadAttention(dim, heads, dropout=dropout, batch_first=True)
        self.linear1, self.linear2 = nn.Linear(dim, feedforward), nn.Linear(feedforward, dim)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(dim) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, names: Tensor, memory: Tensor, places: Tensor) -> Tensor:
        """(B, Q, D) tokens, (1, Q, D) names, (B, N, D) memory, (1, N, D) places -> (B, Q, D)."""
        asked = tokens + names
        seen = self.self_attn(asked, asked, tokens, need_weights=False)[0]
        tokens = self.norm1(tokens + self.dropout(seen))
        looked = self.multihead_attn(tokens + names, memory + places, memory, need_weights=False)[0]
        tokens = self.norm2(tokens + self.dropout(looked))
        further = self.linear2(self.dropout(functional.relu(self.linear1(tokens))))
        out: Tensor = self.norm3(tokens + self.dropout(further))
        return out


class Stack(nn.Module):
    """Layers, and for the decoder a last normalisation."""

    def __init__(self, layers: "list[EncoderLayer] | list[DecoderLayer]", dim: int | None) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        if dim is not None:
            self.norm = nn.LayerNorm(dim)


class Transformer(nn.Module):
    """Encoder over the film with its film token, decoder over the ordered regions."""

    def __init__(
        self, dim: int, heads: int, layers: tuple[int, int], feedforward: int, dropout: float
    ) -> None:
        super().__init__()
        sizes = (dim, heads, feedforward, dropout)
        self.cls_token = nn.Parameter(torch.randn(1, 1, dim) * 0.02)
        self.cls_pos = nn.Parameter(torch.randn(1, 1, dim) * 0.02)
        self.encoder = Stack([EncoderLayer(*sizes) for _ in range(layers[0])], None)
        self.decoder = Stack([DecoderLayer(*sizes) for _ in range(layers[1])], dim)

    def forward(self, grid: Tensor, queries: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, D, H, W) grid and (Q, D) queries -> (B, Q, D) objects, (B, H * W, D), (B, D) film."""
        batch, dim, height, width = grid.shape
        places = sine_positions(height, width, dim, grid.device)[None].to(grid.dtype)
        tokens = torch.cat(
            [self.cls_token.expand(batch, -1, -1), grid.flatten(2).transpose(1, 2)], 1
        )
        with_film = torch.cat([self.cls_pos, places], 1)
        for layer in self.encoder.layers:
            tokens = layer(tokens, with_film)
        film, memory = tokens[:, 0], tokens[:, 1:]
        objects = torch.zeros_like(queries)[None].expand(batch, -1, -1)
        for layer in self.decoder.layers:
            objects = layer(objects, queries[None], memory, places)
        return self.decoder.norm(objects), memory, film
