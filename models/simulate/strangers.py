"""Pictures that are no frontal chest: limbs, skulls, noise, gradients, text, scenes, CT slices.

They teach the scope head what to turn away. Limbs are capsules of flesh around tubes of bone with
joints, fingers and toes; nothing here is copied from a real film.
"""

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Picture = NDArray[np.float32]

LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ 0123456789 "


def _capsule(
    shape: tuple[int, int], start: "NDArray[np.float64]", end: "NDArray[np.float64]",
    radii: tuple[float, float],
) -> "Picture":  # fmt: skip
    """Chord through a cone-like capsule from ``start`` to ``end`` ``(x, y)``, px."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    axis = end - start
    length = float(axis @ axis) + 1e-6
    t = np.clip(((x - start[0]) * axis[0] + (y - start[1]) * axis[1]) / length, 0, 1)
    radius = radii[0] + t * (radii[1] - radii[0])
    away = (x - start[0] - t * axis[0]) ** 2 + (y - start[1] - t * axis[1]) ** 2
    return np.asarray(2 * np.sqrt(np.clip(radius**2 - away, 0, None)), np.float32)


def _limb_part(
    rng: np.random.Generator, ends: "tuple[NDArray[np.float64], NDArray[np.float64]]",
    bone: float, flesh: float, layers: "list[Picture]",
) -> None:  # fmt: skip
    """One tube of bone with knobs at both ends, in its flesh; joins the two layers."""
    start, end = ends
    shape = (layers[0].shape[0], layers[0].shape[1])
    knob = bone * float(rng.uniform(1.1, 1.6))
    tube = _capsule(shape, start, end, (bone, bone * float(rng.uniform(0.8, 1.1))))
    marrow = _capsule(shape, start, end, (bone * 0.6, bone * 0.55))
    bulbs = np.maximum(
        _capsule(shape, start, start + 0.08 * (end - start), (knob, bone)),
        _capsule(shape, end - 0.08 * (end - start), end, (bone, knob)),
    )
    layers[0] = np.maximum(layers[0], _capsule(shape, start, end, (flesh, flesh * 0.9)))
    layers[1] = np.maximum(layers[1], np.maximum(tube - 0.6 * marrow, 0.7 * bulbs))


def limb(rng: np.random.Generator, side: int) -> "Picture":
    """Return an extremity: long bones in line, or a fan of fingers or toes."""
    shape = (side, side)
    layers = [np.zeros(shape, np.float32), np.zeros(shape, np.float32)]
    middle = side * rng.uniform(0.35, 0.65, 2)
    heading = float(rng.uniform(0, 2 * np.pi))
    along = np.asarray((np.cos(heading), np.sin(heading)))
    across = np.asarray((-along[1], along[0]))
    if rng.random() < 0.5:  # noqa: PLR2004 - long bones
        for sign in (-1, 1):
            bend = sign * along + float(rng.uniform(-0.7, 0.7)) * across
            bones = int(rng.integers(1, 3))
            for index in range(bones):
                shift = across * (index - (bones - 1) / 2) * side * 0.1
                ends = (middle + shift + bend * 0.03 * side, middle + shift + bend * side * 0.75)
                _limb_part(rng, ends, side * float(rng.uniform(0.02, 0.055)),
                           side * float(rng.uniform(0.08, 0.2)), layers)  # fmt: skip
    else:  # a hand or a foot
        wrist = middle - along * side * 0.3
        _limb_part(rng, (wrist - along * side * 0.5, wrist), side * 0.03, side * 0.09, layers)
        for finger in range(-2, 3):
            spread = along + across * finger * float(rng.uniform(0.12, 0.26))
            joint = wrist
            for part in range(4):
                reach = joint + spread * side * float(rng.uniform(0.11, 0.2)) * (1 - 0.12 * part)
                _limb_part(rng, (joint, reach), side * 0.013, side * 0.035, layers)
                joint = reach
    film = layers[0] / side * float(rng.uniform(1, 4)) + layers[1] / side * float(
        rng.uniform(6, 16)
    )
    return _finish(rng, film)


def skull(rng: np.random.Generator, side: int) -> "Picture":
    """Return a head or a pelvis in outline: shells of bone with holes."""
    y, x = np.mgrid[:side, :side].astype(np.float32) / side
    film = np.zeros((side, side), np.float32)
    for _ in range(int(rng.integers(1, 4))):
        cx, cy = rng.uniform(0.3, 0.7, 2)
        a, b = rng.uniform(0.15, 0.45, 2)
        reach = ((x - cx) / a) ** 2 + ((y - cy) / b) ** 2
        outer = np.sqrt(np.clip(1 - reach, 0, None))
        inner = np.sqrt(np.clip(0.85 - reach, 0, None))
        film += outer - float(rng.uniform(0.5, 0.95)) * inner
    for _ in range(int(rng.integers(0, 6))):
        cx, cy = rng.uniform(0.3, 0.7, 2)
        a, b = rng.uniform(0.03, 0.12, 2)
        reach = ((x - cx) / a) ** 2 + ((y - cy) / b) ** 2
        film -= float(rng.uniform(0.1, 0.5)) * np.sqrt(np.clip(1 - reach, 0, None))
    return _finish(rng, film)


def noise(rng: np.random.Generator, side: int) -> "Picture":
    """Noise with a power spectrum from white to brown, sometimes striped."""
    white = rng.standard_normal((side, side))
    fy, fx = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    falloff = (np.hypot(fy, fx * float(rng.uniform(0.3, 3))) + 1e-3) ** -float(rng.uniform(0, 2.4))
    field = np.fft.irfft2(np.fft.rfft2(white) * falloff, s=(side, side))
    return _stretch(field.astype(np.float32))


def gradient(rng: np.random.Generator, side: int) -> "Picture":
    """Ramps, steps, blobs, checkerboards, almost empty plates."""
    y, x = np.mgrid[:side, :side].astype(np.float32) / side
    kind = int(rng.integers(5))
    if kind == 0:
        field = x * float(rng.normal()) + y * float(rng.normal())
    elif kind == 1:
        field = np.hypot(x - float(rng.random()), y - float(rng.random()))
    elif kind == 2:  # noqa: PLR2004
        step = float(rng.uniform(4, 30))
        field = (np.floor(x * step) + np.floor(y * step)) % 2
    elif kind == 3:  # noqa: PLR2004
        field = np.sin(x * float(rng.uniform(2, 60)) + y * float(rng.uniform(0, 30)))
    else:
        field = np.exp(-((x - 0.5) ** 2 + (y - 0.5) ** 2) * float(rng.uniform(3, 40)))
    field = field + float(rng.uniform(0, 0.1)) * rng.standard_normal((side, side))
    return _stretch(field.astype(np.float32))


def text(rng: np.random.Generator, side: int) -> "Picture":
    """Return a page, a label, a report burnt into pixels."""
    page = Image.new("L", (side, side), int(rng.choice((0, 255, 40))))
    pen = ImageDraw.Draw(page)
    for _ in range(int(rng.integers(2, 22))):
        word = "".join(rng.choice(list(LETTERS), int(rng.integers(3, 24))))
        font = ImageFont.load_default(size=float(rng.uniform(6, 30)))
        place = (float(rng.uniform(-20, side * 0.8)), float(rng.uniform(0, side)))
        pen.text(place, word, fill=int(rng.integers(0, 256)), font=font)
    return _stretch(
        np.asarray(page, np.float32) + rng.normal(0, 2, (side, side)).astype(np.float32)
    )


def scene(rng: np.random.Generator, side: int) -> "Picture":
    """Something like a photograph: shaded polygons and discs, textures, a horizon."""
    page = Image.new("L", (side, side), int(rng.integers(256)))
    pen = ImageDraw.Draw(page)
    for _ in range(int(rng.integers(4, 30))):
        points = rng.uniform(-0.2, 1.2, (int(rng.integers(3, 7)), 2)) * side
        fill = int(rng.integers(256))
        if rng.random() < 0.5:  # noqa: PLR2004
            pen.polygon([(float(x), float(y)) for x, y in points], fill=fill)
        else:
            x, y = points[0]
            r = float(rng.uniform(0.02, 0.3)) * side
            pen.ellipse((x - r, y - r * float(rng.uniform(0.5, 2)), x + r, y + r), fill=fill)
    field = np.asarray(page, np.float32) / 255.0
    field = ndimage.gaussian_filter(field, float(rng.uniform(0, 2.5)))
    return _stretch(field + float(rng.uniform(0, 0.8)) * (noise(rng, side) - 0.5))


def phantom_plate(rng: np.random.Generator, side: int) -> "Picture":
    """Return a test object: bars, discs and wedges on an even plate."""
    y, x = np.mgrid[:side, :side].astype(np.float32) / side
    film = np.full((side, side), 0.5, np.float32)
    for _ in range(int(rng.integers(1, 10))):
        cx, cy, r = rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.9), rng.uniform(0.03, 0.3)
        inside = np.maximum(abs(x - cx), abs(y - cy)) < r if rng.random() < 0.5 else (  # noqa: PLR2004
            np.hypot(x - cx, y - cy) < r)  # fmt: skip
        film = film + inside * float(rng.normal(0, 0.3))
    return _finish(rng, film)


FAMILIES: "dict[str, Callable[[np.random.Generator, int], Picture]]" = {
    "limb": limb, "skull": skull, "noise": noise, "gradient": gradient,
    "text": text, "scene": scene, "plate": phantom_plate,
}  # fmt: skip


def _finish(rng: np.random.Generator, film: "NDArray[np.floating]") -> "Picture":
    """Blur, tone and grain as an X-ray detector would add."""
    film = ndimage.gaussian_filter(film, float(rng.uniform(0.3, 1.5)))
    field = _stretch(film) ** float(rng.uniform(0.4, 1.5))
    field = field * float(rng.uniform(0.5, 1)) + float(rng.uniform(0, 0.3))
    return _stretch(field + float(rng.uniform(0.005, 0.05)) * rng.standard_normal(film.shape))


def _stretch(field: "NDArray[np.floating]") -> "Picture":
    """To 0..1 by percentiles."""
    low, high = np.percentile(field, (0.5, 99.5))
    return np.asarray(np.clip((field - low) / max(float(high - low), 1e-6), 0, 1), np.float32)
