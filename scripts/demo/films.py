"""The seven films of the demonstration: what each shows, and what Carina must make of it."""

import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydicom import Dataset
from pydicom.data import get_testdata_file

from dicom import film
from dicom.film import FilmDescription, FilmPatient
from models.values import PixelBox
from models.vocabulary import Observation

EXAMPLES = Path(__file__).parents[2] / "models" / "examples"
EXAMPLE_FILES = {
    "finding": "frontal-with-mass.png",
    "normal": "frontal-without-finding.png",
    "lateral": "lateral.png",
}
SIXTEEN_BITS = 16
REAL_CHEST = "RG1_UNCR.dcm"
REAL_EXTREMITY = "RG3_UNCR.dcm"
NOISE_SEED = 20261121
NOISE_SIDE = 1024
BY_IMAGE = frozenset({"NOT_A_CHEST", "NOT_AN_IMAGE", "NOT_FRONTAL", "INCOMPLETE"})


class Outcome(StrEnum):
    """What must become of a film."""

    READ = "read"
    FINDING = "finding"
    NO_FINDING = "no finding"
    TURNED_AWAY = "turned away"


@dataclass(frozen=True, slots=True)
class Truth:
    """One inserted finding: what it is and its box in source pixels."""

    observation: Observation
    box: PixelBox


@dataclass(frozen=True, slots=True)
class DemoFilm:
    """One film on disk, its study, and what must become of it.

    ``refusals`` are the codes of reason that count as right for a film that is turned away.
    """

    key: str
    title: str
    outcome: Outcome
    path: Path
    study_instance_uid: str
    truths: tuple[Truth, ...] = ()
    refusals: frozenset[str] = frozenset()


def make(folder: Path, run: str) -> tuple[DemoFilm, ...]:
    """Write the seven films into ``folder``; ``run`` makes their UIDs new."""
    folder.mkdir(parents=True, exist_ok=True)
    silent = _real(REAL_EXTREMITY, f"{run}-silent", film.SILENT)
    lateral = example("lateral", run, view_position="LL", patient_orientation=("A", "F"))
    made = (
        _film("chest", "real chest (CR)", Outcome.READ, _real(REAL_CHEST, run)),
        _simulated("finding", "simulated, with a finding", Outcome.FINDING, run),
        _simulated("normal", "simulated, without any", Outcome.NO_FINDING, run),
        _refused("extremity", "real extremity (CR)", _real(REAL_EXTREMITY, run), {"BODY_PART"}),
        _refused("silent", "the same, header silent", silent, BY_IMAGE),
        _refused("lateral", "simulated lateral", lateral, {"LATERAL"}),
        _refused("noise", "noise, chest header", _noise(run), BY_IMAGE),
    )
    return tuple(_written(folder, one, ds) for one, ds in made)


Made = tuple[DemoFilm, Dataset]


def _film(key: str, title: str, outcome: Outcome, ds: Dataset) -> Made:
    return DemoFilm(key, title, outcome, Path(), str(ds.StudyInstanceUID)), ds


def _refused(key: str, title: str, ds: Dataset, codes: AbstractSet[str]) -> Made:
    made, ds = _film(key, title, Outcome.TURNED_AWAY, ds)
    return replace(made, refusals=frozenset(codes)), ds


def _simulated(key: str, title: str, outcome: Outcome, run: str) -> Made:
    made, ds = _film(key, title, outcome, example(key, run))
    return replace(made, truths=_truths(key)), ds


def _written(folder: Path, made: DemoFilm, ds: Dataset) -> DemoFilm:
    path = folder / f"{made.key}.dcm"
    path.write_bytes(film.encode(ds))
    return replace(made, path=path)


def _real(name: str, run: str, overrides: Mapping[str, object] | None = None) -> Dataset:
    path = get_testdata_file(name, download=False)
    assert path is not None, f"pydicom-data lacks {name}"
    return film.fresh_copy(Path(str(path)), seed=f"demo/{run}/{name}", overrides=overrides or {})


def example(
    key: str,
    run: str,
    view_position: str = "PA",
    patient_orientation: tuple[str, str] = ("L", "F"),
) -> Dataset:
    """Return one of the frozen simulated films as a DICOM film."""
    written = _written_truth(key)
    with Image.open(EXAMPLES / EXAMPLE_FILES[key]) as image:
        grey = np.asarray(image).astype(np.uint16)
    side_mm = float(written["pixel_mm"])
    description = FilmDescription(
        seed=f"demo/{run}/{key}",
        patient=_patient(key),
        view_position=view_position,
        patient_orientation=patient_orientation,
        imager_pixel_spacing_mm=(side_mm, side_mm),
    )
    # The film's makers want the full scale of the type.
    factor = np.uint16(1 << (SIXTEEN_BITS - int(written["bits"])))
    return film.from_pixels(grey * factor, description)


def _truths(key: str) -> tuple[Truth, ...]:
    return tuple(
        Truth(Observation(one["observation"]), PixelBox(*one["box"]))
        for one in _written_truth(key)["findings"]
    )


def _written_truth(key: str) -> dict[str, Any]:
    truths = json.loads((EXAMPLES / "truth.json").read_text(encoding="utf-8"))
    return dict(truths[EXAMPLE_FILES[key]])


def _noise(run: str) -> Dataset:
    rng = np.random.default_rng(NOISE_SEED)
    grey = rng.integers(0, 65536, (NOISE_SIDE, NOISE_SIDE), dtype=np.uint16)
    description = FilmDescription(seed=f"demo/{run}/noise", patient=_patient("noise"))
    return film.from_pixels(grey, description)


def _patient(key: str) -> FilmPatient:
    """Return an invented patient for each film, so that a viewer shows one study at a time."""
    return FilmPatient(patient_id=f"DEMO-{key.upper()}", patient_name=f"Demo^{key.title()}")
