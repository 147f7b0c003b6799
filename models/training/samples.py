"""Training samples: a base projection and one of its scenes become endless films."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.anatomy.heads import MASK_SIDE, MASKS, PLACE_SIDE, SIGNS
from models.anatomy.network import INPUT_SIDE
from models.anatomy.preparation import equalise
from models.simulate import clutter, film, scenes, truth
from models.simulate.devices import DEVICES
from models.training.cache import BODY, HEART, LEFT_LUNG, PLANES, RIGHT_LUNG, Bases
from models.training.sample import (
    SCOPE_IN,
    SCOPE_INCOMPLETE,
    SCOPE_NOT_A_CHEST,
    SCOPE_NOT_FRONTAL,
    VIEW_AP,
    VIEW_LATERAL,
    VIEW_PA,
    Sample,
)
from models.training.windows import PIXEL_MM, Window, around_lungs, beside, px
from models.vocabulary import MaskName, Observation, Sign

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.simulate.devices import Device
    from models.simulate.extra import ExtraDevices

NOTHING_SHARE = 0.25  # of films show an empty scene
ENLARGED_FROM, NORMAL_UP_TO = 0.50, 0.46  # cardiothoracic ratio; between them the label is open
BONE_GAIN = (1.0, 2.2)  # the CT's thick slices blur ribs, which real films show sharper
TURNED_FROM, SHALLOW_FROM, CUT_FROM = 7.0, 14.0, 0.03  # degrees; mm of raised domes; share of lung
PLACE_SHARE = 0.15  # of a cell that a sign has to cover to be in that place
SMALLEST_REACH_MM = 11.0  # a place is at least as large as the smallest sign
LINE_SHARE = 0.4  # of a mask's cell that a line has to cover to be wholly there
EXTRA_SHARE = 0.5  # of films whose scene has no tube or line get some
WHITE_MM = 240.0  # the size given to a lung that is all white: no heart border to measure
BROAD = {
    Observation.PLEURAL_EFFUSION: (Sign.PLEURAL_EFFUSION,),
    Observation.LUNG_OPACITY: (Sign.CONSOLIDATION, Sign.ATELECTASIS, Sign.PULMONARY_EDEMA),
    Observation.MASS: (Sign.MASS, Sign.NODULE),
}


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What a film shows besides the body: ``added`` (2, n, n) mm water, ``planes`` (n, n) bits."""

    added: "NDArray[np.floating]"
    planes: "NDArray[np.uint8]"
    answers: truth.Answers

    def joined(self, more: "list[Device]", boxes: "NDArray[np.float32]") -> "Shown":
        """Return the same with more devices, on a base whose regions have ``boxes``."""
        scene = scenes.Scene(list(more))
        shape = (self.planes.shape[0], self.planes.shape[1])
        plane = scene.plane(MaskName.DEVICE, shape).astype(np.uint8)
        return Shown(
            self.added.astype(np.float32) + np.stack(scene.added(shape)),
            self.planes | (plane << np.uint8(PLANES.index(MaskName.DEVICE))),
            truth.of_scene(scene, self.answers, boxes),
        )


