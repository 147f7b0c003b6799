"""A deterministic stand-in for the network, for tests and for trying the plumbing.

It knows one body, laid out once in the patient's own frame and turned to each film's
orientation; what it "finds" is what the test planted. Its bundle says *demo* and its limits say
that it sees nothing, so that its words can never pass for a reading.
"""

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from models.errors import UnreadableImage
from models.geometry import PIXELS_MAX
from models.opinions import ScopeOpinion
from models.values import AnatomyRegion, ModelIdentity, PixelBox, Sight
from models.vocabulary import (
    AnatomicStructure,
    BundleUse,
    MaskName,
    Observation,
    ScopeReason,
    ViewPosition,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from models.values import ChestImage

    _Plane = NDArray[np.float32]

# (u_min, v_min, u_max, v_max): u from the patient's right to left, v from head to feet, both 0..1.
LAYOUT: "Mapping[AnatomicStructure, tuple[float, float, float, float]]" = {
    AnatomicStructure.ABDOMEN: (0.08, 0.74, 0.92, 0.99),
    AnatomicStructure.AORTIC_ARCH: (0.47, 0.28, 0.58, 0.37),
    AnatomicStructure.LEFT_APICAL_ZONE: (0.56, 0.10, 0.78, 0.21),
    AnatomicStructure.RIGHT_APICAL_ZONE: (0.22, 0.10, 0.44, 0.21),
    AnatomicStructure.CARDIAC_SILHOUETTE: (0.38, 0.45, 0.73, 0.75),
    AnatomicStructure.DESCENDING_AORTA: (0.48, 0.33, 0.57, 0.75),
    AnatomicStructure.LEFT_HILAR_STRUCTURES: (0.54, 0.36, 0.66, 0.52),
    AnatomicStructure.RIGHT_HILAR_STRUCTURES: (0.34, 0.37, 0.46, 0.53),
    AnatomicStructure.LEFT_CLAVICLE: (0.53, 0.13, 0.80, 0.22),
    AnatomicStructure.LEFT_HEMIDIAPHRAGM: (0.55, 0.70, 0.89, 0.80),
    AnatomicStructure.LEFT_LOWER_LUNG_ZONE: (0.55, 0.53, 0.89, 0.76),
    AnatomicStructure.LEFT_LUNG: (0.54, 0.10, 0.89, 0.76),
    AnatomicStructure.LEFT_MID_LUNG_ZONE: (0.55, 0.37, 0.88, 0.53),
    AnatomicStructure.LEFT_UPPER_LUNG_ZONE: (0.55, 0.21, 0.85, 0.37),
    AnatomicStructure.MEDIASTINUM: (0.38, 0.14, 0.73, 0.75),
    AnatomicStructure.RIGHT_ATRIUM: (0.38, 0.53, 0.48, 0.69),
    AnatomicStructure.RIGHT_CARDIAC_BORDER: (0.37, 0.50, 0.43, 0.72),
    AnatomicStructure.RIGHT_CLAVICLE: (0.20, 0.13, 0.47, 0.22),
    AnatomicStructure.RIGHT_HEMIDIAPHRAGM: (0.11, 0.67, 0.45, 0.77),
    AnatomicStructure.RIGHT_LOWER_LUNG_ZONE: (0.11, 0.52, 0.45, 0.74),
    AnatomicStructure.RIGHT_LUNG: (0.11, 0.10, 0.46, 0.74),
    AnatomicStructure.RIGHT_MID_LUNG_ZONE: (0.12, 0.37, 0.45, 0.52),
    AnatomicStructure.RIGHT_UPPER_LUNG_ZONE: (0.15, 0.21, 0.45, 0.37),
    AnatomicStructure.CARINA: (0.46, 0.36, 0.54, 0.41),
    AnatomicStructure.LEFT_CARDIAC_BORDER: (0.64, 0.47, 0.74, 0.73),
    AnatomicStructure.LEFT_UPPER_QUADRANT_OF_ABDOMEN: (0.50, 0.76, 0.92, 0.99),
    AnatomicStructure.RIGHT_UPPER_QUADRANT_OF_ABDOMEN: (0.08, 0.74, 0.50, 0.99),
    AnatomicStructure.UPPER_MEDIASTINUM: (0.40, 0.14, 0.60, 0.40),
    AnatomicStructure.SUPERIOR_VENA_CAVA: (0.41, 0.28, 0.47, 0.50),
    AnatomicStructure.TRACHEA: (0.46, 0.08, 0.54, 0.38),
    AnatomicStructure.SPINE: (0.45, 0.05, 0.55, 0.98),
    AnatomicStructure.CAVOATRIAL_JUNCTION: (0.40, 0.48, 0.47, 0.54),
    AnatomicStructure.LEFT_CARDIOPHRENIC_ANGLE: (0.64, 0.68, 0.74, 0.77),
    AnatomicStructure.LEFT_COSTOPHRENIC_ANGLE: (0.80, 0.68, 0.90, 0.78),
    AnatomicStructure.RIGHT_CARDIOPHRENIC_ANGLE: (0.34, 0.66, 0.44, 0.75),
    AnatomicStructure.RIGHT_COSTOPHRENIC_ANGLE: (0.10, 0.66, 0.20, 0.76),
}

_FINDING_MASKS = {
    Observation.PLEURAL_EFFUSION: MaskName.PLEURAL_EFFUSION,
    Observation.LUNG_OPACITY: MaskName.LUNG_OPACITY,
    Observation.MASS: MaskName.MASS,
}
_ORGANS = {
    MaskName.RIGHT_LUNG: AnatomicStructure.RIGHT_LUNG,
    MaskName.LEFT_LUNG: AnatomicStructure.LEFT_LUNG,
    MaskName.HEART: AnatomicStructure.CARDIAC_SILHOUETTE,
}
_HALF = 0.5
_ENLARGED = 0.5  # of the cardiothoracic ratio; only what the finding head is made to say
_THORAX_WIDTH = 0.78  # from the outer edge of one lung of the layout to that of the other
_HEART_CENTRE = 0.55
_PAINT = 0.97  # pixels at least this bright, inside a lung, are read as a mass


@dataclass(frozen=True, slots=True)
class Planted:
    """A finding to be seen: an ellipse in the patient's frame, 0..1 of the film.

    ``centre`` and ``radius`` are ``(u, v)``: u from the patient's right to left, v from head to
    feet. ``radius`` None plants the probability alone, without a mask.
    """

    observation: Observation
    centre: tuple[float, float] = (0.3, 0.6)
    radius: tuple[float, float] | None = (0.06, 0.05)
    probability: float = 0.95


@dataclass(frozen=True, slots=True)
class FakeEye:
    """Satisfies :class:`models.protocols.Eye` without a network.

    ``cardiothoracic_ratio`` is drawn into heart and lungs; ``unseen`` regions get a low score;
    ``sees_paint`` makes saturated pixels inside a lung a mass, so that pixels matter.
    """

    seed: int = 0
    planted: tuple[Planted, ...] = ()
    cardiothoracic_ratio: float = 0.44
    in_scope: float = 0.99
    reason: ScopeReason | None = None
    view_position: ViewPosition | None = ViewPosition.PA
    mirrored: float = 0.02
    unseen: frozenset[AnatomicStructure] = frozenset()
    sees_paint: bool = False
    thresholds: "Mapping[Observation, tuple[float, float]]" = field(
        default_factory=lambda: dict.fromkeys(Observation, (0.3, 0.7))
    )
    cardiothoracic_error: tuple[float, float] = (0.0, 0.01)
    limits: tuple[str, ...] = ("This draft was made by a test stand-in that sees nothing.",)

    @property
    def identity(self) -> ModelIdentity:
        """A demo identity; the hash is of the words that configure this stand-in."""
        words = repr((self.seed, self.planted, self.cardiothoracic_ratio)).encode()
        return ModelIdentity(
            "fake-eye", f"0.{self.seed}", hashlib.sha256(words).hexdigest(), BundleUse.DEMO
        )

    def look(self, images: "Sequence[ChestImage]") -> tuple[Sight, ...]:
        """One sight per film; see :meth:`models.protocols.Eye.look`."""
        return tuple(self._look(image) for image in images)

    def _look(self, image: "ChestImage") -> Sight:
        _refuse_unreadable(image)
        u, v = _patient_frame(image)
        masks = self._organs(u, v)
        lungs = np.maximum(masks[MaskName.RIGHT_LUNG], masks[MaskName.LEFT_LUNG])
        probabilities = dict.fromkeys(Observation, 0.05)
        if self.cardiothoracic_ratio > _ENLARGED:
            probabilities[Observation.ENLARGED_CARDIAC_SILHOUETTE] = 0.95
        for plant in self.planted:
            probabilities[plant.observation] = plant.probability
            name = _FINDING_MASKS.get(plant.observation)
            if name is not None and plant.radius is not None:
                masks[name] = np.maximum(masks[name], _ellipse(u, v, plant.centre, plant.radius))
        painted = (image.pixels >= _PAINT) & (lungs >= _HALF)
        if self.sees_paint and painted.any():
            probabilities[Observation.MASS] = 0.95
            masks[MaskName.MASS] = np.maximum(masks[MaskName.MASS], painted.astype(np.float32))
        opinion = ScopeOpinion(self.in_scope, self.reason, self.view_position, self.mirrored)
        return Sight(opinion, self._regions(image), probabilities, masks)

    def _heart_extent(self) -> tuple[float, float]:
        half = self.cardiothoracic_ratio * _THORAX_WIDTH / 2
        return _HEART_CENTRE - half, _HEART_CENTRE + half

    def _organs(self, u: "_Plane", v: "_Plane") -> "dict[MaskName, _Plane]":
        layout = dict(LAYOUT)
        left, right = self._heart_extent()
        layout[AnatomicStructure.CARDIAC_SILHOUETTE] = (left, 0.45, right, 0.75)
        masks = {name: np.zeros((v + u).shape, np.float32) for name in MaskName}
        for name, structure in _ORGANS.items():
            u_min, v_min, u_max, v_max = layout[structure]
            centre = ((u_min + u_max) / 2, (v_min + v_max) / 2)
            radius = ((u_max - u_min) / 2, (v_max - v_min) / 2)
            masks[name] = _ellipse(u, v, centre, radius)
        return masks

    def _regions(self, image: "ChestImage") -> tuple[AnatomyRegion, ...]:
        jitter = np.random.default_rng(self.seed).uniform(-0.004, 0.004, (len(LAYOUT), 4))
        left, right = self._heart_extent()
        regions = []
        for structure, shift in zip(AnatomicStructure, jitter, strict=True):
            u_min, v_min, u_max, v_max = np.asarray(LAYOUT[structure]) + shift
            if structure is AnatomicStructure.CARDIAC_SILHOUETTE:
                u_min, u_max = left, right
            box = _to_source(image, (float(u_min), float(v_min), float(u_max), float(v_max)))
            regions.append(AnatomyRegion(structure, box, 0.1 if structure in self.unseen else 0.98))
        return tuple(regions)


def _refuse_unreadable(image: "ChestImage") -> None:
    pixels = image.pixels
    if pixels.ndim != 2 or min(pixels.shape) < 2:  # noqa: PLR2004 (a film has two dimensions)
        raise UnreadableImage(f"a film is (rows, columns), not {pixels.shape}")
    if pixels.size > PIXELS_MAX:
        raise UnreadableImage(f"{pixels.shape[0]} x {pixels.shape[1]} pixels are too many")
    if not np.issubdtype(pixels.dtype, np.floating):
        raise UnreadableImage(f"pixels are floating point in 0..1, not {pixels.dtype}")
    if not np.isfinite(pixels).all():
        raise UnreadableImage("pixels that are not finite")
    if float(pixels.min()) == float(pixels.max()):
        raise UnreadableImage("every pixel is the same")


def _directions(image: "ChestImage") -> tuple[str, str]:
    row, column = image.patient_orientation or ("L", "F")
    return row[:1], column[:1]


def _patient_frame(image: "ChestImage") -> "tuple[_Plane, _Plane]":
    """``(u, v)`` of every pixel, as two arrays that broadcast to ``(rows, columns)``."""
    x = _centres(image.columns)[None, :]
    y = _centres(image.rows)[:, None]
    towards = dict(zip(_directions(image), (x, y), strict=True))
    one = np.float32(1)
    u = towards["L"] if "L" in towards else one - towards["R"]
    v = towards["F"] if "F" in towards else one - towards["H"]
    return u, v


def _centres(count: int) -> "_Plane":
    return np.asarray((np.arange(count) + 0.5) / count, np.float32)


def _to_source(image: "ChestImage", box: tuple[float, float, float, float]) -> PixelBox:
    u_min, v_min, u_max, v_max = (min(max(edge, 0.0), 1.0) for edge in box)
    spans = {
        "L": (u_min, u_max),
        "R": (1 - u_max, 1 - u_min),
        "F": (v_min, v_max),
        "H": (1 - v_max, 1 - v_min),
    }
    (x_min, x_max), (y_min, y_max) = (spans[direction] for direction in _directions(image))
    width, height = image.columns, image.rows
    return PixelBox(x_min * width, y_min * height, x_max * width, y_max * height)


def _ellipse(
    u: "_Plane", v: "_Plane", centre: tuple[float, float], radius: tuple[float, float]
) -> "_Plane":
    """Draw a soft ellipse: 0.5 on its rim, 1 well inside, 0 well outside."""
    distance = ((u - centre[0]) / radius[0]) ** 2 + ((v - centre[1]) / radius[1]) ** 2
    return np.clip(1.5 - distance, 0.0, 1.0).astype(np.float32)
