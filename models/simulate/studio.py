"""Takes whole films: one patient in endless shapes, with findings, devices, clutter and a tone.

Findings are made of ray samples on a grid of at most FINDING_SIDE and enlarged from there; body,
devices and clutter are drawn on the film's own grid, so that a fine film shows fine lines.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from models.simulate import (
    atlas,
    clutter,
    devices,
    film,
    flat_insertion,
    inserting,
    phantom,
    pose,
    region_masks,
    regions,
    source,
)
from models.simulate.phantom import Structure
from models.simulate.pose import Projection
from models.simulate.projector import Detector, Projector
from models.simulate.scenes import Scene
from models.simulate.tissue import Chest

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from models.simulate.findings import Inserted
    from models.simulate.pose import Pose
    from models.simulate.projector import Shadow
    from models.simulate.regions import Box
    from models.simulate.wishes import Wish
    from models.vocabulary import AnatomicStructure

FINDING_SIDE = 384  # pixels per side of the grid on which findings are made
MARGINS_MM = (34.0, 36.0, 34.0, 52.0)  # plate around the lungs: right, top, left, bottom
MARGIN_SPREAD_MM = 9.0
CUT_OFF_SHARE = 0.04
ARMS_RAISED_SHARE = 0.2  # of PA films
DETECTOR_BEHIND_MM = 200.0  # from the patient's middle to the detector
FINE_FROM, STEPS, FINE_STEPS = 1000, 96, 160  # px; samples along a ray


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """A film ``(rows, columns)`` in 0..1, bright = dense, and all that is known about it.

    ``boxes`` and ``masks`` of regions, the masks of ``scene`` and of ``devices`` and all pixels are
    those of the film. ``pixel_mm`` is the pitch in the patient's middle, ``detector_mm`` that at
    the detector; ``tone`` is the family of its grey curve.
    """

    pixels: "NDArray[np.float32]"
    wish: "Wish"
    stance: "Pose"
    tone: film.Tone
    pixel_mm: float
    detector_mm: float
    cardiothoracic_ratio: float
    fields: regions.Fields
    boxes: "dict[AnatomicStructure, Box]"
    masks: "dict[AnatomicStructure, NDArray[np.bool_]]"
    scene: Scene
    devices: list[devices.Device]


@dataclass(frozen=True, slots=True)
class Window:
    """The part of the projection that the plate sees, pixels."""

    x0: int
    y0: int
    x1: int
    y1: int

    def cut(self, plane: "NDArray[np.generic]") -> "NDArray[np.generic]":
        """Return the plate's part of a picture ``(rows, columns)``."""
        return np.ascontiguousarray(plane[self.y0 : self.y1, self.x0 : self.x1])

    def box(self, box: "Box") -> "Box | None":
        """Move a box to the plate and cut it there; None when too little is left."""
        low_x, low_y = max(box[0], self.x0) - self.x0, max(box[1], self.y0) - self.y0
        high_x, high_y = min(box[2], self.x1) - self.x0, min(box[3], self.y1) - self.y0
        if high_x - low_x < 2 or high_y - low_y < 2:  # noqa: PLR2004 - px
            return None
        return low_x, low_y, high_x, high_y


class Studio:
    """Makes films of one patient in endless shapes: arms hanging, raised, or out of the beam."""

    def __init__(self, hanging: Projector, raised: Projector, maps: atlas.Atlas) -> None:
        self._hanging, self._raised, self._atlas = hanging, raised, maps

    @classmethod
    def of_ct(cls, cache: "Path", *, every: int = 2) -> "Studio":
        """Prepare the CT, downloaded to ``cache`` when it is not there: about a minute."""
        ct = source.read(source.fetch(cache))
        whole = phantom.build(ct, every=every)
        lifted = phantom.build(ct, every=every, arms=False)
        return cls(Projector(whole), Projector(lifted), atlas.build(ct, whole, every=every))

    def take(self, seed: tuple[int, ...], wish: "Wish", *, side: int = 640) -> Taken:
        """Take one film; ``side`` is the detector's pixels per side before collimation.

        The same seed, wish and side give the same film, bit for bit, on one machine.
        """
        rng = np.random.default_rng(seed)
        lateral = wish.projection in {Projection.LATERAL, Projection.OBLIQUE}
        stance = pose.draw(rng, wish.projection, heart=wish.heart, held_out=wish.held_out)
        stance = stance if lateral else inserting.posed(stance, wish)
        lifted = wish.projection is Projection.PA and rng.random() < ARMS_RAISED_SHARE
        projector = self._raised if lateral or lifted else self._hanging
        detector = Detector(side=side, steps=FINE_STEPS if side >= FINE_FROM else STEPS)
        shadow = projector.project(stance, detector)
        seen = regions.visible_fields(shadow, detector.pixel_mm)
        scene, placed = Scene(), list[devices.Device]()
        if not lateral:
            scene = self._findings(rng, projector, stance, (detector, shadow, seen), wish)
            placed = devices.draw(rng, projector, stance, detector, wish.devices)
        window = _plate(rng, seen, detector)
        tone = wish.tone or film.draw_tone(rng)
        image = _picture(rng, (shadow, seen), [*scene.found, *placed], window, tone)
        boxes = {} if lateral else regions.boxes(shadow, seen)
        drawn = region_masks.masks(shadow, seen, boxes)
        kept = {name: cut for name, box in boxes.items() if (cut := window.box(box))}
        enlarged = (stance.source_mm + DETECTOR_BEHIND_MM) / stance.source_mm
        return Taken(
            image, wish, stance, tone, detector.pixel_mm, detector.pixel_mm * enlarged,
            float("nan") if lateral else regions.cardiothoracic_ratio(seen),
            _cut_fields(seen, window), kept,
            {name: np.asarray(window.cut(drawn[name]), bool) for name in kept},
            Scene([_cut_finding(one, window) for one in scene.found], scene.unsure),
            [_cut_device(one, window) for one in placed],
        )  # fmt: skip

    def _findings(
        self, rng: np.random.Generator, projector: Projector, stance: "Pose",
        whole: "tuple[Detector, Shadow, regions.Fields]", wish: "Wish",
    ) -> Scene:  # fmt: skip
        """Make the findings and bring them to the film's grid."""
        detector, shadow, seen = whole
        if wish.flat:
            return flat_insertion.insert(rng, shadow, seen, wish)
        if not set(wish.kinds) & set(inserting.MAKERS):
            return Scene()
        coarse = Detector(side=min(detector.side, FINDING_SIDE))
        rays = projector.rays(stance, coarse)
        small = rays.shadow()
        chest = Chest(rays, projector, self._atlas)
        fields = regions.visible_fields(small, coarse.pixel_mm)
        chest.look(fields, small.structures[Structure.ABDOMEN])
        scene = inserting.insert(rng, chest, wish)
        return Scene([_enlarged(one, detector.side) for one in scene.found], scene.unsure)


