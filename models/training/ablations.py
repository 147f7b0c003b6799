"""What each part of the training is worth: short runs that differ in one thing; resumable.

``python -m models.training.ablations --bank DIR --bases DIR --real ROOT --out DIR --start A.pt
--body FILE --steps 200``

Every run has the same seed, films and number of steps, and ends with a cosine of its own. Those
of the findings begin from the same earlier weights (``--start``), those of the convolutions from
nothing. Far shorter than a real training: the differences say what helps early on, the heights
say nothing about the shipped network. Figures are of the validation part. Where labels of real
films are left out, the earlier weights and a teacher's labels may still know of them, and films
that were drawn oftener for their boxes no longer are: such a row says what is lost at once, not
what the labels are worth.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from models.training import real

MEASURES = {
    "36 regions, skill": "all 36 regions: skill over the mean box",
    "AUROC, mean over signs": "AUROC, mean over signs",
    "mask IoU": "mask IoU, mean over findings",
    "retrieval, nearest alone, region with a sign": "retrieval R@1, regions with a sign",
    "real lungs IoU": "lung IoU (v7)",
    "opacity AP": "AUROC lung opacity, within AP",
    "opacity PA": "AUROC lung opacity, within PA",
}


@dataclass(frozen=True, slots=True)
class Variant:
    """One run: its name in the table, what differs, whether it begins from earlier weights.

    ``taught`` runs are given a teacher's labels of real films, where there are any.
    """

    name: str
    options: tuple[str, ...] = ()
    warm: bool = True
    taught: bool = True


VARIANTS = (
    Variant("as trained"),
    Variant("without the maps of places", ("--without", "places")),
    Variant("without attributes by region", ("--without", "attributes")),
    Variant("without alignment", ("--without", "alignment")),
    Variant("alignment as printed", ("--literal",)),
    Variant("without real films", ("--mix", "19", "0", "1")),
    *(Variant(f"without {kind}", ("--untold", kind)) for kind in real.KINDS),
    Variant("without a teacher's boxes and masks", taught=False),
    Variant("published convolutions", warm=False),
    Variant("convolutions at random", ("--frozen", "0"), warm=False),
)


def commands(given: argparse.Namespace, variant: Variant, folder: Path) -> list[list[str]]:
    """Return the command lines of one variant, in order."""
    common = ["--bases", str(given.bases), "--real", str(given.real)]
    train = ["train", "--bank", str(given.bank), *common, "--out", str(folder), "--steps",
             str(given.steps), "--rate", str(given.rate), *variant.options]  # fmt: skip
    if given.pseudo and variant.taught:
        train += ["--pseudo", str(given.pseudo)]
    if variant.warm:
        train += ["--start", str(given.start)]
    elif "--frozen" not in variant.options:
        train += ["--body", str(given.body)]
    weights, bundle = str(folder / "last.pt"), str(folder / "bundle")
    return [
        ["training." + train[0], *train[1:]],
        ["training.export", "--weights", weights, "--out", bundle],
        ["training.retrieval", "--weights", weights, "--bank", str(given.bank), "--bundle", bundle],
        ["evaluation.report", "--bundle", bundle, *common, "--films", str(given.films),
         "--out", str(folder / "report")],
    ]  # fmt: skip


def run(given: argparse.Namespace, variant: Variant) -> dict[str, str]:
    """Train and measure one variant, unless that was done before; returns its figures."""
    folder = given.out / variant.name.replace(" ", "-")
    figures = folder / "report" / "figures.json"
    if not figures.is_file():
        for line in commands(given, variant, folder):
            whole = [sys.executable, "-m", "models." + line[0], *line[1:]]
            subprocess.run(whole, check=True, stdout=sys.stderr)  # noqa: S603 - our own modules
    rows = {row["measure"]: row for row in json.loads(figures.read_text())["figures"]}
    return {short: _figure(rows.get(measure, {})) for short, measure in MEASURES.items()}


def _figure(row: dict[str, object]) -> str:
    """Return the figure of a row; of retrieval that of the nearest neighbour alone."""
    baseline = str(row.get("baseline", ""))
    if "frequent: " in baseline:
        return baseline.rsplit("frequent: ", 1)[1]
    measured = row.get("measured")
    return f"{measured:.3f}" if isinstance(measured, float) else "not measured"


def main() -> None:
    """Run all variants, or those named, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("bank", "bases", "real", "out", "start", "body"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--pseudo", type=Path, help="a teacher's labels of real films")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--films", type=int, default=300)
    parser.add_argument("--only", type=int, nargs="*", help="places in the list of variants")
    given = parser.parse_args()
    chosen = VARIANTS if given.only is None else [VARIANTS[place] for place in given.only]
    if not given.pseudo:  # nobody taught, nothing to leave out
        chosen = [variant for variant in chosen if variant.taught]
    print(f"| {given.steps} steps | " + " | ".join(MEASURES) + " |")  # noqa: T201
    print("|---" * (len(MEASURES) + 1) + "|")  # noqa: T201
    for variant in chosen:
        told = run(given, variant)
        print(f"| {variant.name} | " + " | ".join(told.values()) + " |", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
