"""Real films: the frozen split by patient, their small copies, boxes and noisy labels."""

import csv
import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from models.anatomy.preparation import shrink
from models.simulate.film import Tones
from models.training import drawn, outlines
from models.training.drawn import Drawn
from models.vocabulary import Observation, Sign

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from models.training.outlines import Outlines

SPLIT_FILE = Path(__file__).parent / "split.json"
PARTS = {"train": 60, "valid": 15, "test": 25}  # percent of patients
LONGER_SIDE = 416  # films are kept this large
CORNERS = ("x1", "y1", "x2", "y2")
NOISY_WEIGHT = 0.35  # how much a text-mined label counts beside an exact one
NOISY = {
    Observation.ENLARGED_CARDIAC_SILHOUETTE: {"Cardiomegaly"},
    Observation.PLEURAL_EFFUSION: {"Effusion"},
    Observation.LUNG_OPACITY: {"Infiltration", "Consolidation", "Pneumonia", "Atelectasis"},
    Observation.MASS: {"Mass", "Nodule"},
}
NOISY_SIGNS = {
    Sign.PLEURAL_EFFUSION: {"Effusion"},
    Sign.PNEUMOTHORAX: {"Pneumothorax"},
    Sign.CONSOLIDATION: {"Consolidation", "Pneumonia"},
    Sign.ATELECTASIS: {"Atelectasis"},
    Sign.MASS: {"Mass"},
    Sign.NODULE: {"Nodule"},
    Sign.PULMONARY_EDEMA: {"Edema"},
    Sign.ENLARGED_CARDIAC_SILHOUETTE: {"Cardiomegaly"},
}

KINDS: dict[str, dict[str, Any]] = {
    "text-mined labels": {"labels": frozenset()},
    "lung boxes": {"lungs": None},
    "drawn boxes": {"drawn": None},
    "drawn outlines": {"outlines": {}},
}
"""What of a film is not told when one kind of label is left out."""


@dataclass(frozen=True, slots=True, eq=False)
class RealFilm:
    """One real film: ``pixels`` uint8, longer side 416; boxes in 0..1 of width and height.

    ``lungs`` are right and left V7 boxes ``(2, 4)`` as corners, or None. ``labels`` are text-mined
    image labels; empty for films without them. ``sex`` is M, F or empty.
    """

    name: str
    patient: str
    view: str
    age: int | None
    labels: frozenset[str]
    pixels: "NDArray[np.uint8]"
    lungs: "NDArray[np.float32] | None"
    drawn: Drawn | None = None
    sex: str = ""
    outlines: "Outlines" = field(default_factory=dict)

    @property
    def labelled(self) -> bool:
        """Whether the image labels say something on the observations."""
        return bool(self.labels) and not any("COVID" in label for label in self.labels)

    @property
    def calm(self) -> bool:
        """Whether *No Finding* is all that the labels say; such a film is often not normal."""
        return self.labels == {"No Finding"}

    def truth(self) -> "NDArray[np.float32]":
        """Noisy labels in the order of Observation, 1 or 0."""
        return np.asarray([float(bool(self.labels & NOISY[o])) for o in Observation], np.float32)

    def signs(self) -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
        """Noisy labels in the order of Sign, and 1 where the labels say anything of that sign."""
        told = [float(bool(self.labels & NOISY_SIGNS.get(sign, set()))) for sign in Sign]
        known = [float(sign in NOISY_SIGNS) for sign in Sign]
        return np.asarray(told, np.float32), np.asarray(known, np.float32)


def part_of(patient: str) -> str:
    """Which part a patient belongs to, by a hash of the patient's key; never changes."""
    place = int(hashlib.sha256(f"carina-1:{patient}".encode()).hexdigest(), 16) % 100
    if place < PARTS["train"]:
        return "train"
    return "valid" if place < PARTS["train"] + PARTS["valid"] else "test"


