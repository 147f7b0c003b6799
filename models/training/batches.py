"""Batches for training: simulated films out of the bank beside real films and their parts."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from models.anatomy.heads import FINDING_MASKS, MASK_SIDE, MASKS, REGIONS, SIGNS
from models.anatomy.network import INPUT_SIDE
from models.anatomy.preparation import equalise, with_parity
from models.simulate.devices import DEVICES
from models.simulate.film import clutter
from models.training import outlines
from models.training.bank import turned
from models.training.chunks import FIELDS
from models.training.drawn import TRUST
from models.training.follow import FOLLOWED, OF_HEART, follow
from models.training.real import NOISY_WEIGHT
from models.training.sample import SCOPE_IN, SCOPE_INCOMPLETE, VIEW_AP, VIEW_PA, Sample
from models.vocabulary import MaskName, Sign

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from models.training.laid import Findings
    from models.training.real import RealFilm

RIGHT_LUNG, LEFT_LUNG = 20, 11  # places in the regions' order
FIRST = [REGIONS.index(name) for name in FOLLOWED]
FOLLOW_HEART = [REGIONS.index(name) for name in OF_HEART]
FOLLOWS_WEIGHT = 1.0  # how much a box counts that follows wholly from drawn ones
CALM_WEIGHT = 0.1  # how much it counts that a film called normal shows no findings
DEVICE_PLACES = [SIGNS.index(sign) for sign in DEVICES]
CALM_SIGNS = [SIGNS.index(s) for s in (Sign.CONSOLIDATION, Sign.MASS, Sign.NODULE)]
CALM_MASKS = [MASKS.index(name) for name in (*FINDING_MASKS.values(), MaskName.PNEUMOTHORAX)]


@dataclass(frozen=True, slots=True, eq=False)
class Pseudo:
    """What a teacher saw on one real film, on its own frame.

    ``boxes`` (36, 4) corners in 0..1 of width and height, ``weights`` (36,) trust; ``masks``
    (3, n, n) lungs and heart stretched over the film, ``masks_weight`` trust.
    """

    boxes: "NDArray[np.float32]"
    weights: "NDArray[np.float32]"
    masks: "NDArray[np.float32]"
    masks_weight: float


def load_pseudo(path: Path) -> dict[str, Pseudo]:
    """Read a teacher's labels, see models.training.adapt."""
    with np.load(path) as kept:
        boxes, weights, trust = kept["boxes"], kept["weights"], kept["masks_weight"]
        masks = kept["masks"].astype(np.float32)
        return {
            str(name): Pseudo(boxes[i], weights[i], masks[i], float(trust[i]))
            for i, name in enumerate(kept["names"])
        }


