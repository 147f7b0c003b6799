"""Fit how the eye's lung boxes turn into the V7 convention, on training patients only.

``python -m models.training.variants --real ROOT --small DIR [--bundle DIR] [--write]``

Looks at the films that have V7 lung boxes, takes the median step from the eye's edge to V7's edge
in fractions of the box, and chooses by leaving one training patient out at a time between no step,
one for both sides, and one per side. Validation patients are looked at once, for the figure that is
written beside the rules. To be run again whenever the network changes: the steps are from *its*
boxes. A network trained on V7 boxes has taken over a part of the convention already.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models import bundles, geometry, regions
from models.anatomy.eye import OnnxEye
from models.regions import RegionVariant
from models.regions_rules import Shift
from models.training import measures, real
from models.values import ChestImage, PixelBox
from models.vocabulary import AnatomicStructure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from models.training.measures import Numbers
    from models.values import AnatomyRegion

LUNGS = (AnatomicStructure.RIGHT_LUNG, AnatomicStructure.LEFT_LUNG)
MOST = 0.25  # of the box: no convention moves an edge further; beyond it the eye was lost
WORTH = 0.001  # mean IoU by which a richer form must be better to be taken
OUT = Path(regions.__file__).parent / regions.VARIANTS_FILE
PAPER = OUT.parent.parent / "docs" / "regions.md"
BEGIN, END = "<!-- v7: written by models.training.variants -->\n", "<!-- v7: end -->"


@dataclass(frozen=True, slots=True, eq=False)
class BoxedFilm:
    """What the eye saw on one film, and the V7 boxes of right and left lung, source pixels."""

    patient: str
    seen: "tuple[AnatomyRegion, ...]"
    truth: tuple[PixelBox, PixelBox]

    def overlaps(self, rules: "Sequence[Shift]") -> tuple[float, float]:
        """IoU of right and left lung after these rules; a lung not seen counts as 0."""
        boxes = {r.structure: r.box for r in regions.apply(self.seen, rules)}
        right, left = (
            geometry.overlap(boxes[name], drawn) if name in boxes else 0.0
            for name, drawn in zip(LUNGS, self.truth, strict=True)
        )
        return right, left

    def steps(self) -> "Numbers":
        """Outward steps ``(2, 4)`` from the eye's edges to V7's: medial, lateral, upper, lower.

        Fractions of the box; NaN for a lung that was not seen.
        """
        boxes = {region.structure: region.box for region in self.seen}
        frame = regions.frame_of(boxes)
        rows = []
        for name, drawn in zip(LUNGS, self.truth, strict=True):
            if name not in boxes:
                rows.append([np.nan] * 4)
                continue
            own, other = frame.to_patient(boxes[name]), frame.to_patient(drawn)
            right = (own.x_min - other.x_min) / own.width
            left = (other.x_max - own.x_max) / own.width
            inner, outer = (left, right) if name is AnatomicStructure.RIGHT_LUNG else (right, left)
            upper = (own.y_min - other.y_min) / own.height
            rows.append([inner, outer, upper, (other.y_max - own.y_max) / own.height])
        return np.asarray(rows)


def no_step(_: "Sequence[BoxedFilm]") -> tuple[Shift, ...]:
    """Leave the boxes as they are."""
    return ()


def both_alike(films: "Sequence[BoxedFilm]") -> tuple[Shift, ...]:
    """One median step per edge for both lungs."""
    step = _median(np.concatenate([film.steps() for film in films]))
    return tuple(Shift(name, *step) for name in LUNGS)


def each_its_own(films: "Sequence[BoxedFilm]") -> tuple[Shift, ...]:
    """One median step per edge and lung."""
    steps = np.stack([film.steps() for film in films])
    return tuple(Shift(name, *_median(steps[:, i])) for i, name in enumerate(LUNGS))


FORMS: "dict[str, Callable[[Sequence[BoxedFilm]], tuple[Shift, ...]]]" = {
    "no step": no_step,
    "both sides alike": both_alike,
    "each side its own": each_its_own,
}
"""From the simplest to the richest."""


def _median(steps: "Numbers") -> list[float]:
    return [round(float(v), 4) for v in np.clip(np.nanmedian(steps, axis=0), -MOST, MOST)]


def left_out(films: "Sequence[BoxedFilm]", form: str) -> float:
    """Mean IoU of every film under the rules fitted without its patient."""
    found: list[float] = []
    for patient in sorted({film.patient for film in films}):
        rules = FORMS[form]([film for film in films if film.patient != patient])
        found += [np.mean(f.overlaps(rules)).item() for f in films if f.patient == patient]
    return float(np.mean(found))


def choose(films: "Sequence[BoxedFilm]") -> tuple[str, dict[str, float]]:
    """Return the form that does best on patients left out, and the IoU of each form.

    Raises
    ------
    ValueError
        If the films are of fewer than two patients.
    """
    if len({film.patient for film in films}) < 2:  # noqa: PLR2004
        raise ValueError("boxed films of at least two training patients are needed")
    scores = {name: round(left_out(films, name), 4) for name in FORMS}
    best = next(iter(FORMS))
    for name, score in scores.items():
        if score >= scores[best] + WORTH:
            best = name
    return best, scores


def looked_at(eye: OnnxEye, films: "Iterable[real.RealFilm]") -> list[BoxedFilm]:
    """Look at the films that have V7 boxes."""
    boxed = []
    for film in films:
        if film.lungs is None:
            continue
        rows, columns = film.pixels.shape
        corners = film.lungs.astype(float) * np.asarray([columns, rows, columns, rows])
        right, left = (PixelBox(*map(float, box)) for box in corners)
        image = ChestImage(film.name, film.pixels.astype(np.float32) / np.float32(255))
        boxed.append(BoxedFilm(film.patient, eye.look([image])[0].regions, (right, left)))
    return boxed


def measured(films: "Sequence[BoxedFilm]", rules: "Sequence[Shift]") -> dict[str, Any]:
    """Mean IoU of both lungs before and after, with an interval that draws patients."""
    people = [film.patient for film in films]
    before = np.asarray([np.mean(film.overlaps(())) for film in films])
    after = np.asarray([np.mean(film.overlaps(rules)) for film in films])
    return {
        "films": len(films),
        "patients": len(set(people)),
        "iou_before": round(float(before.mean()), 4),
        "iou_after": round(float(after.mean()), 4),
        "gain_interval": measures.bootstrap_mean(after - before, people),
    }


def fitted(
    train: "Sequence[BoxedFilm]", valid: "Sequence[BoxedFilm]", weights_sha256: str
) -> dict[str, Any]:
    """Return the ``v7`` part of the file: rules, and what they were fitted and measured on."""
    form, scores = choose(train)
    rules = FORMS[form](train)
    return {
        "basis": "fitted on training patients, lungs only",
        "weights_sha256": weights_sha256,
        "form": form,
        "iou_left_out": scores,
        "train": measured(train, rules),
        "valid": measured(valid, rules),
        "rules": [{"rule": "shift", **asdict(rule)} for rule in rules],
    }


def in_words(part: dict[str, Any]) -> str:
    """Return the ``v7`` part as the tables of docs/regions.md."""
    lines = [
        "| films of | films, patients | mean lung IoU before | after | gain, 95 % over patients |",
        "|---|---|---|---|---|",
    ]
    for name, who in (("train", "training"), ("valid", "validation")):
        of, (low, high) = part[name], part[name]["gain_interval"]
        lines.append(
            f"| {who} patients | {of['films']}, {of['patients']} | {of['iou_before']:.3f} "
            f"| {of['iou_after']:.3f} | {low:+.3f} to {high:+.3f} |"
        )
    scores = ", ".join(f"{name} {score:.3f}" for name, score in part["iou_left_out"].items())
    lines += ["", f"Training patients left out in turn: {scores}. Taken: {part['form']}.", ""]
    edges = ("medial", "lateral", "upper", "lower")
    lines += ["| outwards | " + " | ".join(edges) + " |", "|---|---|---|---|---|"]
    lines += [
        f"| {row['region']} | " + " | ".join(f"{100 * row[edge]:+.1f} %" for edge in edges) + " |"
        for row in part["rules"]
    ]
    lines += ["", f"Fitted for weights `{part['weights_sha256'][:12]}`.", ""]
    return "\n".join(lines)


def write(found: dict[str, Any], paper: Path = PAPER, out: Path = OUT) -> None:
    """Write the rules, and their figures into the paper where there is one (a checkout)."""
    out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if paper.is_file():
        text = paper.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        _, end, after = rest.partition(END)
        tables = in_words(found[RegionVariant.V7])
        paper.write_text(before + BEGIN + tables + end + after, encoding="utf-8")


def main() -> None:
    """Fit, print, and write when asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, required=True, help="folder of the real films")
    parser.add_argument("--small", type=Path, required=True, help="where their small copies are")
    parser.add_argument("--bundle", type=Path, help="the eye; the shipped one when left out")
    parser.add_argument(
        "--write", action="store_true", help=f"into {OUT.name} and docs/{PAPER.name}"
    )
    chosen = parser.parse_args()
    bundle = bundles.load(chosen.bundle) if chosen.bundle else bundles.find()
    eye = OnnxEye(bundle)
    train, valid = (
        looked_at(eye, real.load(chosen.real, part, chosen.small)) for part in ("train", "valid")
    )
    found = regions.described()
    found[RegionVariant.V7] = fitted(train, valid, bundle.identity.weights_sha256)
    if chosen.write:
        write(found)
    print(json.dumps(found[RegionVariant.V7], indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
