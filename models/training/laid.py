"""Simulated findings laid over calm real films, so that masks learn them in real tone.

What a scene adds to a simulated chest is carried over by the box of both lungs, and turned into
grey by the film's own step between lung and heart. Approximate: the patient's lungs have another
shape than the phantom's, and the film's tone curve is unknown: tissue brightens a film up to a
little more than its heart. Only what adds tissue or metal inside a lung is laid: air would need the
film's own lung taken out, and fluid (tried) ends where the phantom's domes are, not the patient's.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from models.anatomy.heads import FINDING_MASKS, MASK_SIDE, MASKS, OBSERVATIONS, PLACE_SIDE, SIGNS
from models.anatomy.network import INPUT_SIDE
from models.simulate import scenes, truth
from models.simulate.devices import DEVICES
from models.training import windows
from models.training.cache import HEART, LEFT_LUNG, RIGHT_LUNG
from models.training.real import NOISY_WEIGHT
from models.training.sample import VIEW_PA
from models.training.samples import BROAD, PLACE_SHARE, bit, within
from models.vocabulary import Sign

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.training.cache import Bases
    from models.training.sample import Sample

    Plane = NDArray[np.float32]

SHARE = 0.7  # of calm films that get something
LAID = {Sign.CONSOLIDATION, Sign.MASS, Sign.NODULE, *DEVICES}
TOLD = NOISY_WEIGHT  # of what was laid: no more than a calm film's not showing it, or calm means it
LUNGS = [windows.RIGHT_LUNG, windows.LEFT_LUNG]
BONE_GAIN = 1.6  # of what bone and metal add, as in simulated films
LEAST_STEP = 0.1  # of the grey range between lung and heart, or the film is too flat
ABOVE_HEART = 0.1  # of the grey range: how much brighter than the heart tissue may get
LEAST_SEEN = 0.03  # of the grey range, mean over a finding: less is not told either way
LEAST_LUNGS = 0.1  # of the square, either way
INSIDE = 0.5  # of a mask


@dataclass(frozen=True, slots=True)
class Grey:
    """How a film shows tissue: grey of its lung and heart, and grey per mm of water."""

    lung: float
    heart: float
    per_mm: float


@dataclass(frozen=True, slots=True, eq=False)
class Carrier:
    """Reads planes of a base at the places of a square: base = start + step * square, 0..1."""

    start: "Plane"
    step: "Plane"

    def __call__(self, plane: "NDArray[np.generic]", side: int) -> "Plane":
        """Return ``(side, side)``: the plane as it lies on the square, 0 beyond it."""
        image = Image.fromarray(np.ascontiguousarray(plane, np.float32))
        (x, y), (over_x, over_y) = self.start.tolist(), (self.step / side).tolist()
        read = image.transform(
            (side, side), Image.Transform.AFFINE, (over_x, 0.0, x, 0.0, over_y, y),
            Image.Resampling.BILINEAR,
        )  # fmt: skip
        return np.asarray(read, np.float32)


class Findings:
    """Scenes of projected chests which may be laid over a film."""

    def __init__(self, bases: "Bases") -> None:
        self._bases = bases
        allowed = np.asarray([sign in LAID for sign in SIGNS])
        present = np.asarray(bases.signs) == truth.PRESENT
        present &= ~present[:, :1]  # signs of the body itself stay behind
        self._told = present & allowed
        self._scenes = np.argwhere(self._told.any(2) & ~(present & ~allowed).any(2))

    def lay(self, rng: np.random.Generator, sample: "Sample") -> None:
        """Change a real film, not mirrored, its masks, places and answers; or leave it as it is."""
        if not len(self._scenes) or rng.random() >= SHARE:
            return
        index, scene = (int(v) for v in self._scenes[int(rng.integers(len(self._scenes)))])
        carry, grey = self._carrier(index, sample), self._grey(index, sample)
        if carry is None or grey is None:
            return
        gain = grey.per_mm * float(rng.uniform(0.7, 1.3))
        soft, bone = (carry(plane, INPUT_SIDE) for plane in self._bases.added[index, scene])
        before = sample.film
        sample.film = expose(before, grey, gain * soft, gain * BONE_GAIN * bone)
        seen = [
            sign
            for sign in np.flatnonzero(self._told[index, scene]).tolist()
            if self._locate(sample, (index, scene, sign), carry, sample.film - before)
        ]
        _answer(sample, seen)

    def _carrier(self, index: int, sample: "Sample") -> Carrier | None:
        """Where a plane of the base lies on the film's square, by the box of both lungs."""
        own, boxes = self._bases.boxes[index][LUNGS], sample.boxes[LUNGS]
        low, high = boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2
        extent = high.max(0) - low.min(0)
        known = (sample.boxes_known[LUNGS] > 0).all() and not np.isnan(own).any()
        if not known or extent.min() < LEAST_LUNGS:
            return None
        step = (own[:, 2:].max(0) - own[:, :2].min(0)) / extent
        return Carrier(own[:, :2].min(0) - low.min(0) * step, step)

    def _grey(self, index: int, sample: "Sample") -> Grey | None:
        """Compare the film's step from lung to heart with that of the base."""
        bits = self._bases.fields[index]
        water = self._bases.maps[index, 0].astype(np.float32)
        size = (MASK_SIDE, MASK_SIDE)
        film = np.asarray(Image.fromarray(sample.film).resize(size, Image.Resampling.BOX))
        own = [(bits & (RIGHT_LUNG | LEFT_LUNG)) > 0, (bits & HEART) > 0]
        seen = [(sample.masks[:2] > INSIDE).any(0), sample.masks[2] > INSIDE]
        if not all(mask.any() for mask in (*own, *seen)):
            return None
        lung, heart = (float(np.median(film[mask])) for mask in seen)
        dry, wet = (float(np.median(water[mask])) for mask in own)
        if heart - lung < LEAST_STEP or wet <= dry:
            return None
        return Grey(lung, heart, (heart - lung) / (wet - dry))

    def _locate(
        self, sample: "Sample", at: tuple[int, int, int], carry: Carrier, brighter: "Plane"
    ) -> bool:
        """Write places and mask of a sign if it can be seen; else nothing is known of it."""
        index, scene, sign = at
        name = scenes.PLANES[SIGNS[sign]]
        plane = bit(self._bases.planes[index, scene], name)
        reach = self._bases.reach[index, scene, sign]
        own = within(plane, reach)  # others may share the plane
        inside = carry(own, INPUT_SIDE) > INSIDE
        mask = MASKS.index(name)
        hidden = not inside.any() or float(brighter[inside].mean()) < LEAST_SEEN
        # Where nobody is told of films without devices, none is told of films with them.
        if hidden or (SIGNS[sign] in DEVICES and sample.view != VIEW_PA):
            sample.signs_known[sign] = sample.places_known[sign] = sample.masks_known[mask] = 0.0
            return False
        sample.places[sign] = carry(own, PLACE_SIDE) > PLACE_SHARE
        sample.places_known[sign] = 1.0
        if name in FINDING_MASKS.values():  # the film may show tubes of its own, but it is calm
            sample.masks[mask], sample.masks_known[mask] = carry(plane, MASK_SIDE), 1.0
        return True


def expose(film: "Plane", grey: Grey, soft: "Plane", metal: "Plane") -> "Plane":
    """Return a film in 0..1 with tissue and metal added; both in grey as a thin layer would give.

    Tissue saturates a little above the heart's grey, metal at white; what is black stays black.
    """
    most = grey.heart + ABOVE_HEART
    room = np.clip(most - film, 0.0, None)
    tissue = room * (1.0 - np.exp(-np.clip(soft, 0.0, None) / (most - grey.lung)))
    dense = (1.0 - film) * (1.0 - np.exp(-np.clip(metal, 0.0, None)))
    laid = np.clip(film + tissue + dense, 0.0, 1.0)
    return np.where(film > 0, laid, film).astype(np.float32)


def _answer(sample: "Sample", seen: list[int]) -> None:
    """Write the signs that were laid and the broad findings that follow."""
    sample.signs[seen], sample.signs_known[seen] = 1.0, TOLD
    present = {SIGNS[sign] for sign in seen}
    for observation, signs in BROAD.items():
        if present & set(signs):
            at = OBSERVATIONS.index(observation)
            sample.findings[at], sample.findings_known[at] = 1.0, TOLD