class Simulator:
    """Makes films out of base projections; ``tones`` are of real training films, if any.

    ``tone`` is a detector tone for every film, without borrowing; None draws one of training.
    ``devices`` puts new tubes and lines into films whose scene has none.
    """

    def __init__(
        self, bases: Bases, tones: film.Tones | None = None, devices: "ExtraDevices | None" = None
    ) -> None:
        self.bases = bases
        self.devices = devices
        self.tones = tones
        self.tone: film.Tone | None = None

    def frontal(self, rng: np.random.Generator, index: int, *, mirror: float = 0.15) -> Sample:
        """Return a frontal film of base ``index`` and one of its scenes, with its whole truth."""
        most = self.bases.signs.shape[1]
        empty = most == 1 or rng.random() < NOTHING_SHARE
        scene = 0 if empty else int(rng.integers(1, most))
        return self.scene(rng, index, scene, mirror=mirror)

    def scene(
        self, rng: np.random.Generator, index: int, scene: int, *, mirror: float = 0.0
    ) -> Sample:
        """Return a film of one scene; scene 0 has no findings but those of the body itself."""
        bits = self.bases.fields[index]
        base_boxes = self.bases.boxes[index]
        window = around_lungs(rng, base_boxes)
        boxes, seen = window.boxes(base_boxes)
        fields = [(bits & bit) > 0 for bit in (RIGHT_LUNG, LEFT_LUNG, HEART)]
        shown = self._shown(rng, index, scene)
        drawn = [(shown.planes >> bit) & 1 for bit in range(len(PLANES))]
        sample = Sample(
            film=np.zeros(0, np.float32), scope=SCOPE_IN,
            view=VIEW_AP if self.bases.facts[index, 1] == 1 else VIEW_PA,
            mirrored=float(rng.random() < mirror), mirror_known=1.0,
            boxes=boxes, present=seen, boxes_known=seen, presence_known=1.0,
            masks=np.stack([window.cut(plane, MASK_SIDE) for plane in (*fields, *drawn)]),
            masks_known=np.ones(len(MASKS), np.float32),
            region_masks=_region_masks(self.bases.regions[index], window), region_masks_known=seen,
        )  # fmt: skip
        lines = MASKS.index(MaskName.DEVICE)  # thinner than a cell of the mask's grid
        sample.masks[lines] = np.minimum(sample.masks[lines] / LINE_SHARE, 1.0)
        self._answer(sample, index, shown, window)
        _locate(sample, shown, window)
        self._judge(sample, index, window.outside(np.asarray(fields[0] | fields[1])))
        if float(seen.mean()) < 0.55:  # noqa: PLR2004 - too much of the chest is off the plate
            sample.scope = SCOPE_INCOMPLETE
        maps = self.bases.maps[index, :2].astype(np.float32) + shown.added
        return self._look(rng, sample, maps, (bits & BODY) > 0, window)

    def sideways(self, rng: np.random.Generator, index: int) -> Sample:
        """Return a lateral or oblique: not to be read."""
        bits = self.bases.fields[index]
        lungs = (bits & (RIGHT_LUNG | LEFT_LUNG)) > 0
        rows, columns = np.flatnonzero(lungs.any(1)), np.flatnonzero(lungs.any(0))
        around = np.full((36, 4), np.nan, np.float32)
        around[[11, 20]] = (columns[0], rows[0], columns[-1], rows[-1])
        sample = Sample(film=np.zeros(0, np.float32), scope=SCOPE_NOT_FRONTAL)
        if self.bases.facts[index, 1] == 2:  # noqa: PLR2004 - Projection.LATERAL
            sample.view = VIEW_LATERAL
        maps = self.bases.maps[index, :2].astype(np.float32)
        return self._look(rng, sample, maps, (bits & BODY) > 0, around_lungs(rng, around))

    def part(self, rng: np.random.Generator, index: int) -> Sample:
        """Return a frontal beam on the wrong place: abdomen, neck, or one shoulder."""
        window, abdomen = beside(rng, self.bases.boxes[index])
        scope = SCOPE_NOT_A_CHEST if abdomen else SCOPE_INCOMPLETE
        sample = Sample(film=np.zeros(0, np.float32), scope=scope)
        maps = self.bases.maps[index, :2].astype(np.float32)
        return self._look(rng, sample, maps, (self.bases.fields[index] & BODY) > 0, window)

    def _shown(self, rng: np.random.Generator, index: int, scene: int) -> Shown:
        """Return a scene of a base, often with new tubes and lines where it has none."""
        at = index, scene
        answers = truth.Answers(*(getattr(self.bases, n)[at] for n in truth.Answers.__slots__))
        shown = Shown(self.bases.added[at], self.bases.planes[at], answers)
        lines = [SIGNS.index(sign) for sign in DEVICES]
        if self.devices is None or (answers.signs[lines] != truth.ABSENT).any():
            return shown
        if rng.random() >= EXTRA_SHARE:
            return shown
        return shown.joined(self.devices.draw(rng, index), self.bases.boxes[index])

    def _answer(self, sample: Sample, index: int, shown: Shown, window: Window) -> None:
        """Write signs, the regions they touch, and the broad findings that follow from them."""
        state = shown.answers.signs.astype(np.int8)
        ratio = float(self.bases.facts[index, 0])
        heart = SIGNS.index(Sign.ENLARGED_CARDIAC_SILHOUETTE)
        if float(shown.answers.sizes.max()) < WHITE_MM:
            state[heart] = truth.PRESENT if ratio >= ENLARGED_FROM else truth.OPEN
            state[heart] = truth.ABSENT if ratio <= NORMAL_UP_TO else state[heart]
        reach = shown.answers.reach
        off = ~np.isnan(reach[:, 0]) & (window.shares(reach) < 0.35)  # noqa: PLR2004 - off the plate
        state[off] = truth.OPEN
        sample.signs = (state == truth.PRESENT).astype(np.float32)
        sample.signs_known = (state != truth.OPEN).astype(np.float32)
        touches = shown.answers.touches.T.copy()
        touches[truth.REGIONS.index(truth.OWN[Sign.ENLARGED_CARDIAC_SILHOUETTE][0]), heart] = 1
        sample.attributes = (touches * sample.signs * sample.present[:, None]).astype(np.float32)
        sample.attributes_known = 1.0
        states = {
            Observation.ENLARGED_CARDIAC_SILHOUETTE: int(state[heart]),
            **{o: _broad(state, signs) for o, signs in BROAD.items()},
        }
        lines = SIGNS.index(Sign.INTERSTITIAL_PATTERN)
        if state[lines] == truth.PRESENT and states[Observation.LUNG_OPACITY] == truth.ABSENT:
            states[Observation.LUNG_OPACITY] = truth.OPEN
        ordered = np.asarray([states[o] for o in Observation])
        sample.findings = (ordered == truth.PRESENT).astype(np.float32)
        sample.findings_known = (ordered != truth.OPEN).astype(np.float32)

    def _judge(self, sample: Sample, index: int, off: float) -> None:
        """Write how the film was taken: turned, breathed in too little, cut off."""
        pose = self.bases.poses[index]
        sample.quality = np.asarray(
            (abs(pose[0]) >= TURNED_FROM, pose[6:8].min() >= SHALLOW_FROM, off >= CUT_FROM),
            np.float32,
        )
        sample.quality_known = 1.0

    def _look(
        self, rng: np.random.Generator, sample: Sample, maps: "NDArray[np.float32]",
        body: "NDArray[np.bool_]", window: Window,
    ) -> Sample:  # fmt: skip
        """Turn path integrals into the film of the sample."""
        maps[0] += film.habitus(rng, body.shape, PIXEL_MM)
        maps[1] *= float(rng.uniform(*BONE_GAIN))
        worn = clutter.external(rng, body.shape, PIXEL_MM)
        columns, rows = window.size
        top, left = (INPUT_SIDE - rows) // 2, (INPUT_SIDE - columns) // 2
        inner = np.s_[top : top + rows, left : left + columns]
        soft, bone, seen = (
            window.cut(p)[inner] for p in (maps[0] + worn[0], maps[1] + worn[1], body)
        )
        exposed = film.expose(rng, soft, bone, seen > 0.5, self.tone)  # noqa: PLR2004
        # Most real films are finer than the coarsest: their grain is half that of an even draw.
        image = film.develop(rng, exposed, film.COARSEST_GRAIN * float(rng.random()))
        if self.tones is not None and self.tone is None and rng.random() < 0.65:  # noqa: PLR2004
            image = film.borrow_tone(rng, image, self.tones, np.ones(image.shape, bool))
        if sample.mirrored:
            image = np.ascontiguousarray(image[:, ::-1])
            sample.flip()
        image = equalise(film.collimate(rng, film.clutter(rng, image)))
        sample.film = np.zeros((INPUT_SIDE, INPUT_SIDE), np.float32)
        sample.film[inner] = image
        return sample


