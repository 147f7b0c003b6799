"""Step 6: all figures of the card, reproducibly.

``python -m models.training.evaluate --bundle DIR --bases DIR --real ROOT [--part test] --out FILE``

Simulated films are of poses never trained on (their own seed); real films are of patients never
trained on. Real labels are text-mined and noisy, and are reported within AP and within PA.
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.anatomy.eye import OnnxEye
from models.anatomy.session import NETWORK_FILE
from models.bundles import load
from models.simulate import strangers
from models.training import cache, measures, real
from models.training.bank import stranger, turned
from models.training.batches import place
from models.training.export import settings_of, settle
from models.training.measures import Numbers
from models.training.samples import Simulator
from models.values import ChestImage
from models.vocabulary import AnatomicStructure, Observation

if TYPE_CHECKING:
    from models.training.samples import Sample
    from models.values import Sight

REGIONS = tuple(AnatomicStructure)
RIGHT, LEFT = (
    REGIONS.index(AnatomicStructure.RIGHT_LUNG),
    REGIONS.index(AnatomicStructure.LEFT_LUNG),
)
BATCH = 16
SEED = 990_001


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """Outputs for a list of films: ``boxes`` (n, 36, 4) corners in film pixels, and the rest."""

    boxes: Numbers
    findings: Numbers
    in_scope: Numbers
    reasons: list[str | None]
    mirrored: Numbers


def look(eye: OnnxEye, films: "list[Numbers]") -> Looked:
    """Look at float32 films in batches."""
    sights: list[Sight] = []
    for start in range(0, len(films), BATCH):
        batch = [ChestImage(str(start + i), f) for i, f in enumerate(films[start : start + BATCH])]
        sights += eye.look(batch)
    boxes = np.full((len(films), 36, 4), np.nan, np.float32)
    for row, sight in enumerate(sights):
        for region in sight.regions:
            b = region.box
            boxes[row, REGIONS.index(region.structure)] = (b.x_min, b.y_min, b.x_max, b.y_max)
    return Looked(
        boxes,
        np.asarray([[s.probabilities[o] for o in Observation] for s in sights]),
        np.asarray([s.scope.in_scope for s in sights]),
        [s.scope.reason.value if s.scope.reason else None for s in sights],
        np.asarray([s.scope.mirrored for s in sights]),
    )


def simulated(eye: OnnxEye, simulator: Simulator, baseline: Numbers, films: int) -> dict[str, Any]:
    """Measure boxes beside a mean box, findings, mirrored films, cardiothoracic ratio."""
    rng = np.random.default_rng(SEED)
    samples = [simulator.frontal(rng, i % len(simulator.bases)) for i in range(films)]
    samples = [s for s in samples if s.scope == 0]
    seen = look(eye, [s.film for s in samples])
    truth = np.stack([corners(s) for s in samples])
    known = np.stack([s.present for s in samples]) > 0
    ious = measures.overlaps(seen.boxes, truth)
    plain = measures.overlaps(np.broadcast_to(baseline, truth.shape), truth)
    per_region = {
        name.value: {"iou": _mean(ious[known[:, i], i]), "mean_box": _mean(plain[known[:, i], i])}
        for i, name in enumerate(REGIONS)
    }
    own, base = _mean(ious[known]), _mean(plain[known])
    labels = np.stack([s.findings for s in samples])
    weights = np.stack([s.findings_known for s in samples]) > 0
    mirrored = np.asarray([s.mirrored for s in samples]) > 0
    return {
        "films": len(samples),
        "mean_iou": own,
        "mean_box_iou": base,
        "skill": round((own - base) / (1 - base), 4),
        "mean_iou_mirrored": _mean(ious[mirrored][known[mirrored]]),
        "mean_iou_usual": _mean(ious[~mirrored][known[~mirrored]]),
        "mirrored_accuracy": _mean((seen.mirrored > 0.5) == mirrored),  # noqa: PLR2004
        "in_scope": _mean(seen.in_scope >= 0.5),  # noqa: PLR2004
        "regions": per_region,
        "findings": {
            o.value: measures.binary(
                labels[weights[:, i], i], seen.findings[weights[:, i], i], eye.thresholds[o]
            )
            for i, o in enumerate(Observation)
        },
        "cardiothoracic": ratio_error(samples, seen),
    }


def ratio_error(samples: "list[Sample]", seen: Looked) -> dict[str, float]:
    """Measured minus true ratio, from boxes: heart width over width of both lungs."""
    true = np.stack([corners(s) for s in samples])
    usual = np.asarray([s.mirrored == 0 and s.present[[RIGHT, LEFT]].all() for s in samples])
    errors = (ratio(seen.boxes) - ratio(true))[usual]
    return {"bias": _mean(errors), "sd": round(float(np.std(errors)), 4), "films": int(usual.sum())}


def ratio(boxes: Numbers) -> Numbers:
    """Cardiothoracic ratio of boxes ``(n, 36, 4)``."""
    heart = boxes[:, REGIONS.index(AnatomicStructure.CARDIAC_SILHOUETTE)]
    chest = np.maximum(boxes[:, LEFT, 2] - boxes[:, RIGHT, 0], 1e-3)
    return np.asarray((heart[:, 2] - heart[:, 0]) / chest)


def corners(sample: "Sample") -> Numbers:
    """Return a sample's boxes as corners in pixels of the square."""
    b = sample.boxes * sample.film.shape[0]
    return np.concatenate([b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2], axis=1)


