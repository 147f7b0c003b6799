"""Step 5b: choose limits on validation films and write them into the bundle.

``python -m models.training.calibrate --bundle DIR --bases DIR --real ROOT --version 0.2.0``

Only simulated validation films and real validation patients are looked at, never the test part.
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.anatomy.eye import OnnxEye
from models.bundles import load
from models.training import cache, real
from models.training.evaluate import BATCH, SEED, look, ratio_error
from models.training.export import settle
from models.training.samples import Simulator
from models.values import ChestImage
from models.vocabulary import Observation

if TYPE_CHECKING:
    from models.training.evaluate import Looked
    from models.training.measures import Numbers
    from models.training.samples import Sample

FALSE_PRESENT_PLAIN, FALSE_PRESENT_OTHER, FALSE_PRESENT_REAL = 0.02, 0.10, 0.05
MISSED_AS_ABSENT = 0.08  # share of simulated findings that may be called absent
FALSE_REFUSALS = 0.01
SAMPLES = 400
LIMITS = (
    "Trained on films simulated from one CT and on {films} real films; for demonstration only.",
    "Called present of simulated findings: {sensitivity}; on real films it is much weaker.",
    "Small nodules, and findings behind the heart or below the diaphragm, are often missed.",
    "Probabilities are not calibrated on real films.",
)


def limits(scores: "Numbers", labels: "Numbers", plain: "Numbers", calm: "Numbers") -> list[float]:
    """Choose ``[absent_below, present_from]`` for one observation.

    ``scores`` and ``labels`` are of simulated films; ``plain`` marks those without any finding in
    the lungs, on which a false alarm is worst: one finding taken for another still sends a reader
    to the right place. ``calm`` are scores of real films labelled *No Finding* (which is often not
    normal, so this errs on the side of silence).
    """
    present = max(
        float(np.quantile(scores[plain & (labels < 0.5)], 1 - FALSE_PRESENT_PLAIN)),  # noqa: PLR2004
        float(np.quantile(scores[labels < 0.5], 1 - FALSE_PRESENT_OTHER)),  # noqa: PLR2004
        float(np.quantile(calm, 1 - FALSE_PRESENT_REAL)),
    )
    found = scores[labels > 0.5]  # noqa: PLR2004
    absent = min(float(np.quantile(found, MISSED_AS_ABSENT)), present)
    # A head that separates well leaves room for doubt between its two limits.
    present = max(present, min(0.5, float(np.quantile(found, 0.1))))
    return [round(min(absent, 0.97), 4), round(min(present, 0.98), 4)]


def scope(eye: OnnxEye, films: "list[real.RealFilm]") -> dict[str, float]:
    """Choose the operating point of the scope head on real films that must be accepted."""
    margins, spreads = [], []
    for start in range(0, len(films), BATCH):
        images = [
            ChestImage(f.name, f.pixels.astype(np.float32)) for f in films[start : start + BATCH]
        ]
        seen = [outputs for outputs, _ in eye.outputs(images)]
        logits = np.stack([one["scope"] for one in seen])
        margins.append(logits[:, 0] - np.logaddexp.reduce(logits[:, 1:], axis=1))
        spreads.append(np.stack([one["spread"] for one in seen]).mean(1))
    limit = float(np.quantile(np.concatenate(spreads), 0.995))
    margin = float(np.quantile(np.concatenate(margins), FALSE_REFUSALS))
    return {
        # Halfway between certain strangers (about -6) and the doubtful end of real chests.
        "scope_margin": round(min(margin - 0.2, 1.5), 4),
        "spread_limit": round(limit, 5),
        "spread_slope": round(12.0 / limit, 3),
    }


def settings(eye: OnnxEye, simulator: Simulator, films: "list[real.RealFilm]") -> dict[str, Any]:
    """Everything the manifest needs, from validation films."""
    rng = np.random.default_rng(SEED + 7)
    samples: list[Sample] = [
        simulator.frontal(rng, i % len(simulator.bases)) for i in range(SAMPLES)
    ]
    samples = [s for s in samples if s.scope == 0]
    made = look(eye, [s.film for s in samples])
    seen = look(eye, [f.pixels.astype(np.float32) for f in films])
    calm = [i for i, f in enumerate(films) if f.labels == {"No Finding"}]
    chosen = {
        o.value: _limits_of(k, samples, made, seen.findings[calm])
        for k, o in enumerate(Observation)
    }
    error = ratio_error(samples, made)
    return {
        "thresholds": chosen,
        "operating": scope(eye, films),
        "cardiothoracic": {"bias": error["bias"], "sd": error["sd"]},
        "sensitivity": _sensitivity(samples, made, chosen),
    }


def _limits_of(place: int, samples: "list[Sample]", made: "Looked", calm: "Numbers") -> list[float]:
    known = np.asarray([s.findings_known[place] > 0 for s in samples])
    labels = np.asarray([s.findings[place] for s in samples])
    plain = np.asarray([s.findings[1:].max() == 0 for s in samples])
    return limits(made.findings[known, place], labels[known], plain[known], calm[:, place])


def _sensitivity(
    samples: "list[Sample]", made: "Looked", chosen: dict[str, list[float]]
) -> dict[str, float]:
    """Share of simulated findings called present at the chosen limits."""
    result = {}
    for place, (name, pair) in enumerate(chosen.items()):
        rows = [s.findings[place] > 0 and s.findings_known[place] > 0 for s in samples]
        result[name] = round(float((made.findings[rows, place] >= pair[1]).mean()), 2)
    return result


def main() -> None:
    """Choose and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("bundle", "bases", "real"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--version", required=True)
    chosen = parser.parse_args()
    small = chosen.bases / "small"
    train = real.load(chosen.real, "train", small)
    simulator = Simulator(cache.load(chosen.bases, "valid"), real.tones(train))
    found = settings(
        OnnxEye(load(chosen.bundle)), simulator, real.load(chosen.real, "valid", small)
    )
    shares = found.pop("sensitivity")
    words = ", ".join(f"{share:.0%} ({name})" for name, share in shares.items())
    found["limits"] = [line.format(films=len(train), sensitivity=words) for line in LIMITS]
    found["version"] = chosen.version
    settle(chosen.bundle, found)
    print(json.dumps(found, indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
