"""The eye report: every figure of the card, once, into one page and one file of numbers.

``python -m models.evaluation.report --bundle DIR --bases DIR --real ROOT [--part test] --out DIR``

What cannot be measured for want of data stands in the table as not measured, with the reason. The
test part is to be read once, at the end; ``--into`` writes the numbers into the bundle.
"""

import argparse
import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.anatomy.eye import OnnxEye
from models.anatomy.heads import OBSERVATIONS
from models.anatomy.session import NETWORK_FILE
from models.bundles import load
from models.evaluation import chapters, gallery, page
from models.evaluation.chapters import Material
from models.evaluation.looking import ListeningEye
from models.evaluation.rows import Findings
from models.evaluation.speed import speed
from models.training.export import settle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.bundles import Bundle

STEP = re.compile(r"^step (\d+)/\d+ [\d.]+ s: (.*)$")
VALUE = re.compile(r"([a-z]+) ([\d.]+)")


def measure(material: Material) -> tuple[Findings, dict[str, str]]:
    """Return all chapters, and the pictures of hard cases."""
    found, pictures = Findings(), {}
    _say("simulated films")
    found.join(chapters.simulated(material))
    _say("controls")
    found.join(chapters.controlled(material))
    _say("real films")
    told, given = chapters.real_films(material)
    found.join(told)
    _say("out of scope")
    found.join(chapters.strange(material, given))
    _say("time")
    found.join(speed(OnnxEye(load(material.folder))))
    if given is not None:
        given = gallery.as_shown(material.eye, given)
        for name, cases in gallery.hard(given, material.limits).items():
            if cases:
                pictures[name] = gallery.strip(given, cases)
    return found, pictures


def history(log: Path | None) -> "dict[str, Sequence[float]]":
    """Return each loss over the reported steps of a training log."""
    if log is None or not log.is_file():
        return {}
    curves: dict[str, list[float]] = {}
    for line in log.read_text().splitlines():
        step = STEP.match(line)
        if step:
            for name, value in VALUE.findall(step.group(2)):
                curves.setdefault(name, []).append(float(value))
    return dict(curves)


def numbers(bundle: "Bundle", material: Material, found: Findings) -> dict[str, Any]:
    """Return what is kept beside the weights."""
    return {
        "bundle": f"{bundle.name} {bundle.version}",
        "network_sha256": bundle.files[NETWORK_FILE],
        "part": material.part,
        "figures": [row.to_json() for row in found.rows],
        **found.tables,
    }


def facts(bundle: "Bundle", material: Material, now: datetime) -> dict[str, str]:
    """Return what a reader needs to know of bundle and data."""
    return {
        "bundle": f"{bundle.name} {bundle.version}, use = {bundle.use.value}",
        "network": f"SHA-256 {bundle.files[NETWORK_FILE]}",
        "part": f"{material.part} (films and patients that were not trained on)",
        "simulated": _simulated(material),
        "real": "NIH ChestX-ray14 and Hannover, adults; see the model card",
        "limits": " ".join(bundle.limits),
        "made": now.strftime("%Y-%m-%d %H:%M UTC"),
    }


def _simulated(material: Material) -> str:
    if material.frozen is not None:
        return "the frozen test films of models/simulate/test_set.py"
    held = "with held-out factors" if material.part == "test" else "with the factors of training"
    return f"poses and scenes of the part {material.part}, {held}"


def write(out: Path, report: page.Report, kept: dict[str, Any]) -> None:
    """Write ``index.html`` and ``figures.json``."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "index.html").write_text(page.render(report), encoding="utf-8")
    curves = {"curves": report.found.curves}
    (out / "figures.json").write_text(json.dumps({**kept, **curves}, indent=1) + "\n")


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    for name in ("bases", "real", "strangers", "frozen", "log"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--part", default="valid", choices=("valid", "test"))
    parser.add_argument("--films", type=int, default=chapters.FILMS)
    parser.add_argument("--into", action="store_true", help="keep the figures in the bundle")
    chosen = parser.parse_args()
    bundle = load(chosen.bundle)
    eye = ListeningEye(bundle)
    upper: list[float] = [bundle.thresholds[o][1] for o in OBSERVATIONS if o in bundle.thresholds]
    material = Material(
        eye, bundle.folder, chosen.part, chosen.bases, chosen.real, chosen.strangers,
        chosen.films, np.asarray(upper), chosen.frozen,
    )  # fmt: skip
    found, pictures = measure(material)
    kept = numbers(bundle, material, found)
    title = f"Eye report: {bundle.name} {bundle.version}, {chosen.part} part"
    told = facts(bundle, material, datetime.now(UTC))
    report = page.Report(title, told, found, pictures, history(chosen.log))
    write(chosen.out, report, kept)
    if chosen.into:
        settle(chosen.bundle, {}, kept)
    for row in found.rows:
        print(json.dumps(row.to_json(), ensure_ascii=False))  # noqa: T201
    _say(f"written to {chosen.out / 'index.html'}")


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
