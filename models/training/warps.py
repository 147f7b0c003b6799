"""Smooth stretching of films along either axis, under which boxes stay exact boxes.

A film is read at places ``s = u + a(u)`` with small sines ``a``, one along x and one along y: rows
stay rows and columns columns, so that the box of what moved is the moved box, and every batch shows
chests of other proportions. What is learnt from widths (the heart's share of the chest) bears
only little of it along x.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

WAVES = 5  # sines per axis, of half a period and its multiples
ALONG_X, ALONG_Y = 0.013, 0.034  # size of the first sine, share of the side; the k-th has 1 / k
STEEPEST = 0.35  # |da/du|: nothing is turned round or drawn out to twice its size
SHARE = 0.7  # of films that are stretched
FINE = 512  # samples of a curve
U = np.linspace(0, 1, FINE)


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
    films = len(batch["film"])
    along_x, along_y = curves(rng, films, ALONG_X), curves(rng, films, ALONG_Y)
    moved = dict(batch)
    moved["film"] = _read(batch["film"][:, None], along_x, along_y)[:, 0]
    for name in ("masks", "places"):
        moved[name] = _read(batch[name], along_x, along_y)
    boxes = batch["boxes"].numpy()
    low, high = boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2
    for edges in (low, high):
        for axis, curve in enumerate((along_x, along_y)):
            edges[..., axis] = _follow(edges[..., axis], curve)
    new = np.concatenate([(low + high) / 2, high - low], axis=-1).astype(np.float32)
    moved["boxes"] = torch.from_numpy(new)
    return moved


def _read(
    planes: "Tensor", along_x: "NDArray[np.float64]", along_y: "NDArray[np.float64]"
) -> "Tensor":
    """Planes ``(B, C, n, n)`` read at the moved places of their pixels' centres, linearly.

    By numpy, in one thread: the next batch is made while torch's threads learn this one.
    """
    moved = np.empty(planes.shape, np.float32)
    for plane, x, y, new in zip(planes.numpy(), along_x, along_y, moved, strict=True):
        low, share = _neighbours(y, plane.shape[-1])
        rows = plane[:, low] * (1 - share[:, None]) + plane[:, low + 1] * share[:, None]
        low, share = _neighbours(x, plane.shape[-1])
        np.add(rows[:, :, low] * (1 - share), rows[:, :, low + 1] * share, out=new)
    return torch.from_numpy(moved)


def _neighbours(
    curve: "NDArray[np.float64]", n: int
) -> "tuple[NDArray[np.int64], NDArray[np.float32]]":
    """Return the pixel before each new pixel's place, and how near the one after it is, 0..1."""
    centres = (np.arange(n) + 0.5) / n
    places = np.clip((centres + np.interp(centres, U, curve)) * n - 0.5, 0, n - 1)
    low = np.minimum(places.astype(np.int64), n - 2)
    return low, (places - low).astype(np.float32)


def _follow(places: "NDArray[np.floating]", curve: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Where places ``(B, Q)`` of a film lie after it was read at ``u + a(u)``."""
    return np.stack([np.interp(p, U + a, U) for p, a in zip(places, curve, strict=True)])