@dataclass(slots=True)
class RealStream:
    """Endless views of real training films."""

    films: "list[RealFilm]"
    pseudo: dict[str, Pseudo] = field(default_factory=dict)
    findings: "Findings | None" = None  # simulated, to lay over calm films

    def sample(self, rng: np.random.Generator) -> Sample:
        """One real film, cut and toned a little differently each time; boxed films come oftener."""
        film = self._draw(rng)
        rows, columns = film.pixels.shape
        cut = _cut(rng, 0.12)
        picture, frame = place(film.pixels, cut)
        view = VIEW_AP if film.view == "AP" else VIEW_PA
        sample = Sample(film=picture, scope=SCOPE_IN, view=view)
        if film.labelled:
            sample.findings = film.truth()
            sample.findings_known = np.full(4, NOISY_WEIGHT, np.float32)
            sample.signs, told = film.signs()
            sample.signs_known = told * np.float32(NOISY_WEIGHT)
        if film.calm:
            sample.masks_known[CALM_MASKS] = CALM_WEIGHT
            sample.places_known[CALM_SIGNS] = NOISY_WEIGHT
        if film.calm and film.view == "PA":  # who stands for a film seldom has tubes
            sample.signs_known[DEVICE_PLACES] = sample.places_known[DEVICE_PLACES] = NOISY_WEIGHT
        known = self.pseudo.get(film.name)
        if known is not None:
            sample.masks[:3] = _stretch_masks(known.masks, cut, (rows, columns))
            sample.masks_known[:3] = known.masks_weight
        corners, sample.boxes_known = _corners(film, known)
        sample.boxes = _into_square(corners, cut, frame)
        outlines.teach(sample, film.outlines, cut, frame)
        if self.findings is not None and film.calm and known is not None:
            self.findings.lay(rng, sample)
        sample.film = _hide_letters(rng, _retone(rng, sample.film))
        sample.mirror_known = 1.0
        if rng.random() < 0.3:  # noqa: PLR2004
            sample.mirrored = 1.0
            sample.film = np.ascontiguousarray(sample.film[:, ::-1])
            sample.flip()
        return sample

    def _draw(self, rng: np.random.Generator) -> "RealFilm":
        """Draw a film; those with drawn or published boxes come oftener."""
        kinds = [
            [f for f in self.films if f.lungs is not None],
            [f for f in self.films if f.drawn is not None],
            self.films,
        ]
        films = kinds[int(rng.choice(3, p=(0.12, 0.40, 0.48)))] or self.films
        return films[int(rng.integers(len(films)))]

    def negative(self, rng: np.random.Generator) -> Sample:
        """Return a corner of a real film, or one lying wrong: real grain, but not to be read."""
        film = self.films[int(rng.integers(len(self.films)))]
        if rng.random() < 0.5:  # noqa: PLR2004
            return turned(rng, _retone(rng, place(film.pixels, _cut(rng, 0.1))[0]))
        wide, high = rng.uniform(0.18, 0.34, 2)
        edge = float(rng.choice((0.0, 1.0)))
        x0 = edge * (1 - wide)
        y0 = float(rng.uniform(0, 1 - high))
        if rng.random() < 0.4:  # noqa: PLR2004 - a strip at the top or the bottom
            wide, high = float(rng.uniform(0.4, 0.9)), float(rng.uniform(0.1, 0.18))
            x0, y0 = float(rng.uniform(0, 1 - wide)), edge * (1 - high)
        picture, _ = place(film.pixels, (x0, y0, x0 + wide, y0 + high))
        return Sample(film=_retone(rng, picture), scope=SCOPE_INCOMPLETE)


def place(
    pixels: "NDArray[np.uint8]", cut: tuple[float, float, float, float]
) -> "tuple[NDArray[np.float32], tuple[float, float, float, float]]":
    """Put a part of a film in the square; also where it lies ``(left, top, width, height)``, px.

    Shown size and padding are those of :func:`models.anatomy.preparation.to_square`.
    """
    rows, columns = pixels.shape
    x0, y0, x1, y1 = cut[0] * columns, cut[1] * rows, cut[2] * columns, cut[3] * rows
    wide, high = x1 - x0, y1 - y0
    scale = INPUT_SIDE / max(wide, high)
    size = with_parity(wide * scale, INPUT_SIDE), with_parity(high * scale, INPUT_SIDE)
    aside, above = (max(n - s / scale, 0.0) / 2 for n, s in zip((wide, high), size, strict=True))
    box = (x0 + aside, y0 + above, x1 - aside, y1 - above)
    image = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, box=box)
    left, top = (INPUT_SIDE - size[0]) // 2, (INPUT_SIDE - size[1]) // 2
    square = np.zeros((INPUT_SIDE, INPUT_SIDE), np.float32)
    square[top : top + size[1], left : left + size[0]] = equalise(np.asarray(image, np.float32))
    shown = wide * scale, high * scale
    return square, ((INPUT_SIDE - shown[0]) / 2, (INPUT_SIDE - shown[1]) / 2, *shown)


def collate(samples: list[Sample]) -> "dict[str, Tensor]":
    """Return samples as float tensors."""
    stacked = {n: np.stack([np.asarray(getattr(s, n)) for s in samples]) for n in FIELDS}
    return {name: torch.from_numpy(array) for name, array in stacked.items()}


def join(*parts: "dict[str, Tensor]") -> "dict[str, Tensor]":
    """Batches as one; class numbers stay whole, all else is float32."""
    whole = {"scope", "view"}
    return {
        name: torch.cat([part[name] for part in parts]).to(
            torch.int64 if name in whole else torch.float32
        )
        for name in FIELDS
    }


