"""Fills the figures of the model card from the numbers kept beside the weights.

``python -m models.evaluation.card --figures FIGURES.json --card docs/models/anatomy-mini.md``

Everything between the two marks is replaced; the words around it are a person's.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from models.evaluation.groups import TABLE as GROUPS
from models.training.export import AGREEMENT

START, END = "<!-- figures: filled by models.evaluation.card -->", "<!-- end of figures -->"
MET = {True: "yes", False: "**no**", None: ""}


def filled(card: str, figures: dict[str, Any]) -> str:
    """Return the card's text with the figures between its marks.

    Raises
    ------
    ValueError
        If the card does not have both marks, once, in this order.
    """
    before, rest = _split(card, START)
    _, after = _split(rest, END)
    return f"{before}{START}\n{tables(figures)}{END}{after}"


def tables(figures: dict[str, Any]) -> str:
    """Return the figures, the regions and the signs as Markdown."""
    sha = str(figures["network_sha256"])[:16]
    words = f"{figures['bundle']}, network SHA-256 `{sha}…`, part: {figures['part']}."
    parts = [words, _figures(figures["figures"])]
    if "regions" in figures:
        parts.append(_regions(figures["regions"], figures.get("region_masks", {})))
    if "signs" in figures:
        parts.append(_signs(figures["signs"]))
    for name, one in (("masks", _masks), (GROUPS, _groups), (AGREEMENT, _agreement)):
        if name in figures:
            parts.append(one(figures[name]))
    return "\n" + "\n\n".join(parts) + "\n\n"


def _figures(rows: list[dict[str, Any]]) -> str:
    lines = ["| measure | reach | measured | 95 % | met | films | baseline, remarks |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    group = None
    for row in rows:
        if row["on"] != group:
            group = row["on"]
            lines.append(f"| **{group}** | | | | | | |")
        value = "not measured" if row["measured"] is None else f"{row['measured']:.3f}"
        span = " to ".join(f"{v:.3f}" for v in row["interval"]) if row["interval"] else ""
        remarks = "; ".join(words for words in (row["baseline"], row["note"]) if words)
        cells = (row["measure"], row["reach"] or "", value, span, MET[row["met"]], row["cases"],
                 remarks)  # fmt: skip
        lines.append("| " + " | ".join(_plain(cell) for cell in cells) + " |")
    return "\n".join(lines)


def _regions(regions: dict[str, dict[str, Any]], masks: dict[str, dict[str, Any]]) -> str:
    """Return a line for each region, with its mask and its own box filled where there are masks."""
    head = ["region", "box IoU", "mean box", "R@0.5", "R@0.7", "centre off, % of width"]
    keys = ("iou", "mean_box", "r_at_0.5", "r_at_0.7", "centre_error_percent")
    head += ["mask IoU", "own box filled"] if masks else []
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, told in regions.items():
        cells = [told[key] for key in keys]
        cells += [masks[name][key] for key in ("iou", "own_box_filled")] if masks else []
        lines.append(f"| {name} | " + " | ".join(_number(cell) for cell in cells) + " |")
    return "\n".join(lines)


def _signs(signs: dict[str, dict[str, Any]]) -> str:
    lines = ["| sign, simulated | AUROC | with : without | smaller half, larger half of them |",
             "|---|---|---|---|"]  # fmt: skip
    for name, told in signs.items():
        sizes = told.get("size_mm")
        halves = (
            f"{_number(sizes['auroc_up_to'])}, {_number(sizes['auroc_above'])} "
            f"(at {sizes['median']:.3g})" if sizes else ""
        )  # fmt: skip
        counts = f"{told['with']} : {told['without']}"
        lines.append(f"| {name} | {_number(told['auroc'])} | {counts} | {halves} |")
    return "\n".join(lines)


def _masks(masks: dict[str, dict[str, Any]]) -> str:
    lines = ["| mask, simulated | IoU where present | films | drawn, and shown, without it |",
             "|---|---|---|---|"]  # fmt: skip
    for name, told in masks.items():
        false = f"{_share(told['drawn_without'])}, {_share(told['shown_without'])}"
        lines.append(f"| {name} | {_number(told['iou'])} | {told['films']} | {false} |")
    return "\n".join(lines)


def _groups(groups: dict[str, dict[str, Any]]) -> str:
    head = ("real films of the part", "films, patients", "refused", "right side named right",
            "lung IoU (films)", "No Finding called abnormal (films)")  # fmt: skip
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, told in groups.items():
        cells = (
            name, f"{told['films']}, {told['patients']}", _share(told["refused"]),
            _share(told["right_side_right"]),
            f"{_number(told['lung_iou'])} ({told['lung_films']})",
            f"{_share(told['no_finding_called_abnormal'])} ({told['no_finding_films']})",
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _agreement(told: dict[str, Any]) -> str:
    rounding = told["rounding"]
    return (
        f"ONNX Runtime against PyTorch with the same rounded weights, {told['films']} films, by "
        f"the bundle's own limits: largest difference of a box {told['box']:g} of the square, of a "
        f"probability {told['probability']:g}, films decided otherwise {told['decisions']}. What "
        "rounding the weights to half precision, for a small file, changes against the weights as "
        f"trained: {rounding['box']:g}, {rounding['probability']:g}, {rounding['decisions']}."
    )


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _number(value: float | None) -> str:
    return "too few" if value is None else f"{value:.2f}"


def _plain(cell: str) -> str:
    return cell.replace("|", "/")


def _split(text: str, mark: str) -> tuple[str, str]:
    if text.count(mark) != 1:
        raise ValueError(f"the card must hold {mark} once")
    before, after = text.split(mark)
    return before, after


def main() -> None:
    """Fill."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("figures", "card"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    chosen = parser.parse_args()
    figures = json.loads(chosen.figures.read_text())
    chosen.card.write_text(filled(chosen.card.read_text(), figures))


if __name__ == "__main__":
    main()
