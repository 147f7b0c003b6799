"""Smooth stretching of films along either axis, under which boxes stay exact boxes.

A film is read at places ``s = u + a(u)`` with small sines ``a``, one along x and one along y: rows
stay rows and columns columns, so that the box of what moved is the moved box, and every batch shows
chests of other proportions. What is learnt from widths (the heart's share of the chest) bears
only little of it along x.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

WAVES = 5  # sines per axis, of half a period and its multiples
ALONG_X, ALONG_Y = 0.013, 0.034  # size of the first sine, share of the side; the k-th has 1 / k
STEEPEST = 0.35  # |da/du|: nothing is turned round or drawn out to twice its size
SHARE = 0.7  # of films that are stretched
FINE = 512  # samples of a curve
U = np.linspace(0, 1, FINE)
BEND, GRAIN = 0.12, 0.015  # of the exponent's logarithm; of the grey range


def curves(rng: np.random.Generator, films: int, size: float) -> "NDArray[np.float64]":
    """Draw ``a(u)`` per film, ``(films, FINE)`` for u from 0 to 1; zero at both ends."""
    waves = np.arange(1, WAVES + 1)
    sines = np.sin(np.pi * waves[:, None] * U)
    heights = rng.normal(0, size / waves, (films, WAVES)) * (rng.random((films, 1)) < SHARE)
    drawn = heights @ sines
    slope = np.abs(np.gradient(drawn, U, axis=1)).max(axis=1, keepdims=True)
    return np.asarray(drawn * np.minimum(1.0, STEEPEST / np.maximum(slope, 1e-9)))


def stretch(rng: np.random.Generator, batch: "dict[str, Tensor]") -> "dict[str, Tensor]":
    """Stretch each film of a batch with its masks, places and boxes; all else stays."""
    film = batch["film"]
    drawn = (curves(rng, len(film), size) for size in (ALONG_X, ALONG_Y))
    along = [torch.from_numpy(a).to(film.device, torch.float32) for a in drawn]
    moved = dict(batch)
    moved["film"] = _read(film[:, None], along)[:, 0]
    for name in ("masks", "region_masks", "places"):
        moved[name] = _read(batch[name], along)
    boxes = batch["boxes"]
    low, high = boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2
    low, high = (
        torch.stack([_follow(edges[..., axis], along[axis]) for axis in (0, 1)], -1)
        for edges in (low, high)
    )
    moved["boxes"] = torch.cat([(low + high) / 2, high - low], -1)
    return moved


def _read(planes: "Tensor", along: "list[Tensor]") -> "Tensor":
    """Planes ``(B, C, n, n)`` read at the moved places of their pixels' centres, linearly."""
    n = planes.shape[-1]
    centres = (torch.arange(n, device=planes.device) + 0.5) / n
    x, y = (centres + _between(curve, centres.expand(len(planes), n)) for curve in along)
    grid = torch.stack([x[:, None].expand(-1, n, n), y[:, :, None].expand(-1, n, n)], -1)
    return functional.grid_sample(planes, 2 * grid - 1, padding_mode="border", align_corners=False)


def _between(curve: "Tensor", places: "Tensor") -> "Tensor":
    """Values at places ``(B, Q)`` in 0..1 of curves ``(B, FINE)`` sampled evenly over 0..1."""
    at = places.clamp(0, 1) * (FINE - 1)
    low = at.long().clamp_max(FINE - 2)
    first, second = curve.gather(1, low), curve.gather(1, low + 1)
    return first + (at - low) * (second - first)


def _follow(places: "Tensor", curve: "Tensor") -> "Tensor":
    """Where places ``(B, Q)`` of a film lie after it was read at ``u + a(u)``."""
    even = torch.linspace(0, 1, FINE, device=curve.device)
    came_from = even + curve
    last = torch.searchsorted(came_from, places.contiguous()).clamp(1, FINE - 1)
    before, after = came_from.gather(1, last - 1), came_from.gather(1, last)
    share = ((places - before) / (after - before).clamp_min(1e-9)).clamp(0, 1)
    return even[last - 1] + share * (even[1] - even[0])


def retone(rng: np.random.Generator, films: "Tensor") -> "Tensor":
    """Bend the tone of films ``(B, n, n)`` a little and add grain; what is black stays black."""
    bend = torch.from_numpy(np.exp(rng.normal(0, BEND, len(films)))).to(films)
    grain = torch.from_numpy(rng.uniform(0, GRAIN, len(films))).to(films)
    noise = torch.randn(films.shape, device=films.device) * grain[:, None, None]
    toned = (films.clamp_min(1e-6) ** bend[:, None, None] + noise).clamp(0, 1)
    return torch.where(films > 0, toned, films)