def _corners(
    film: "RealFilm", known: Pseudo | None
) -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
    """Corners ``(36, 4)`` in 0..1 of a film and how far each is trusted ``(36,)``.

    What people drew goes before what a teacher saw, and what follows from it goes with it.
    """
    rows, columns = film.pixels.shape
    corners, trusted = np.zeros((36, 4), np.float32), np.zeros(36, np.float32)
    if known is not None:
        corners, trusted = known.boxes.copy(), known.weights.copy()
    if film.drawn is not None:
        drawn, trust = film.drawn.boxes(columns / rows)
        corners[trust > 0], trusted[trust > 0] = drawn[trust > 0], trust[trust > 0]
    if film.lungs is not None:
        corners[[RIGHT_LUNG, LEFT_LUNG]] = film.lungs
        trusted[[RIGHT_LUNG, LEFT_LUNG]] = TRUST
    if (corners[FIRST] != 0).any(axis=1).all():
        corners = follow(corners, columns / rows)
        if (trusted[FIRST] >= TRUST).all():
            trusted[FOLLOW_HEART] = np.maximum(trusted[FOLLOW_HEART], FOLLOWS_WEIGHT)
    return corners, trusted


def _cut(rng: np.random.Generator, most: float) -> tuple[float, float, float, float]:
    """Return a part of a film that leaves out at most a share of each side."""
    x0, y0 = rng.uniform(0, most, 2) * (rng.random(2) < 0.6)  # noqa: PLR2004
    x1, y1 = 1 - rng.uniform(0, most, 2) * (rng.random(2) < 0.6)  # noqa: PLR2004
    return float(x0), float(y0), float(x1), float(y1)


def _retone(rng: np.random.Generator, picture: "NDArray[np.float32]") -> "NDArray[np.float32]":
    toned = picture ** float(np.exp(rng.normal(0, 0.3)))
    noisy = toned + float(rng.uniform(0, 0.02)) * rng.standard_normal(picture.shape)
    return np.where(picture > 0, np.clip(noisy, 0, 1), 0).astype(np.float32)


def _hide_letters(
    rng: np.random.Generator, picture: "NDArray[np.float32]"
) -> "NDArray[np.float32]":
    """Blot out patches near the edges, so that burnt-in letters cannot say which side is which."""
    if rng.random() < 0.35:  # noqa: PLR2004
        return picture
    side = picture.shape[0]
    for _ in range(int(rng.integers(1, 5))):
        high, wide = (int(v) for v in rng.uniform(0.06, 0.2, 2) * side)
        x = int(rng.choice((rng.uniform(0, 0.12), rng.uniform(0.7, 0.95))) * side)
        y = int(rng.uniform(0, 0.85) * side)
        part = picture[y : y + high, x : x + wide]
        if part.size:
            picture[y : y + high, x : x + wide] = float(rng.choice((part.mean(), part.min())))
    if rng.random() < 0.4:  # noqa: PLR2004 - and letters that know nothing of the side
        picture = clutter(rng, picture).astype(np.float32)
    return picture


def _into_square(
    corners: "NDArray[np.float32]",
    cut: tuple[float, float, float, float],
    frame: tuple[float, float, float, float],
) -> "NDArray[np.float32]":
    """Corners in 0..1 of the film to centre and size in 0..1 of the square, cut at the edges."""
    start, extent = np.asarray(cut[:2]), np.asarray(cut[2:]) - np.asarray(cut[:2])
    low = np.clip((corners[:, :2] - start) / extent, 0, 1)
    high = np.clip((corners[:, 2:] - start) / extent, 0, 1)
    origin, size = np.asarray(frame[:2]), np.asarray(frame[2:])
    low, high = (low * size + origin) / INPUT_SIDE, (high * size + origin) / INPUT_SIDE
    return np.concatenate([(low + high) / 2, high - low], axis=1).astype(np.float32)


def _stretch_masks(
    masks: "NDArray[np.float32]", cut: tuple[float, float, float, float], shape: tuple[int, int]
) -> "NDArray[np.float32]":
    """Masks stretched over the film, as seen through the cut in the square's mask grid."""
    rows, columns = shape
    wide, high = (cut[2] - cut[0]) * columns, (cut[3] - cut[1]) * rows
    scale = MASK_SIDE / max(wide, high)
    size = max(round(wide * scale), 1), max(round(high * scale), 1)
    n = masks.shape[-1]
    box = (cut[0] * n, cut[1] * n, cut[2] * n, cut[3] * n)
    left, top = (MASK_SIDE - size[0]) // 2, (MASK_SIDE - size[1]) // 2
    result = np.zeros((len(masks), MASK_SIDE, MASK_SIDE), np.float32)
    for index, mask in enumerate(masks):
        image = Image.fromarray(np.ascontiguousarray(mask, np.float32))
        part = np.asarray(image.resize(size, Image.Resampling.BILINEAR, box=box))
        result[index, top : top + size[1], left : left + size[0]] = part
    return result
