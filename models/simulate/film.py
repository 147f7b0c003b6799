"""From path integrals to what looks like a film: tone, detail, noise, clutter, markers."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

MARKER_WORDS = ("L", "R", "AP", "PA", "L", "R", "PORTABLE", "SUPINE", "ERECT", "LL")
COARSEST_GRAIN = 0.03  # of the grey range


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


class Tone(StrEnum):
    """How a detector's signal becomes grey: families of curves."""

    SIGMOID = "sigmoid"  # the usual look-up table of a chest film
    GAMMA = "gamma"
    WINDOW = "window"  # straight, clipped at both ends
    INTENSITY = "intensity"  # grey follows transmitted light, not its logarithm


HELD_OUT_TONE = Tone.INTENSITY  # no training film has it; the frozen test does
TRAINING_TONES = (Tone.SIGMOID, Tone.GAMMA, Tone.WINDOW)
TONE_SHARES = (0.66, 0.2, 0.14)


def draw_tone(rng: np.random.Generator) -> Tone:
    """Draw one of the families that training films have."""
    return TRAINING_TONES[int(rng.choice(len(TRAINING_TONES), p=TONE_SHARES))]


def expose(
    rng: np.random.Generator,
    soft: "NDArray[np.float32]",
    bone: "NDArray[np.float32]",
    body: "NDArray[np.bool_]",
    tone: Tone | None = None,
) -> "NDArray[np.float32]":
    """Detector signal in 0..1, bright = dense: energy, scatter, tone curve.

    ``soft`` and ``bone`` are path integrals in mm of water; grey levels are laid between
    percentiles of what lies in ``body``. Without a ``tone`` one of TRAINING_TONES is drawn.
    """
    dense = soft + float(rng.uniform(0.9, 2.1)) * bone
    scatter = ndimage.uniform_filter(dense, max(dense.shape[0] // 6, 1))
    dense = dense * (1 - (share := float(rng.uniform(0.0, 0.35)))) + share * scatter
    inside = dense[body] if body.any() else dense.ravel()
    low, high = np.percentile(inside, [float(rng.uniform(0.5, 6)), float(rng.uniform(94, 99.9))])
    unit = np.clip((dense - low) / max(high - low, 1e-3), -0.4, 1.3)
    return np.asarray(np.clip(CURVES[tone or draw_tone(rng)](rng, unit), 0.0, 1.0), np.float32)


def _sigmoid(rng: np.random.Generator, unit: "NDArray[np.float32]") -> "NDArray[np.float64]":
    curve = float(rng.uniform(1.5, 5.0))
    middle = float(rng.uniform(0.35, 0.65))
    bent = 1.0 / (1.0 + np.exp(-curve * (unit - middle)))
    ends = 1.0 / (1.0 + np.exp(-curve * (np.asarray((-0.25, 1.15)) - middle)))
    return np.asarray((bent - ends[0]) / (ends[1] - ends[0]))


def _gamma(rng: np.random.Generator, unit: "NDArray[np.float32]") -> "NDArray[np.float64]":
    lifted = np.clip((unit + 0.15) / 1.3, 0.0, 1.0)
    return np.asarray(lifted ** float(rng.uniform(0.6, 1.7)))


def _window(rng: np.random.Generator, unit: "NDArray[np.float32]") -> "NDArray[np.float64]":
    low, high = float(rng.uniform(-0.25, 0.0)), float(rng.uniform(0.9, 1.2))
    return np.asarray((unit - low) / (high - low))


def _intensity(rng: np.random.Generator, unit: "NDArray[np.float32]") -> "NDArray[np.float64]":
    thick = float(rng.uniform(1.6, 2.8))  # lungs take most of the range, the middle is flat
    light = np.exp(-thick * (unit + 0.2))
    return np.asarray(1.0 - light / float(np.exp(-thick * 0.1)) * float(rng.uniform(0.85, 1.0)))


CURVES = {
    Tone.SIGMOID: _sigmoid,
    Tone.GAMMA: _gamma,
    Tone.WINDOW: _window,
    Tone.INTENSITY: _intensity,
}


def develop(
    rng: np.random.Generator, image: "NDArray[np.float32]", grain_up_to: float = COARSEST_GRAIN
) -> "NDArray[np.float32]":
    """Blur, local contrast, quantum noise, grid lines; on the network's or the film's grid.

    The lower the dose, the more noise; it grows where little light arrives (bright = dense).
    """
    scale = image.shape[0] / 224.0
    if rng.random() < 0.5:  # noqa: PLR2004
        image = ndimage.gaussian_filter(image, float(rng.uniform(0.2, 0.9)) * scale)
    if rng.random() < 0.6:  # noqa: PLR2004
        coarse = ndimage.uniform_filter(image, max(int(float(rng.uniform(6, 40)) * scale), 3))
        image = image + float(rng.uniform(0.1, 1.3)) * (image - coarse)
    grain = rng.standard_normal(image.shape, np.float32)
    if rng.random() < 0.5:  # noqa: PLR2004
        grain = ndimage.gaussian_filter(grain, 0.7) * 2.0
    few_quanta = 0.5 + np.clip(image, 0.0, 1.0)
    image = image + float(rng.uniform(0.0, grain_up_to)) * grain * few_quanta
    if rng.random() < 0.15:  # noqa: PLR2004
        image = image + _grid(rng, (image.shape[0], image.shape[1]))
    return np.asarray(np.clip(image, 0.0, 1.0), np.float32)


def _grid(rng: np.random.Generator, shape: tuple[int, int]) -> "NDArray[np.float32]":
    """Lines of the anti-scatter grid as sampled by the detector, and its cut-off to one side."""
    rows, columns = shape
    period = float(rng.uniform(2.1, 7.0))  # pixels: fine lamellae beat with the detector's pitch
    upright = rng.random() < 0.7  # noqa: PLR2004
    along = np.arange(columns if upright else rows, dtype=np.float32)
    lines = float(rng.uniform(0.003, 0.014)) * np.sin(2 * np.pi * along / period)
    cut_off = float(rng.normal(0, 0.05)) * (along / max(len(along) - 1, 1) - 0.5)
    profile = (lines + cut_off).astype(np.float32)
    return np.broadcast_to(profile if upright else profile[:, None], shape)


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


def markers(rng: np.random.Generator, image: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """Letters in the corners, drawn without regard to sides: burnt in, or of lead in a clip."""
    rows, columns = image.shape
    layer = Image.new("F", (columns, rows), 0.0)
    pen = ImageDraw.Draw(layer)
    scale = rows / 224.0
    for _ in range(int(rng.choice((0, 1, 2, 3), p=(0.3, 0.4, 0.25, 0.05)))):
        word = str(rng.choice(MARKER_WORDS))
        x = float(rng.choice((rng.uniform(0.02, 0.2), rng.uniform(0.75, 0.93)))) * columns
        y = float(rng.choice((rng.uniform(0.02, 0.2), rng.uniform(0.02, 0.9)))) * rows
        size = float(rng.uniform(8, 16)) * scale
        font = ImageFont.load_default(size=size)
        fill = float(rng.uniform(0.4, 1.0))
        pen.text((x, y), word, fill=fill, font=font)
        if rng.random() < 0.25:  # noqa: PLR2004 - in its clip
            box = pen.textbbox((x, y), word, font=font)
            pad = 0.2 * size
            frame = (box[0] - pad, box[1] - pad, box[2] + pad, box[3] + pad)
            pen.rectangle(frame, outline=0.7 * fill, width=max(round(0.8 * scale), 1))
    return np.clip(image + np.asarray(layer, np.float32), 0.0, 1.0)


def clutter(rng: np.random.Generator, image: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """Wires across the film and letters in its corners (independent of any mirroring)."""
    rows, columns = image.shape
    if rng.random() < 0.2:  # noqa: PLR2004
        layer = Image.new("F", (columns, rows), 0.0)
        pen = ImageDraw.Draw(layer)
        for _ in range(int(rng.integers(1, 5))):
            _lead(rng, pen, (rows, columns), rows / 224.0)
        image = np.clip(image + np.asarray(layer, np.float32), 0.0, 1.0)
    return markers(rng, image)


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
    """Sometimes a black or white border, of shutters (a little turned) or the plate's edge."""
    if rng.random() < 0.75:  # noqa: PLR2004
        return image
    rows, columns = image.shape
    value = float(rng.choice((0.0, 0.0, 1.0)))
    turn = float(rng.normal(0, 0.012)) if rng.random() < 0.5 else 0.0  # noqa: PLR2004
    y, x = np.ogrid[:rows, :columns]
    along, across = x + turn * (y - rows / 2), y - turn * (x - columns / 2)
    left, top, right, bottom = (
        float(rng.uniform(0, 0.06)) * side for side in (columns, rows, columns, rows)
    )
    inside = (along >= left) & (along < columns - right)
    inside = inside & (across >= top) & (across < rows - bottom)
    return np.where(inside, image, np.float32(value))
