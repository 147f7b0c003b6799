"""From path integrals to what looks like a film: tone, detail, noise, clutter, markers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

MARKER_WORDS = ("L", "R", "AP", "PA", "L", "R", "PORTABLE", "SUPINE", "ERECT", "LL")


@dataclass(frozen=True, slots=True, eq=False)
class Tones:
    """Grey-level quantiles of real films, ``(films, 64)`` in 0..1, to borrow tone from."""

    quantiles: "NDArray[np.float32]"


def habitus(
    rng: np.random.Generator, shape: tuple[int, int], pixel_mm: float
) -> "NDArray[np.float32]":
    """Add what the CT's patient does not have: fat over the trunk and breasts, mm of water."""
    rows, columns = shape
    y, x = np.ogrid[:rows, :columns]
    slope = float(rng.uniform(-0.10, 0.22)) * (y - rows / 2) * pixel_mm
    tissue = np.broadcast_to(np.clip(slope, -25, 60), shape).astype(np.float32)
    if rng.random() < 0.4:  # noqa: PLR2004
        width, height = rng.uniform(55, 85) / pixel_mm, rng.uniform(50, 90) / pixel_mm
        centre = rows * float(rng.uniform(0.48, 0.66))
        thick = float(rng.uniform(10, 40))
        for side in (-1, 1):
            axis = columns / 2 + side * float(rng.uniform(70, 95)) / pixel_mm
            reach = ((x - axis) / width) ** 2 + ((y - centre) / height) ** 2
            tissue = tissue + thick * np.sqrt(np.clip(1.0 - reach, 0.0, 1.0)).astype(np.float32)
    return tissue


def expose(
    rng: np.random.Generator,
    soft: "NDArray[np.float32]",
    bone: "NDArray[np.float32]",
    body: "NDArray[np.bool_]",
) -> "NDArray[np.float32]":
    """Detector signal in 0..1, bright = dense: energy, scatter, tone curve."""
    dense = soft + float(rng.uniform(0.9, 2.1)) * bone
    scatter = ndimage.uniform_filter(dense, dense.shape[0] // 6)
    dense = dense * (1 - (share := float(rng.uniform(0.0, 0.35)))) + share * scatter
    inside = dense[body] if body.any() else dense.ravel()
    low, high = np.percentile(inside, [float(rng.uniform(0.5, 6)), float(rng.uniform(92, 99.8))])
    unit = np.clip((dense - low) / max(high - low, 1e-3), -0.4, 1.3)
    curve = float(rng.uniform(1.5, 5.0))
    middle = float(rng.uniform(0.35, 0.65))
    bent = 1.0 / (1.0 + np.exp(-curve * (unit - middle)))
    ends = 1.0 / (1.0 + np.exp(-curve * (np.asarray((-0.25, 1.15)) - middle)))
    return np.asarray(np.clip((bent - ends[0]) / (ends[1] - ends[0]), 0.0, 1.0), np.float32)


def develop(rng: np.random.Generator, image: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """Blur, edge enhancement, local contrast, grain; on the network's or the film's grid."""
    scale = image.shape[0] / 224.0
    if rng.random() < 0.5:  # noqa: PLR2004
        image = ndimage.gaussian_filter(image, float(rng.uniform(0.2, 0.9)) * scale)
    if rng.random() < 0.6:  # noqa: PLR2004
        coarse = ndimage.uniform_filter(image, max(int(float(rng.uniform(6, 40)) * scale), 3))
        image = image + float(rng.uniform(0.1, 1.3)) * (image - coarse)
    grain = rng.standard_normal(image.shape).astype(np.float32)
    if rng.random() < 0.5:  # noqa: PLR2004
        grain = ndimage.gaussian_filter(grain, 0.7) * 2.0
    image = image + float(rng.uniform(0.0, 0.03)) * grain
    return np.asarray(np.clip(image, 0.0, 1.0), np.float32)


def borrow_tone(
    rng: np.random.Generator, image: "NDArray[np.float32]", tones: Tones, mask: "NDArray[np.bool_]"
) -> "NDArray[np.float32]":
    """Pull the grey-level distribution towards that of a randomly drawn real film."""
    wanted = tones.quantiles[int(rng.integers(len(tones.quantiles)))]
    levels = np.linspace(0.0, 1.0, len(wanted))
    own = np.maximum.accumulate(np.quantile(image[mask][::7], levels) + levels * 1e-5)
    matched = np.interp(image, own, wanted).astype(np.float32)
    share = float(rng.uniform(0.4, 1.0))
    return np.asarray(image * (1 - share) + share * matched, np.float32)


def clutter(rng: np.random.Generator, image: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """Leads and lines across the film, letters in its corners (independent of any mirroring)."""
    rows, columns = image.shape
    layer = Image.new("F", (columns, rows), 0.0)
    pen = ImageDraw.Draw(layer)
    scale = rows / 224.0
    if rng.random() < 0.35:  # noqa: PLR2004
        for _ in range(int(rng.integers(1, 5))):
            _lead(rng, pen, (rows, columns), scale)
    if rng.random() < 0.7:  # noqa: PLR2004
        for _ in range(int(rng.integers(1, 3))):
            word = str(rng.choice(MARKER_WORDS))
            x = float(rng.choice((rng.uniform(0.02, 0.2), rng.uniform(0.75, 0.93)))) * columns
            y = float(rng.choice((rng.uniform(0.02, 0.2), rng.uniform(0.02, 0.9)))) * rows
            font = ImageFont.load_default(size=float(rng.uniform(8, 16)) * scale)
            pen.text((x, y), word, fill=float(rng.uniform(0.4, 1.0)), font=font)
    return np.clip(image + np.asarray(layer, np.float32), 0.0, 1.0)


def _lead(
    rng: np.random.Generator, pen: "ImageDraw.ImageDraw", shape: tuple[int, int], scale: float
) -> None:
    """One bent wire, sometimes with an electrode at its end."""
    rows, columns = shape
    start, bend, end = (rng.uniform((0, 0), (columns, rows)) for _ in range(3))
    t = np.linspace(0, 1, 24)[:, None]
    path = (1 - t) ** 2 * start + 2 * t * (1 - t) * bend + t**2 * end
    fill = float(rng.uniform(0.1, 0.5))
    pen.line([(float(x), float(y)) for x, y in path], fill=fill, width=max(round(1.2 * scale), 1))
    if rng.random() < 0.5:  # noqa: PLR2004
        x, y, r = float(end[0]), float(end[1]), float(rng.uniform(2, 5)) * scale
        pen.ellipse((x - r, y - r, x + r, y + r), fill=fill)


def collimate(rng: np.random.Generator, image: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """Sometimes a black or white border where shutters or the plate's edge lie."""
    if rng.random() < 0.75:  # noqa: PLR2004
        return image
    rows, columns = image.shape
    value = float(rng.choice((0.0, 0.0, 1.0)))
    framed = image.copy()
    top, bottom = (int(rng.uniform(0, 0.06) * rows) for _ in range(2))
    left, right = (int(rng.uniform(0, 0.06) * columns) for _ in range(2))
    framed[:top] = framed[rows - bottom :] = value
    framed[:, :left] = framed[:, columns - right :] = value
    return framed
