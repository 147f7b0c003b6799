"""Films and looks for the tests of findings, gates, words and pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from models.fakes import FakeEye
from models.grounding import Regions
from models.masks import film
from models.opinions import QualityOpinion, RegionSign, SidesOpinion, SignOpinion
from models.report import looked, technique
from models.report.looked import Looked
from models.values import ChestImage, PixelBox, Sight
from models.vocabulary import AnatomicStructure, Capability, MaskName, ViewPosition


def a_film(
    rows: int = 300,
    columns: int = 260,
    *,
    view_position: ViewPosition | None = ViewPosition.PA,
    patient_orientation: tuple[str, str] | None = ("L", "F"),
) -> ChestImage:
    """Noise under the header of an upright PA film; what is seen on it is the eye's affair."""
    pixels = np.random.default_rng(7).random((rows, columns), dtype=np.float32) * np.float32(0.9)
    return ChestImage(
        "film", pixels, view_position=view_position, patient_orientation=patient_orientation
    )


def looked_at(eye: FakeEye | None = None, image: ChestImage | None = None) -> Looked:
    """Look at one film and draw its masks, as the pipeline does before judging."""
    eye = FakeEye() if eye is None else eye
    image = a_film() if image is None else image
    (sight,) = eye.look((image,))
    span = Regions(image, sight.regions).thorax_span()
    drawn = film.draw(sight, span, across=technique.across(image))
    return looked.of(image, sight, eye, drawn)


@dataclass(frozen=True, slots=True)
class EyeWithSigns(FakeEye):
    """A stand-in that also has signs, qualities and sides; ``outlines`` are masks as boxes, px."""

    signs: tuple[SignOpinion, ...] = ()
    qualities: tuple[QualityOpinion, ...] = ()
    sides: SidesOpinion | None = None
    outlines: Mapping[MaskName, PixelBox] = field(default_factory=dict)
    unavailable: tuple[Capability, ...] = ()

    def look(self, images: Sequence[ChestImage]) -> tuple[Sight, ...]:
        return tuple(self._with_signs(sight) for sight in FakeEye.look(self, images))

    def _with_signs(self, sight: Sight) -> Sight:
        masks = dict(sight.masks)
        for name, box in self.outlines.items():
            masks[name] = np.zeros_like(masks[name])
            top, bottom = int(box.y_min), int(box.y_max)
            masks[name][top:bottom, int(box.x_min) : int(box.x_max)] = 1.0
        regions = tuple(
            replace(region, spread=4.0, signs=self._in(region.structure))
            for region in sight.regions
        )
        return replace(
            sight, regions=regions, masks=masks, signs=self.signs, qualities=self.qualities,
            sides=self.sides, unavailable=self.unavailable,
        )  # fmt: skip

    def _in(self, region: AnatomicStructure) -> tuple[RegionSign, ...]:
        return tuple(
            RegionSign(one.sign, one.presence, 0.75)
            for one in self.signs
            if one.structure is region
        )