def _region_masks(packed: "NDArray[np.uint8]", window: Window) -> "NDArray[np.float32]":
    """Unpack the masks of a base's regions onto the grid of the square, ``(36, 80, 80)``."""
    return np.stack([window.cut(np.unpackbits(plane, axis=-1), PLACE_SIDE) for plane in packed])


def _locate(sample: Sample, shown: Shown, window: Window) -> None:
    """Draw where each sign is: its mask within its outline, or the outline alone."""
    reach = shown.answers.reach
    located = ~np.isnan(reach[:, 0])
    sample.places_known = sample.signs_known * ((sample.signs == 0) | located)
    for place in np.flatnonzero(located & (sample.signs > 0)):
        name = scenes.PLANES.get(SIGNS[place])
        plane = np.ones_like(shown.planes) if name is None else bit(shown.planes, name)
        own = within(plane, reach[place], least=px(SMALLEST_REACH_MM)).astype(np.float32)
        sample.places[place] = window.cut(own, PLACE_SIDE) > PLACE_SHARE


def within(
    plane: "NDArray[np.uint8]", reach: "NDArray[np.float32]", *, least: float = 0.0
) -> "NDArray[np.uint8]":
    """Return what of a plane lies in an outline ``(x0, y0, x1, y1)``, px, of at least this size."""
    low, high = reach[:2], reach[2:]
    slack = np.maximum(least - (high - low), 0) / 2
    x0, y0 = np.maximum(np.floor(low - slack), 0).astype(int)
    x1, y1 = np.ceil(high + slack).astype(int)
    own = np.zeros_like(plane)
    own[y0:y1, x0:x1] = plane[y0:y1, x0:x1]
    return own


def bit(planes: "NDArray[np.uint8]", name: MaskName) -> "NDArray[np.uint8]":
    """Return one mask of a scene's packed planes, 0 or 1."""
    return (planes >> np.uint8(PLANES.index(name))) & np.uint8(1)


def _broad(state: "NDArray[np.int8]", signs: tuple[Sign, ...]) -> int:
    """Join the states of signs: one present is present, one open leaves it open."""
    states = [int(state[SIGNS.index(sign)]) for sign in signs]
    if truth.PRESENT in states:
        return truth.PRESENT
    return truth.OPEN if truth.OPEN in states else truth.ABSENT