def on_real(eye: OnnxEye, films: "list[real.RealFilm]") -> dict[str, Any]:
    """Lungs against V7 boxes, order of sides, scope, findings against noisy labels."""
    seen = look(eye, [f.pixels.astype(np.float32) for f in films])
    flipped = look(eye, [np.ascontiguousarray(f.pixels[:, ::-1]).astype(np.float32) for f in films])
    width = np.asarray([f.pixels.shape[1] for f in films])
    middle = (seen.boxes[..., 0] + seen.boxes[..., 2]) / 2
    back = width[:, None] - (flipped.boxes[..., 0] + flipped.boxes[..., 2]) / 2
    boxed = [i for i, f in enumerate(films) if f.lungs is not None]
    scale = [np.tile(f.pixels.shape[1::-1], 2) for f in films]
    right = measures.overlaps(
        seen.boxes[boxed, RIGHT],
        np.stack([films[i].lungs[0] * scale[i] for i in boxed]),  # type: ignore[index]
    )
    left = measures.overlaps(
        seen.boxes[boxed, LEFT],
        np.stack([films[i].lungs[1] * scale[i] for i in boxed]),  # type: ignore[index]
    )
    people = [films[i].patient for i in boxed]
    both = (right + left) / 2
    agree = np.sign(middle[:, RIGHT] - middle[:, LEFT]) == np.sign(back[:, RIGHT] - back[:, LEFT])
    return {
        "films": len(films),
        "patients": len({f.patient for f in films}),
        "lung_iou": {
            "films": len(boxed), "patients": len(set(people)), "right": _mean(right),
            "left": _mean(left), "interval": measures.bootstrap_mean(both, people),
            "tenth_percentile": round(float(np.quantile(both, 0.1)), 4),
        },
        "sides_in_order": _mean(middle[:, RIGHT] < middle[:, LEFT]),
        "original_and_mirrored_agree": _mean(agree),
        "false_refusals": _mean(seen.in_scope < 0.5),  # noqa: PLR2004
        "called_mirrored": _mean(seen.mirrored > 0.5),  # noqa: PLR2004
        "mirrored_films_called_mirrored": _mean(flipped.mirrored > 0.5),  # noqa: PLR2004
        "findings": noisy(eye, films, seen),
    }  # fmt: skip


def noisy(eye: OnnxEye, films: "list[real.RealFilm]", seen: Looked) -> dict[str, Any]:
    """Agreement with text-mined labels, within AP and within PA; not accuracy."""
    result: dict[str, Any] = {}
    for view in ("AP", "PA"):
        rows = [i for i, f in enumerate(films) if f.labelled and f.view == view]
        labels = np.stack([films[i].truth() for i in rows])
        people = [films[i].patient for i in rows]
        result[view] = {
            o.value: measures.binary(
                labels[:, k], seen.findings[rows, k], eye.thresholds[o], people
            )
            for k, o in enumerate(Observation)
        }
        calm = [i for i in rows if films[i].labels == {"No Finding"}]
        limits = np.asarray([eye.thresholds[o][1] for o in Observation])
        result[view]["no_finding_films_called_present"] = _mean(
            np.asarray((seen.findings[calm] >= limits).any(1))
        )
    return result


