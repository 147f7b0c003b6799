"""The page of the eye report: one table of reach and measured, curves, bars, hard cases."""

from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from models.evaluation import charts
from models.evaluation.gallery import ATTRIBUTION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from models.evaluation.rows import Findings, Row

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #222; max-width: 1180px; margin: 2em auto;
       padding: 0 1em; }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em }
table { border-collapse: collapse; width: 100%; font-size: 13px }
th, td { text-align: left; vertical-align: top; padding: 4px 8px; border-bottom: 1px solid #e4e6e9 }
td.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
tr.group td { background: #f3f5f7; font-weight: 600 }
.yes { color: #1b7f3b } .no { color: #b3261e; font-weight: 600 } .small { color: #5a6068 }
.row { display: flex; flex-wrap: wrap; gap: 6px } img { max-width: 100%; display: block }
"""
MET = {True: '<span class="yes">yes</span>', False: '<span class="no">no</span>', None: ""}
HONESTY = (
    "Simulated films are of one patient's CT in new shapes, so they are easier than new people; "
    "real films are few, their labels text-mined. Figures on the two are never comparable. "
    "Intervals are 95 %, by bootstrap over patients (on simulated films over poses)."
)


@dataclass(frozen=True, slots=True)
class Report:
    """Everything the page shows. ``title`` names bundle and part; ``facts`` go below it.

    ``pictures`` maps a heading to an image as a data address; ``training`` maps a curve's name to
    its values.
    """

    title: str
    facts: "Mapping[str, str]"
    found: "Findings"
    pictures: "Mapping[str, str]" = field(default_factory=dict)
    training: "Mapping[str, Sequence[float]]" = field(default_factory=dict)


def render(report: Report) -> str:
    """Return the whole page; it needs nothing beside itself."""
    title = escape(report.title)
    head = f"<meta charset='utf-8'><title>{title}</title><style>{STYLE}</style>"
    told = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(words)}</td></tr>"
        for name, words in report.facts.items()
    )
    parts = [f"<h1>{title}</h1><p>{HONESTY}</p><table>{told}</table>", _summary(report.found.rows)]
    parts.append("<h2>Figures</h2>" + table(report.found.rows))
    parts += [_regions(report.found), _signs(report.found), _curves(report)]
    parts.append(_gallery(report.pictures))
    return (
        f"<!doctype html><html lang='en'><head>{head}</head><body>{''.join(parts)}</body></html>\n"
    )


def table(rows: "Sequence[Row]") -> str:
    """Return the rows as one table, grouped by what was measured on."""
    heads = ("measure", "reach", "measured", "95 %", "met", "films", "baseline", "remarks")
    lines = ["<tr>" + "".join(f"<th>{head}</th>" for head in heads) + "</tr>"]
    group = None
    for row in rows:
        if row.group != group:
            group = row.group
            lines.append(f"<tr class='group'><td colspan='8'>{escape(group)}</td></tr>")
        lines.append(_line(row))
    return "<table>" + "".join(lines) + "</table>"


def _line(row: "Row") -> str:
    told = row.to_json()
    value = "not measured" if told["measured"] is None else f"{told['measured']:.3f}"
    span = " to ".join(f"{v:.3f}" for v in row.interval) if row.interval else ""
    cells = [
        f"<td>{escape(row.measure)}</td>",
        f"<td class='n'>{escape(told['reach'] or '')}</td>",
        f"<td class='n'>{value}</td>",
        f"<td class='n'>{span}</td>",
        f"<td>{MET[row.met]}</td>",
        *(f"<td class='small'>{escape(w)}</td>" for w in (row.cases, row.baseline, row.note)),
    ]
    return "<tr>" + "".join(cells) + "</tr>"


def _summary(rows: "Sequence[Row]") -> str:
    asked = [row for row in rows if row.reach is not None]
    met = sum(row.met is True for row in asked)
    missed = sum(row.met is False for row in asked)
    return (
        f"<p>{len(asked)} figures to reach: {met} reached, {missed} not, "
        f"{len(asked) - met - missed} not measured.</p>"
    )


def _regions(found: "Findings") -> str:
    regions: dict[str, Any] = found.tables.get("regions", {})
    if not regions:
        return ""
    drawn = {name: (told["iou"], told["mean_box"]) for name, told in regions.items()}
    words = "Mean IoU on simulated films; grey is the mean box of training films."
    return f"<h2>The 36 regions</h2><p class='small'>{words}</p>{charts.bars(drawn)}"


def _signs(found: "Findings") -> str:
    signs: dict[str, Any] = found.tables.get("signs", {})
    if not signs:
        return ""
    heads = ("sign", "with", "without", "AUROC", "size: up to, above the median",
             "contrast: up to, above the median")  # fmt: skip
    lines = ["<tr>" + "".join(f"<th>{head}</th>" for head in heads) + "</tr>"]
    for name, told in signs.items():
        cells = [name, told["with"], told["without"], _number(told["auroc"]),
                 _halves(told.get("size_mm"), "mm"),
                 _halves(told.get("contrast_mm"), "mm of water")]  # fmt: skip
        lines.append("<tr>" + "".join(f"<td>{escape(str(c))}</td>" for c in cells) + "</tr>")
    return f"<h2>Signs by size and contrast</h2><table>{''.join(lines)}</table>"


def _halves(told: "dict[str, float | None] | None", unit: str) -> str:
    if told is None:
        return ""
    low, high = _number(told["auroc_up_to"]), _number(told["auroc_above"])
    return f"{low}, {high} ({told['median']:.0f} {unit})"


def _number(value: float | None) -> str:
    return "too few" if value is None else f"{value:.3f}"


def _curves(report: Report) -> str:
    parts = []
    roc: dict[str, Any] = report.found.curves.get("roc", {})
    drawn = [charts.curve(name, pair, "false alarms, found") for name, pair in roc.items()]
    if drawn:
        parts.append(f"<h2>ROC on simulated films</h2><div class='row'>{''.join(drawn)}</div>")
    bins: list[list[float]] = report.found.curves.get("reliability", [])
    if bins:
        points = [(x, y, weight) for x, y, weight in bins]
        picture = charts.dots("all signs, simulated", points, "chance told, share true")
        parts.append(f"<h2>Reliability</h2>{picture}")
    lines = [charts.line(name, values, "steps") for name, values in report.training.items()]
    if any(lines):
        parts.append(f"<h2>Training</h2><div class='row'>{''.join(lines)}</div>")
    return "".join(parts)


def _gallery(pictures: "Mapping[str, str]") -> str:
    if not pictures:
        return ""
    shown = "".join(
        f"<h3>{escape(name)}</h3><img alt='{escape(name)}' src='{image}'>"
        for name, image in pictures.items()
    )
    return f"<h2>Hard cases, real films</h2><p class='small'>{escape(ATTRIBUTION)}</p>{shown}"