def freeze(root: Path) -> str:
    """Write the split of all adult patients to ``split.json`` and return its SHA-256."""
    patients = sorted({row["patient"] for row in _rows(root) if _adult(row)})
    split = {part: [p for p in patients if part_of(p) == part] for part in PARTS}
    text = json.dumps(split, indent=0) + "\n"
    SPLIT_FILE.write_text(text)
    return hashlib.sha256(text.encode()).hexdigest()


def load(root: Path, part: str, cache: Path) -> list[RealFilm]:
    """All adult films of one part; small copies are kept in ``cache``."""
    split = json.loads(SPLIT_FILE.read_text())
    wanted = set(split[part])
    boxes = _lung_boxes(root)
    by_eye = drawn.load("train") if part == "train" else {}
    outlined = outlines.load("train") if part == "train" else {}
    cache.mkdir(parents=True, exist_ok=True)
    films = []
    for row in _rows(root):
        if row["patient"] not in wanted or not _adult(row):
            continue
        name = row["filename"]
        films.append(
            RealFilm(
                name,
                row["patient"],
                row["view"],
                int(row["age"]) if row["age"] else None,
                frozenset(row["image_labels"].split("|")),
                _small(root / name, cache),
                boxes.get(name),
                by_eye.get(name),
                row.get("sex", ""),
                outlined.get(name, {}),
            )
        )
    return films


def untold(films: list[RealFilm], kinds: "Collection[str]") -> list[RealFilm]:
    """Return the films without some ``kinds`` of their labels, for ablations, see KINDS."""
    for kind in kinds:
        films = [replace(film, **KINDS[kind]) for film in films]
    return films


def tones(films: list[RealFilm]) -> Tones:
    """Grey-level quantiles of the films' middle."""
    levels = np.linspace(0.0, 1.0, 64)
    rows = [np.quantile(f.pixels[8:-8:3, 8:-8:3], levels).astype(np.float32) / 255.0 for f in films]
    stretched = [(r - r[0]) / max(float(r[-1] - r[0]), 1e-3) for r in rows]
    return Tones(np.stack(stretched))


def _rows(root: Path) -> list[dict[str, str]]:
    with (root / "images.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def _adult(row: dict[str, str]) -> bool:
    """Films without an age are of adult series."""
    return not row["age"] or int(row["age"]) >= 18  # noqa: PLR2004


def _lung_boxes(root: Path) -> "dict[str, NDArray[np.float32]]":
    """V7 boxes of right and left lung per film, corners in 0..1 of width and height."""
    found: dict[str, dict[str, list[float]]] = {}
    with (root / "annotations.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["region"] not in {"right lung", "left lung"}:
                continue
            width, height = float(row["width"]), float(row["height"])
            box = [float(row["x1"]) / width, float(row["y1"]) / height,
                   float(row["x2"]) / width, float(row["y2"]) / height]  # fmt: skip
            found.setdefault(row["filename"], {})[row["region"]] = box
    return {
        name: np.asarray([pair["right lung"], pair["left lung"]], np.float32)
        for name, pair in found.items()
        if len(pair) == 2  # noqa: PLR2004
    }


def _small(path: Path, cache: Path) -> "NDArray[np.uint8]":
    """Return the film with its longer side at 416, from the cache when it is there."""
    kept = cache / f"{path.stem}.png"
    if not kept.is_file():
        pixels = np.asarray(Image.open(path).convert("L"), np.float32)
        Image.fromarray(np.round(shrink(pixels, LONGER_SIDE)).astype(np.uint8)).save(kept)
    return np.asarray(Image.open(kept))


def pneumonia_boxes(root: Path) -> "dict[str, NDArray[np.float32]]":
    """Return NIH's pneumonia boxes by film, corners in 0..1; drawn by a radiologist."""
    found = {}
    with (root / "annotations.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["region"] == "pneumonia":
                sizes = (float(row["width"]), float(row["height"])) * 2
                corners = [float(row[k]) / s for k, s in zip(CORNERS, sizes, strict=True)]
                found[row["filename"]] = np.asarray(corners, np.float32)
    return found
