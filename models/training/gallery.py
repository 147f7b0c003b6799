"""Draw what the eye sees on real films of test patients, to be looked at by a person.

``python -m models.training.gallery --bundle DIR --bases DIR --real ROOT --out FILE.png``
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from models.anatomy.eye import OnnxEye
from models.bundles import load
from models.training import real
from models.values import ChestImage
from models.vocabulary import AnatomicStructure, MaskName

if TYPE_CHECKING:
    from models.values import Sight

TILE = 300
COLUMNS = 4
BOXES = {
    AnatomicStructure.RIGHT_LUNG: "cyan",
    AnatomicStructure.LEFT_LUNG: "lime",
    AnatomicStructure.CARDIAC_SILHOUETTE: "red",
    AnatomicStructure.CARINA: "yellow",
    AnatomicStructure.TRACHEA: "magenta",
    AnatomicStructure.AORTIC_ARCH: "orange",
    AnatomicStructure.RIGHT_CLAVICLE: "white",
    AnatomicStructure.LEFT_CLAVICLE: "white",
    AnatomicStructure.RIGHT_COSTOPHRENIC_ANGLE: "deepskyblue",
    AnatomicStructure.LEFT_COSTOPHRENIC_ANGLE: "springgreen",
}
MASKS = {
    MaskName.RIGHT_LUNG: (0, 50, 50),
    MaskName.LEFT_LUNG: (0, 50, 0),
    MaskName.HEART: (60, 0, 0),
    MaskName.PLEURAL_EFFUSION: (0, 0, 150),
    MaskName.LUNG_OPACITY: (110, 110, 0),
    MaskName.MASS: (150, 0, 150),
}


def tile(film: "real.RealFilm", sight: "Sight") -> Image.Image:
    """Draw masks as tints and boxes as lines; V7 lung boxes, where known, in grey."""
    picture = np.repeat(film.pixels[..., None], 3, axis=2).astype(np.float32)
    for name, tint in MASKS.items():
        picture += (sight.masks[name] > 0.5)[..., None] * np.asarray(tint, np.float32)  # noqa: PLR2004
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    scale = TILE / max(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)))
    pen = ImageDraw.Draw(image)
    if film.lungs is not None:
        for x0, y0, x1, y1 in film.lungs * np.tile(np.asarray(image.size), 2):
            pen.rectangle((x0, y0, x1, y1), outline="grey", width=2)
    for region in sight.regions:
        colour = BOXES.get(region.structure)
        b = region.box
        if colour:
            corners = (b.x_min * scale, b.y_min * scale, b.x_max * scale, b.y_max * scale)
            pen.rectangle(corners, outline=colour)
    words = " ".join(f"{k.value[:8]} {p:.2f}" for k, p in sight.probabilities.items())
    pen.text((3, 3), f"in scope {sight.scope.in_scope:.2f}  {film.view}", fill="yellow")
    pen.text((3, 15), words, fill="yellow")
    pen.text((3, 27), "|".join(sorted(film.labels))[:48], fill="yellow")
    square = Image.new("RGB", (TILE, TILE))
    square.paste(image, (0, 0))
    return square


def choose(films: "list[real.RealFilm]", count: int) -> "list[real.RealFilm]":
    """Take films at even steps through the list, half of them with lung boxes."""
    boxed = [f for f in films if f.lungs is not None]
    rest = [f for f in films if f.lungs is None]
    half = count // 2
    return boxed[:: max(len(boxed) // half, 1)][:half] + rest[:: max(len(rest) // half, 1)][:half]


def main() -> None:
    """Draw the gallery."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("bundle", "bases", "real", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--part", default="test", choices=("valid", "test"))
    chosen = parser.parse_args()
    eye = OnnxEye(load(chosen.bundle))
    films = choose(real.load(chosen.real, chosen.part, chosen.bases / "small"), 3 * COLUMNS)
    images = [ChestImage(f.name, f.pixels.astype(np.float32)) for f in films]
    tiles = [tile(f, s) for f, s in zip(films, eye.look(images), strict=True)]
    page = Image.new("RGB", (COLUMNS * TILE, -(-len(tiles) // COLUMNS) * TILE))
    for place, drawn in enumerate(tiles):
        page.paste(drawn, (place % COLUMNS * TILE, place // COLUMNS * TILE))
    page.save(chosen.out, optimize=True)


if __name__ == "__main__":
    main()