def _picture(
    rng: np.random.Generator, chest: "tuple[Shadow, regions.Fields]",
    inserted: "list[Inserted]", window: Window, tone: film.Tone,
) -> "NDArray[np.float32]":  # fmt: skip
    """Add up what the beam meets and turn it into a film."""
    shadow, seen = chest
    shape = (shadow.soft.shape[0], shadow.soft.shape[1])
    outside = clutter.external(rng, shape, seen.pixel_mm)
    soft = shadow.soft + film.habitus(rng, shape, seen.pixel_mm) + outside[0]
    bone = shadow.bone + outside[1]
    for one in inserted:
        soft += one.added_soft
        bone += one.added_bone
    soft, bone = (np.asarray(window.cut(plane), np.float32) for plane in (soft, bone))
    exposed = film.expose(rng, soft, bone, np.asarray(window.cut(seen.body), bool), tone)
    return film.collimate(rng, film.markers(rng, film.develop(rng, exposed)))


def _plate(rng: np.random.Generator, fields: regions.Fields, detector: Detector) -> Window:
    """Lay the plate around the lungs; now and then a side of them is cut off."""
    lungs = fields.right_lung | fields.left_lung
    rows, columns = np.flatnonzero(lungs.any(1)), np.flatnonzero(lungs.any(0))
    margins = np.asarray(MARGINS_MM) + rng.normal(0, MARGIN_SPREAD_MM, 4)
    if rng.random() < CUT_OFF_SHARE:
        margins[int(rng.integers(4))] = -float(rng.uniform(12, 30))
    right, top, left, bottom = margins / detector.pixel_mm
    last = detector.side
    return Window(max(int(columns[0] - right), 0), max(int(rows[0] - top), 0),
                  min(int(columns[-1] + 1 + left), last),
                  min(int(rows[-1] + 1 + bottom), last))  # fmt: skip


def _enlarged(one: "Inserted", side: int) -> "Inserted":
    """Bring a finding to a finer grid; corner pixels stay corner pixels, as along the rays."""
    if one.mask.shape[0] == side:
        return one
    planes = np.stack([one.added_soft, one.added_bone, one.mask.astype(np.float32)])
    size = (side, side)
    fine = functional.interpolate(
        torch.from_numpy(planes)[None], size, mode="bilinear", align_corners=True
    )[0].numpy()
    return replace(one, added_soft=fine[0], added_bone=fine[1], mask=fine[2] > 0.5)  # noqa: PLR2004


def _cut_finding(one: "Inserted", window: Window) -> "Inserted":
    return replace(
        one,
        added_soft=np.asarray(window.cut(one.added_soft), np.float32),
        added_bone=np.asarray(window.cut(one.added_bone), np.float32),
        mask=np.asarray(window.cut(one.mask), bool),
    )


def _cut_device(one: devices.Device, window: Window) -> devices.Device:
    tip = one.tip_px[0] - window.x0, one.tip_px[1] - window.y0
    return replace(
        one,
        added_soft=np.asarray(window.cut(one.added_soft), np.float32),
        added_bone=np.asarray(window.cut(one.added_bone), np.float32),
        mask=np.asarray(window.cut(one.mask), bool),
        tip_px=tip,
    )


def _cut_fields(fields: regions.Fields, window: Window) -> regions.Fields:
    right, left, heart, body = (
        np.asarray(window.cut(plane), bool)
        for plane in (fields.right_lung, fields.left_lung, fields.heart, fields.body)
    )
    return regions.Fields(right, left, heart, body, fields.pixel_mm)
