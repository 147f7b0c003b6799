"""Step 4: let the network label the real training films, for another round of training.

``python -m models.training.adapt --weights DIR/last.pt --bases DIR --real ROOT --out pseudo.npz``

Each film is seen in several cuts and mirrored; the answers are laid over each other on the film's
frame. A box is trusted as far as the answers agree, a film only when the answer has the shape of a
chest (a Gaussian over the 36 boxes of simulated films).
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from models.anatomy.heads import MASK_SIDE
from models.anatomy.network import INPUT_SIDE, AnatomyPerception
from models.training import cache, moving, real
from models.training.batches import Pseudo, place
from models.training.follow import follow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.training.real import RealFilm

CUTS = ((0.0, 0.0, 1.0, 1.0), (0.04, 0.03, 0.97, 1.0))
TRUSTED_SPREAD = 0.03  # of the film's size: answers further apart count for little
STRANGE = 3.5  # robust standard deviations of the shape from which a film is left out
MASKS = 3  # lungs and heart


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """How 36 boxes lie relative to the lungs: mean and standard deviation, ``(36, 4)``."""

    mean: "NDArray[np.float32]"
    deviation: "NDArray[np.float32]"

    def strangeness(self, boxes: "NDArray[np.float32]") -> float:
        """Median over the regions of how far they are from where they belong."""
        away = np.abs(relative(boxes) - self.mean) / self.deviation
        return float(np.nanmedian(away.max(1)))


def relative(boxes: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """Boxes (corners) in the frame of both lungs together: 0..1 across them."""
    lungs = boxes[[11, 20]]
    low, high = lungs[:, :2].min(0), lungs[:, 2:].max(0)
    extent = np.tile(np.maximum(high - low, 1e-4), 2)
    return np.asarray((boxes - np.tile(low, 2)) / extent, np.float32)


def shape_of(bases: cache.Bases) -> Shape:
    """Learn the shape from base projections."""
    frames = np.stack([relative(boxes) for boxes in bases.boxes])
    return Shape(np.nanmean(frames, 0), np.nanstd(frames, 0) + 0.03)


def teach(network: AnatomyPerception, film: "RealFilm", shape: Shape) -> Pseudo | None:
    """Label one film; None when the answers are no chest or place the sides wrongly."""
    answers, masks, presence = [], [], []
    for cut in CUTS:
        picture, frame = place(film.pixels, cut)
        for mirrored in (False, True):
            seen = picture[:, ::-1] if mirrored else picture
            boxes, present, soft = _ask(network, np.ascontiguousarray(seen))
            if mirrored:
                boxes[:, [0, 2]] = 1.0 - boxes[:, [2, 0]]
                soft = soft[:, :, ::-1]
            answers.append(_to_film(boxes, cut, frame))
            presence.append(present)
            if cut == CUTS[0]:
                masks.append(_over_film(soft, frame))
    stack = np.stack(answers)
    middle = np.median(stack, 0).astype(np.float32)
    if middle[20, 0] >= middle[11, 0] or shape.strangeness(middle) > STRANGE:
        return None
    rows, columns = film.pixels.shape
    apart = np.abs(stack - middle).max(0).max(1)  # (36,)
    weights = np.exp(-((apart / TRUSTED_SPREAD) ** 2)) * (np.mean(presence, 0) > 0.5)  # noqa: PLR2004
    both = np.mean(masks, 0)
    inside = both > 0.3  # noqa: PLR2004
    agree = 1.0 - float(np.abs(masks[0] - masks[1])[inside].mean()) if inside.any() else 0.0
    boxes = follow(middle, columns / rows)
    return Pseudo(boxes, weights.astype(np.float32), both.astype(np.float32), 0.5 * max(agree, 0.0))


def _ask(
    network: AnatomyPerception, picture: "NDArray[np.float32]"
) -> "tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]":
    """Corners in 0..1 of the square, presence, masks."""
    with torch.no_grad():
        seen = network(torch.from_numpy(picture)[None, None])
    b = seen["boxes"][0].numpy()
    corners = np.concatenate([b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2], axis=1)
    return (
        corners,
        seen["presence"][0].sigmoid().numpy(),
        seen["masks"][0, :MASKS].sigmoid().numpy(),
    )


def _to_film(
    boxes: "NDArray[np.float32]",
    cut: tuple[float, float, float, float],
    frame: tuple[float, float, float, float],
) -> "NDArray[np.float32]":
    """Corners from the square to 0..1 of the whole film."""
    origin, size = np.tile(frame[:2], 2), np.tile(frame[2:], 2)
    inside = (boxes * INPUT_SIDE - origin) / size
    start, extent = np.tile(cut[:2], 2), np.tile(np.subtract(cut[2:], cut[:2]), 2)
    return np.asarray(inside * extent + start, np.float32)


def _over_film(
    masks: "NDArray[np.float32]", frame: tuple[float, float, float, float]
) -> "NDArray[np.float32]":
    """Masks of the square stretched over the film, ``(3, 160, 160)``."""
    left, top, width, height = (round(v * MASK_SIDE / INPUT_SIDE) for v in frame)
    part = torch.from_numpy(np.ascontiguousarray(masks[:, top : top + height, left : left + width]))
    whole = torch.nn.functional.interpolate(
        part[None], size=(MASK_SIDE, MASK_SIDE), mode="bilinear"
    )
    return np.asarray(whole[0].numpy(), np.float32)


def main() -> None:
    """Label all real training films."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("weights", "bases", "real", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    chosen = parser.parse_args()
    torch.set_num_threads(2)
    network = moving.network_of(torch.load(chosen.weights, weights_only=True)["mean"])
    network.eval()
    films = real.load(chosen.real, "train", chosen.bases / "small")
    shape = shape_of(cache.load(chosen.bases, "train"))
    kept = {f.name: label for f in films if (label := teach(network, f, shape)) is not None}
    np.savez(
        chosen.out, names=np.asarray(list(kept)),
        boxes=np.stack([p.boxes for p in kept.values()]),
        weights=np.stack([p.weights for p in kept.values()]),
        masks=np.stack([p.masks for p in kept.values()]).astype(np.float16),
        masks_weight=np.asarray([p.masks_weight for p in kept.values()]),
    )  # fmt: skip
    print(f"{len(kept)} of {len(films)} films labelled")  # noqa: T201


if __name__ == "__main__":
    main()
