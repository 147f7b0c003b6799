"""Whole simulated films with their truth, for demonstrations, tests and load.

``simulate(n, seed, out, cache)`` writes PNG files and one ``truth.json``. Identical arguments give
identical bytes on one machine with one version of the libraries.
"""

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from models.simulate import film, flat_findings, phantom, pose, regions, source
from models.simulate.phantom import Structure
from models.simulate.pose import Projection
from models.simulate.projector import Detector, Projector
from models.vocabulary import AnatomicStructure, Observation, Side

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from models.simulate.projector import Shadow

MARGINS_MM = (34.0, 36.0, 34.0, 52.0)  # plate around the lungs: right, top, left, bottom
MAKERS = {
    Observation.PLEURAL_EFFUSION: flat_findings.effusion,
    Observation.LUNG_OPACITY: flat_findings.opacity,
    Observation.MASS: flat_findings.mass,
}
SIZES_MM = {
    Observation.PLEURAL_EFFUSION: (50.0, 110.0),
    Observation.LUNG_OPACITY: (60.0, 110.0),
    Observation.MASS: (30.0, 60.0),
}
NORMAL_HEART, LARGE_HEART = 0.92, 1.4  # relative size; gives ratios near 0.43 and 0.57
LATERAL_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Wish:
    """What a film shall show. ``finding`` None means none; ``size_mm`` as its maker takes it."""

    projection: Projection = Projection.PA
    finding: Observation | None = None
    side: Side = Side.RIGHT
    size_mm: float = 0.0
    heart: float = NORMAL_HEART


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedFilm:
    """A film ``(rows, columns)`` in 0..1, bright = dense, with its truth in film pixels.

    ``findings`` maps an observation to its box; an enlarged heart's box is the heart's.
    """

    pixels: "NDArray[np.float32]"
    wish: Wish
    seed: int
    pixel_mm: float
    cardiothoracic_ratio: float
    boxes: "dict[AnatomicStructure, tuple[float, float, float, float]]" = field(
        default_factory=dict
    )
    findings: "dict[Observation, tuple[float, float, float, float]]" = field(default_factory=dict)

    def truth(self) -> dict[str, Any]:
        """Return the truth as plain JSON values; a lateral has no ratio."""
        ratio = self.cardiothoracic_ratio
        return {
            "seed": self.seed,
            "rows": self.pixels.shape[0],
            "columns": self.pixels.shape[1],
            "view": self.wish.projection.value,
            "pixel_mm": round(self.pixel_mm, 4),
            "cardiothoracic_ratio": None if np.isnan(ratio) else round(ratio, 4),
            "findings": [
                {"observation": o.value, "side": _side(o, self.wish), "box": _rounded(b)}
                for o, b in self.findings.items()
            ],
            "boxes": {name.value: _rounded(box) for name, box in self.boxes.items()},
        }


class Studio:
    """Makes films of one patient in endless shapes; preparing it takes about half a minute."""

    def __init__(self, cache: "Path", *, every: int = 2) -> None:
        ct = source.read(source.fetch(cache))
        self._frontal = Projector(phantom.build(ct, every=every))
        self._aside = Projector(phantom.build(ct, every=every, arms=False))

    def film(self, seed: int, wish: Wish, *, side: int = 640, steps: int = 96) -> SimulatedFilm:
        """Take one film; ``side`` is the detector's pixels per side before collimation."""
        rng = np.random.default_rng((seed, 77))
        detector = Detector(side=side, steps=steps)
        stance = pose.draw(rng, wish.projection, heart=wish.heart)
        lateral = wish.projection in {Projection.LATERAL, Projection.OBLIQUE}
        shadow = (self._aside if lateral else self._frontal).project(stance, detector)
        fields = regions.visible_fields(shadow, detector.pixel_mm)
        added = self._finding(rng, shadow, fields, wish)
        soft = shadow.soft + film.habitus(rng, shadow.soft.shape, detector.pixel_mm)
        if added is not None:
            soft = soft + added.added_mm
        x0, y0, x1, y1 = _plate(fields, detector)
        window = np.s_[y0:y1, x0:x1]
        image = film.expose(rng, soft[window], shadow.bone[window], fields.body[window])
        image = film.develop(rng, image)
        boxes = {} if lateral else regions.boxes(shadow, fields)
        visible = {name: cut for name, box in boxes.items() if (cut := _cut(box, x0, y0, x1, y1))}
        ratio = float("nan") if lateral else regions.cardiothoracic_ratio(fields)
        shown: dict[Observation, tuple[float, float, float, float]] = {}
        if added is not None and (cut := _cut(_outline(added.mask), x0, y0, x1, y1)):
            shown[added.observation] = cut
        if wish.heart >= LARGE_HEART:
            shown[Observation.ENLARGED_CARDIAC_SILHOUETTE] = visible[
                AnatomicStructure.CARDIAC_SILHOUETTE
            ]
        return SimulatedFilm(image, wish, seed, detector.pixel_mm, ratio, visible, shown)

    @staticmethod
    def _finding(
        rng: np.random.Generator, shadow: "Shadow", fields: regions.Fields, wish: Wish
    ) -> flat_findings.FlatFinding | None:
        if wish.finding not in MAKERS:
            return None
        lungs = flat_findings.Lungs(
            shadow.structures[Structure.RIGHT_LUNG],
            shadow.structures[Structure.LEFT_LUNG],
            fields.right_lung,
            fields.left_lung,
            fields.pixel_mm,
        )
        return MAKERS[wish.finding](rng, lungs, wish.side, wish.size_mm)


