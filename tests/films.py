"""Films and looks for the tests of findings, gates, words and pictures."""

import numpy as np

from models.fakes import FakeEye
from models.grounding import Regions
from models.masks import film
from models.report import looked
from models.report.looked import Looked
from models.values import ChestImage
from models.vocabulary import ViewPosition


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
    drawn = film.draw(sight, Regions(image, sight.regions).thorax_span())
    return looked.of(image, sight, eye, drawn)
