"""Hard cases on real films as small pictures: where the eye was wrong, or most likely so.

``python -m models.evaluation.gallery --bundle DIR --bases DIR --real ROOT --out FILE.png`` draws a
plain choice of films instead, for the model card.

Only films of NIH ChestX-ray14 and of Hannover are drawn (``ATTRIBUTION``), which may be shown.
"""

import argparse
import base64
import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from models.anatomy.heads import MASK_SIDE, MASKS, OBSERVATIONS, REGIONS
from models.bundles import load
from models.evaluation import shown
from models.evaluation.looking import HALF, ListeningEye
from models.evaluation.real_rows import RealFilms, lung_overlaps, see, side_order
from models.training import real
from models.vocabulary import AnatomicStructure as A
from models.vocabulary import MaskName, Observation

if TYPE_CHECKING:
    from models.training.measures import Numbers

TILE, COLUMNS, EACH = 264, 4, 4
ATTRIBUTION = (
    "NIH ChestX-ray14: provided by the NIH Clinical Center, https://nihcc.app.box.com/v/"
    "ChestXray-NIHCC; X. Wang et al., CVPR 2017, 3462-3471. mhh: H. B. Winther et al., COVID-19 "
    "Image Repository, Hannover Medical School, doi:10.6084/m9.figshare.12275009, CC BY 3.0."
)
SHOWN = ("nih_", "mhh")
BOXES = {
    A.RIGHT_LUNG: "cyan",
    A.LEFT_LUNG: "lime",
    A.CARDIAC_SILHOUETTE: "red",
    A.TRACHEA: "magenta",
    A.CARINA: "yellow",
    A.AORTIC_ARCH: "orange",
    A.RIGHT_CLAVICLE: "white",
    A.LEFT_CLAVICLE: "white",
}
TINTS = {
    MaskName.PLEURAL_EFFUSION: (0, 0, 130),
    MaskName.LUNG_OPACITY: (90, 90, 0),
    MaskName.MASS: (130, 0, 130),
    MaskName.PNEUMOTHORAX: (0, 110, 110),
    MaskName.DEVICE: (110, 50, 0),
}


@dataclass(frozen=True, slots=True)
class Case:
    """One picture: which film of the list, and why it is shown."""

    place: int
    words: str


def hard(given: RealFilms, limits: "Numbers") -> dict[str, list[Case]]:
    """Choose the worst lungs, odd sides, false alarms and misses, at most four each."""
    drawable = [i for i, f in enumerate(given.films) if Path(f.name).name.startswith(SHOWN)]
    boxed = [i for i in drawable if given.films[i].lungs is not None]
    overlap, order = lung_overlaps(given).mean(axis=1), side_order(given.seen)
    odd = [i for i in drawable if order[i] <= 0 or given.seen.mirrored[i]]
    calm = [i for i in drawable if given.films[i].calm]
    above = given.seen.findings - limits
    alarms = sorted((i for i in calm if above[i].max() >= 0), key=lambda i: -above[i].max())
    fluid = OBSERVATIONS.index(Observation.PLEURAL_EFFUSION)
    with_fluid = [i for i in drawable if given.films[i].truth()[fluid] > 0]
    missed = sorted(with_fluid, key=lambda i: float(given.seen.findings[i, fluid]))
    lost = [i for i in drawable if given.seen.in_scope[i] < HALF]
    return {
        "worst lungs against V7's boxes": [
            Case(i, f"IoU {overlap[i]:.2f}") for i in sorted(boxed, key=lambda i: overlap[i])[:EACH]
        ],
        "sides read against the usual display": [
            Case(i, f"evidence for mirrored {given.seen.evidence[i]:.1f}") for i in odd[:EACH]
        ],
        "labelled No Finding, yet called present": [
            Case(i, OBSERVATIONS[int(above[i].argmax())].value) for i in alarms[:EACH]
        ],
        "labelled effusion, least believed": [
            Case(i, f"chance {given.seen.findings[i, fluid]:.2f}") for i in missed[:EACH]
        ],
        "refused": [Case(i, str(given.seen.reasons[i])) for i in lost[:EACH]],
    }