def draw_wish(rng: np.random.Generator) -> Wish:
    """Draw what a film shall show: about a third nothing, now and then a lateral."""
    if rng.random() < LATERAL_SHARE:
        return Wish(Projection.LATERAL)
    projection = Projection.AP if rng.random() < 0.5 else Projection.PA  # noqa: PLR2004
    kinds = (None, *Observation)
    kind = kinds[int(rng.choice(len(kinds), p=(0.32, 0.17, 0.17, 0.17, 0.17)))]
    side = Side.RIGHT if rng.random() < 0.5 else Side.LEFT  # noqa: PLR2004
    if kind is None or kind not in MAKERS:
        return Wish(projection, kind, side, heart=NORMAL_HEART if kind is None else LARGE_HEART)
    return Wish(projection, kind, side, float(rng.uniform(*SIZES_MM[kind])))


def simulate(n: int, seed: int, out: "Path", cache: "Path", *, side: int = 640) -> list[str]:
    """Write ``n`` films ``film_00000.png`` (8 bit) and ``truth.json`` to ``out``; their names."""
    out.mkdir(parents=True, exist_ok=True)
    studio = Studio(cache)
    truths: dict[str, Any] = {}
    for number in range(n):
        wish = draw_wish(np.random.default_rng((seed, number, 5)))
        made = studio.film(seed * 100_000 + number, wish, side=side)
        name = f"film_{number:05d}.png"
        Image.fromarray(np.round(made.pixels * 255).astype(np.uint8)).save(out / name)
        truths[name] = made.truth()
    (out / "truth.json").write_text(json.dumps(truths, indent=1) + "\n")
    return list(truths)


def _plate(fields: regions.Fields, detector: Detector) -> tuple[int, int, int, int]:
    """Lay the plate around the lungs: corners in detector pixels."""
    x0, y0, x1, y1 = _outline(fields.right_lung | fields.left_lung)
    right, top, left, bottom = (mm / detector.pixel_mm for mm in MARGINS_MM)
    last = detector.side
    return (max(int(x0 - right), 0), max(int(y0 - top), 0),
            min(int(x1 + left), last), min(int(y1 + bottom), last))  # fmt: skip


def _outline(mask: "NDArray[np.bool_]") -> tuple[float, float, float, float]:
    """Return the box of a mask; all zero when it is empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return 0.0, 0.0, 0.0, 0.0
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _cut(
    box: tuple[float, float, float, float], x0: int, y0: int, x1: int, y1: int
) -> tuple[float, float, float, float] | None:
    """Move a box to the plate's pixels and cut it there; None when too little is left."""
    low_x, low_y = max(box[0], x0) - x0, max(box[1], y0) - y0
    high_x, high_y = min(box[2], x1) - x0, min(box[3], y1) - y0
    if high_x - low_x < 2 or high_y - low_y < 2:  # noqa: PLR2004 - px
        return None
    return low_x, low_y, high_x, high_y


def _side(observation: Observation, wish: Wish) -> str | None:
    return wish.side.value if observation in MAKERS else None


def _rounded(box: tuple[float, float, float, float]) -> list[float]:
    return [round(value, 1) for value in box]
