"""Training samples: one base projection becomes endless films with findings, crops and tones."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from models.anatomy.network import INPUT_SIDE, MASK_SIDE, OBSERVATIONS
from models.anatomy.preparation import equalise
from models.simulate import film, flat_findings
from models.training.cache import BODY, HEART, LEFT_LUNG, RIGHT_LUNG, SIDE, Bases
from models.vocabulary import Observation, Side

if TYPE_CHECKING:
    from numpy.typing import NDArray

PIXEL_MM = 470.0 / SIDE
COUNTS = (0.35, 0.45, 0.2)  # how often a film gets none, one or two findings
KINDS = (1 / 3, 1 / 3, 1 / 3)  # effusion, opacity, mass
HARD_COUNTS, HARD_KINDS = (0.25, 0.5, 0.25), (0.1, 0.35, 0.55)  # more of what is learnt last
ENLARGED_FROM, NORMAL_UP_TO = 0.50, 0.46  # cardiothoracic ratio; between them the label is open
SCOPE_IN, SCOPE_NOT_A_CHEST, SCOPE_NOT_FRONTAL, SCOPE_NOT_AN_IMAGE, SCOPE_INCOMPLETE = range(5)
VIEW_PA, VIEW_AP, VIEW_LATERAL, VIEW_UNKNOWN = 0, 1, 2, -1
SIZES_MM = {
    Observation.PLEURAL_EFFUSION: (25.0, 120.0),
    Observation.LUNG_OPACITY: (45.0, 120.0),
    Observation.MASS: (18.0, 70.0),
}


@dataclass(slots=True, eq=False)
class Sample:
    """One film on the network's square with what is known about it.

    ``film`` (224, 224) 0..1; ``boxes`` (36, 4) centre and size in 0..1, ``present`` (36,) 1 or 0;
    ``boxes_known``, ``masks_known``, ``findings_known``, ``mirror_known`` weigh the losses.
    """

    film: "NDArray[np.float32]"
    scope: int
    view: int = VIEW_UNKNOWN
    mirrored: float = 0.0
    mirror_known: float = 0.0
    boxes: "NDArray[np.float32]" = None  # type: ignore[assignment]
    present: "NDArray[np.float32]" = None  # type: ignore[assignment]
    boxes_known: "NDArray[np.float32]" = None  # type: ignore[assignment]
    presence_known: float = 0.0
    masks: "NDArray[np.float32]" = None  # type: ignore[assignment]
    masks_known: "NDArray[np.float32]" = None  # type: ignore[assignment]
    findings: "NDArray[np.float32]" = None  # type: ignore[assignment]
    findings_known: "NDArray[np.float32]" = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        """Fill what is not known with zeros of the right shape."""
        blank: dict[str, tuple[int, ...]] = {
            **dict.fromkeys(("present", "boxes_known"), (36,)),
            **dict.fromkeys(("findings", "findings_known"), (4,)),
            "boxes": (36, 4),
            "masks": (6, MASK_SIDE, MASK_SIDE),
            "masks_known": (6,),
        }
        for name, shape in blank.items():
            if getattr(self, name) is None:
                setattr(self, name, np.zeros(shape, np.float32))


@dataclass(frozen=True, slots=True)
class Window:
    """The part of the base grid that the plate sees, and where it lies in the square."""

    x: float
    y: float
    width: float
    height: float

    @property
    def size(self) -> tuple[int, int]:
        """``(columns, rows)`` in the square."""
        scale = INPUT_SIDE / max(self.width, self.height)
        return max(round(self.width * scale), 1), max(round(self.height * scale), 1)

    def cut(self, plane: "NDArray[np.generic]", square: int = INPUT_SIDE) -> "NDArray[np.float32]":
        """Resample a plane of the base grid into the middle of a square of zeros."""
        columns, rows = (round(v * square / INPUT_SIDE) for v in self.size)
        box = (self.x, self.y, self.x + self.width, self.y + self.height)
        image = Image.fromarray(np.ascontiguousarray(plane, np.float32))
        part = np.asarray(image.resize((columns, rows), Image.Resampling.BILINEAR, box=box))
        result = np.zeros((square, square), np.float32)
        top, left = (square - rows) // 2, (square - columns) // 2
        result[top : top + rows, left : left + columns] = part
        return result

    def boxes(
        self, boxes: "NDArray[np.float32]"
    ) -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
        """Turn base boxes into centre and size in 0..1 of the square, and say which are visible."""
        low = np.maximum(boxes[:, :2], (self.x, self.y))
        high = np.minimum(boxes[:, 2:], (self.x + self.width, self.y + self.height))
        size = np.clip(high - low, 0, None)
        area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
        share = np.prod(size, axis=1) / np.maximum(area, 1e-3)
        seen = np.nan_to_num(share) > 0.3  # noqa: PLR2004
        longest = max(self.width, self.height)
        pad = np.asarray(((longest - self.width) / 2, (longest - self.height) / 2))
        centre = ((low + high) / 2 - (self.x, self.y) + pad) / longest
        normal = np.concatenate([centre, size / longest], axis=1)
        return np.nan_to_num(normal).astype(np.float32), seen.astype(np.float32)


def draw_window(rng: np.random.Generator, boxes: "NDArray[np.float32]") -> Window:
    """Return a plate around the lungs: margins as on real films, sometimes a little too tight."""
    lungs = boxes[[11, 20]]  # left and right lung, in the regions' order
    low, high = lungs[:, :2].min(0), lungs[:, 2:].max(0)
    mm = 1.0 / PIXEL_MM
    left, right = rng.normal(32, 22, 2) * mm
    top, bottom = float(rng.normal(35, 22)) * mm, float(rng.normal(45, 35)) * mm
    x0, y0 = max(low[0] - left, 0), max(low[1] - top, 0)
    x1, y1 = min(high[0] + right, SIDE), min(high[1] + bottom, SIDE)
    return Window(float(x0), float(y0), float(max(x1 - x0, 60)), float(max(y1 - y0, 60)))


class Simulator:
    """Makes films out of base projections; ``tones`` are of real training films, if any."""

    def __init__(self, bases: Bases, tones: film.Tones | None = None) -> None:
        self.bases = bases
        self.tones = tones
        self.counts = COUNTS
        self.kinds = KINDS

    def frontal(self, rng: np.random.Generator, index: int, *, mirror: float = 0.15) -> Sample:
        """Return a frontal film of base ``index`` with known truth of every kind."""
        maps = self.bases.maps[index].astype(np.float32)
        bits = self.bases.fields[index]
        base_boxes = self.bases.boxes[index]
        inserted = self._insert(rng, maps, bits)
        for one in inserted:
            maps[0] += one.added_mm
        maps[0] += film.habitus(rng, bits.shape, PIXEL_MM)
        window = draw_window(rng, base_boxes)
        boxes, seen = window.boxes(base_boxes)
        fields = np.stack([(bits & bit) > 0 for bit in (RIGHT_LUNG, LEFT_LUNG, HEART)])
        parts = [one.mask for one in inserted]
        kinds = [one.observation for one in inserted]
        planes = [*fields, *(
            np.any([p for p, k in zip(parts, kinds, strict=True) if k is kind], axis=0)
            if kind in kinds else np.zeros(bits.shape, bool)
            for kind in OBSERVATIONS[1:]
        )]  # fmt: skip
        masks = np.stack([window.cut(plane, MASK_SIDE) for plane in planes])
        truth = np.asarray([masks[3 + i].sum() > 6 for i in range(3)], np.float32)  # noqa: PLR2004
        sample = Sample(
            film=np.zeros(0, np.float32), scope=SCOPE_IN,
            view=VIEW_AP if self.bases.facts[index, 1] == 1 else VIEW_PA,
            mirrored=float(rng.random() < mirror), mirror_known=1.0,
            boxes=boxes, present=seen, boxes_known=seen, presence_known=1.0,
            masks=masks, masks_known=np.ones(6, np.float32),
        )  # fmt: skip
        ratio = float(self.bases.facts[index, 0])
        sample.findings = np.concatenate([[float(ratio >= ENLARGED_FROM)], truth]).astype("f4")
        sample.findings_known = np.ones(4, np.float32)
        if NORMAL_UP_TO < ratio < ENLARGED_FROM:
            sample.findings_known[0] = 0.0
        if float(seen.mean()) < 0.55:  # noqa: PLR2004 - too much of the chest is off the plate
            sample.scope = SCOPE_INCOMPLETE
        return self._look(rng, sample, maps, (bits & BODY) > 0, window)

    def sideways(self, rng: np.random.Generator, index: int) -> Sample:
        """Return a lateral or oblique: not to be read."""
        maps = self.bases.maps[index].astype(np.float32)
        bits = self.bases.fields[index]
        maps[0] += film.habitus(rng, bits.shape, PIXEL_MM)
        lungs = (bits & (RIGHT_LUNG | LEFT_LUNG)) > 0
        rows, columns = np.flatnonzero(lungs.any(1)), np.flatnonzero(lungs.any(0))
        around = np.full((36, 4), np.nan, np.float32)
        around[[11, 20]] = (columns[0], rows[0], columns[-1], rows[-1])
        sample = Sample(film=np.zeros(0, np.float32), scope=SCOPE_NOT_FRONTAL)
        if self.bases.facts[index, 1] == 2:  # noqa: PLR2004 - Projection.LATERAL
            sample.view = VIEW_LATERAL
        return self._look(rng, sample, maps, (bits & BODY) > 0, draw_window(rng, around))

    def part(self, rng: np.random.Generator, index: int) -> Sample:
        """Return a frontal beam on the wrong place: abdomen, neck, or one shoulder."""
        maps = self.bases.maps[index].astype(np.float32)
        bits = self.bases.fields[index]
        lungs = self.bases.boxes[index][[11, 20]]
        low, high = lungs[:, :2].min(0), lungs[:, 2:].max(0)
        choice = int(rng.integers(3))
        if choice == 0:
            top = float(high[1]) - 12.0
            window = Window(
                float(rng.uniform(0, 60)), top, float(rng.uniform(150, 220)), SIDE - top
            )
        elif choice == 1:
            window = Window(float(rng.uniform(30, 80)), 0.0, 130.0, float(low[1]) + 14.0)
        else:
            edge = float(low[0]) * 0.9 + 14.0
            window = Window(0.0, float(rng.uniform(0, 60)), edge, float(rng.uniform(90, 200)))
        scope = SCOPE_NOT_A_CHEST if choice == 0 else SCOPE_INCOMPLETE
        sample = Sample(film=np.zeros(0, np.float32), scope=scope)
        return self._look(rng, sample, maps, (bits & BODY) > 0, window)

    def _insert(
        self, rng: np.random.Generator, maps: "NDArray[np.float32]", bits: "NDArray[np.uint8]"
    ) -> list[flat_findings.FlatFinding]:
        """None, one or two findings, sized at random."""
        lungs = flat_findings.Lungs(
            maps[2], maps[3], (bits & RIGHT_LUNG) > 0, (bits & LEFT_LUNG) > 0, PIXEL_MM
        )
        makers = {
            Observation.PLEURAL_EFFUSION: flat_findings.effusion,
            Observation.LUNG_OPACITY: flat_findings.opacity,
            Observation.MASS: flat_findings.mass,
        }
        count = int(rng.choice((0, 1, 2), p=self.counts))
        chosen = rng.choice(len(makers), count, replace=False, p=self.kinds)
        inserted = []
        for number in chosen:
            kind = tuple(makers)[int(number)]
            side = Side.RIGHT if rng.random() < 0.5 else Side.LEFT  # noqa: PLR2004
            size = float(rng.uniform(*SIZES_MM[kind]))
            inserted.append(makers[kind](rng, lungs, side, size))
        return inserted

    def _look(
        self, rng: np.random.Generator, sample: Sample, maps: "NDArray[np.float32]",
        body: "NDArray[np.bool_]", window: Window,
    ) -> Sample:  # fmt: skip
        """Turn path integrals into the film of the sample."""
        columns, rows = window.size
        top, left = (INPUT_SIDE - rows) // 2, (INPUT_SIDE - columns) // 2
        inner = np.s_[top : top + rows, left : left + columns]
        soft, bone, seen = (window.cut(p)[inner] for p in (maps[0], maps[1], body))
        image = film.develop(rng, film.expose(rng, soft, bone, seen > 0.5))  # noqa: PLR2004
        if self.tones is not None and rng.random() < 0.65:  # noqa: PLR2004
            image = film.borrow_tone(rng, image, self.tones, np.ones(image.shape, bool))
        if sample.mirrored:
            image = np.ascontiguousarray(image[:, ::-1])
            sample.boxes[:, 0] = 1.0 - sample.boxes[:, 0]
            sample.masks = np.ascontiguousarray(sample.masks[:, :, ::-1])
        image = equalise(film.collimate(rng, film.clutter(rng, image)))
        sample.film = np.zeros((INPUT_SIDE, INPUT_SIDE), np.float32)
        sample.film[inner] = image
        return sample