def as_shown(eye: ListeningEye, given: RealFilms) -> RealFilms:
    """Leave of the masks what a reader would be shown, see :mod:`models.evaluation.shown`."""
    kept = shown.only(given.seen, eye.thresholds, eye.sign_thresholds)
    return replace(given, seen=replace(given.seen, masks=kept))


def strip(given: RealFilms, cases: list[Case]) -> str:
    """Draw cases side by side as one small JPEG, as text for a page's own image."""
    kept = io.BytesIO()
    sheet([tile(given, case) for case in cases]).save(kept, "JPEG", quality=72)
    return "data:image/jpeg;base64," + base64.b64encode(kept.getvalue()).decode()


def tile(given: RealFilms, case: Case) -> Image.Image:
    """Draw masks of findings as tints, boxes as lines, V7's lungs in grey."""
    film, boxes = given.films[case.place], given.seen.boxes[case.place]
    picture = np.repeat(film.pixels[..., None], 3, axis=2).astype(np.float32)
    for name, tint in TINTS.items():
        mask = _stretched(given.seen.masks[case.place, MASKS.index(name)], film.pixels.shape)
        picture += (mask > HALF)[..., None] * np.asarray(tint, np.float32)
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    scale = TILE / max(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)))
    pen = ImageDraw.Draw(image)
    if film.lungs is not None:
        for corners in film.lungs * np.tile(np.asarray(image.size), 2):
            pen.rectangle([float(v) for v in corners], outline="grey", width=2)
    for structure, colour in BOXES.items():
        corners = boxes[REGIONS.index(structure)] * scale
        pen.rectangle([float(v) for v in corners], outline=colour)
    pen.text((3, 3), f"{Path(film.name).stem} {film.view}", fill="yellow")
    pen.text((3, 15), case.words, fill="yellow")
    pen.text((3, 27), "|".join(sorted(film.labels))[:44], fill="yellow")
    square = Image.new("RGB", (TILE, TILE))
    square.paste(image, (0, 0))
    return square


def sheet(tiles: list[Image.Image]) -> Image.Image:
    """Lay tiles out in rows of four."""
    columns = min(len(tiles), COLUMNS) or 1
    page = Image.new("RGB", (columns * TILE, max(-(-len(tiles) // columns), 1) * TILE))
    for place, drawn in enumerate(tiles):
        page.paste(drawn, (place % columns * TILE, place // columns * TILE))
    return page


def _stretched(plane: "Numbers", shape: tuple[int, ...]) -> "Numbers":
    """Cut the padding off a mask of the square, enlarge it to the film, 0..1."""
    rows, columns = shape[:2]
    scale = MASK_SIDE / max(rows, columns)
    left, top = (MASK_SIDE - columns * scale) / 2, (MASK_SIDE - rows * scale) / 2
    box = (left, top, MASK_SIDE - left, MASK_SIDE - top)
    image = Image.fromarray(plane).resize((columns, rows), Image.Resampling.BILINEAR, box=box)
    return np.asarray(image, np.float32) / 255


def main() -> None:
    """Draw films at even steps through the part, half of them with lung boxes."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("bundle", "bases", "real", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--part", default="test", choices=("valid", "test"))
    chosen = parser.parse_args()
    films = real.load(chosen.real, chosen.part, chosen.bases / "small")
    boxed = [f for f in films if f.lungs is not None]
    rest = [f for f in films if f.lungs is None]
    half = 3 * COLUMNS // 2
    some = [
        *boxed[:: max(len(boxed) // half, 1)][:half],
        *rest[:: max(len(rest) // half, 1)][:half],
    ]
    eye = ListeningEye(load(chosen.bundle))
    given = as_shown(eye, see(eye, some, chosen.part))
    tiles = [tile(given, Case(i, "")) for i in range(len(some))]
    sheet(tiles).save(chosen.out, optimize=True)


if __name__ == "__main__":
    main()