def refusals(
    eye: OnnxEye, frontal: Simulator, aside: Simulator, films: "list[real.RealFilm]"
) -> dict[str, Any]:
    """Share of each family of strangers that is turned away."""
    rng = np.random.default_rng(SEED + 1)
    families: dict[str, list[Numbers]] = {
        name: [stranger(rng, name).film for _ in range(60)] for name in strangers.FAMILIES
    }
    families["simulated lateral or oblique"] = [
        aside.sideways(rng, i % len(aside.bases)).film for i in range(60)
    ]
    families["simulated abdomen, neck, shoulder"] = [
        frontal.part(rng, i % len(frontal.bases)).film for i in range(60)
    ]
    some = [films[int(i)] for i in rng.integers(len(films), size=80)]
    families["real film turned or with reversed tones"] = [
        turned(rng, place(f.pixels, (0, 0, 1, 1))[0]).film for f in some
    ]
    return {name: _mean(look(eye, pictures).in_scope < 0.5) for name, pictures in families.items()}  # noqa: PLR2004


def speed(eye: OnnxEye, runs: int = 30) -> dict[str, float]:
    """Milliseconds inside the network at batch 1, and for a whole look at a 2500 x 2000 film."""
    film = np.random.default_rng(0).random((2500, 2000)).astype(np.float32)
    image = ChestImage("speed", film)
    eye.look([image])
    inside, whole = [], []
    for _ in range(runs):
        before, started = eye.session_seconds, time.perf_counter()
        eye.look([image])
        whole.append(time.perf_counter() - started)
        inside.append(eye.session_seconds - before)
    return {
        "session_ms": round(float(np.median(inside)) * 1e3, 1),
        "look_ms": round(float(np.median(whole)) * 1e3, 1),
    }


def mean_box(bases: cache.Bases, simulator: Simulator) -> Numbers:
    """Average each region's box over 300 simulated training films, corners in the square."""
    rng = np.random.default_rng(SEED + 2)
    samples = [simulator.frontal(rng, i % len(bases), mirror=0.0) for i in range(300)]
    boxes = np.stack([corners(s) for s in samples])
    known = np.stack([s.present for s in samples])[..., None]
    return np.asarray((boxes * known).sum(0) / np.maximum(known.sum(0), 1))


def _mean(values: Numbers) -> float:
    return round(float(np.mean(values)), 4) if len(values) else float("nan")


def figures(chosen: argparse.Namespace) -> dict[str, Any]:
    """Everything, as plain numbers."""
    eye = OnnxEye(load(chosen.bundle))
    small = chosen.bases / "small"
    tones = real.tones(real.load(chosen.real, "train", small))
    train = cache.load(chosen.bases, "train")
    baseline = mean_box(train, Simulator(train, tones))
    frontal = Simulator(cache.load(chosen.bases, chosen.part), tones)
    aside = Simulator(cache.load(chosen.bases, "sideways"), tones)
    films = real.load(chosen.real, chosen.part, small)
    return {
        "part": chosen.part,
        "network_sha256": load(chosen.bundle).files[NETWORK_FILE],
        "simulated": simulated(eye, frontal, baseline, chosen.films),
        "real": on_real(eye, films),
        "refused": refusals(eye, frontal, aside, films),
        "speed": speed(eye),
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("bundle", "bases", "real", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--part", default="valid", choices=("valid", "test"))
    parser.add_argument("--films", type=int, default=400)
    parser.add_argument("--keep", action="store_true", help="write the figures into the bundle")
    chosen = parser.parse_args()
    found = figures(chosen)
    if chosen.keep:
        settle(chosen.bundle, settings_of(load(chosen.bundle)), found)
    text = json.dumps(found, indent=1)
    chosen.out.write_text(text + "\n")
    print(text)  # noqa: T201


if __name__ == "__main__":
    main()
