"""Plain pictures in SVG: bars beside a baseline, curves in a square, a line over time."""

from html import escape
from math import log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

INK, OWN, PLAIN, GRID = "#222", "#2a6f97", "#c9ccd1", "#e4e6e9"
BAR, GAP, LABEL, WIDE = 15, 5, 230, 420
SQUARE, EDGE = 190, 26


def bars(values: "Mapping[str, tuple[float | None, float | None]]") -> str:
    """Draw a bar per name in 0..1, the baseline in grey behind it."""
    height = (BAR + GAP) * len(values) + 24
    parts = [_open(LABEL + WIDE + 60, height)]
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = LABEL + tick * WIDE
        parts.append(f'<line x1="{x}" y1="0" x2="{x}" y2="{height - 18}" stroke="{GRID}"/>')
        parts.append(_text((x, height - 4), f"{tick:g}", "middle"))
    for row, (name, (own, plain)) in enumerate(values.items()):
        y = row * (BAR + GAP)
        parts.append(_text((LABEL - 8, y + BAR - 3), name, "end"))
        for value, colour, inset in ((plain, PLAIN, 0), (own, OWN, 4)):
            if value is not None:
                size = f'width="{max(value, 0) * WIDE:.1f}" height="{BAR - 2 * inset}"'
                parts.append(f'<rect x="{LABEL}" y="{y + inset}" {size} fill="{colour}"/>')
        if own is not None:
            parts.append(_text((LABEL + own * WIDE + 6, y + BAR - 3), f"{own:.2f}", "start"))
    return "".join(parts) + "</svg>"


def curve(title: str, points: "tuple[Sequence[float], Sequence[float]]", labels: str) -> str:
    """Draw a curve in the unit square with its diagonal; ``labels`` says what the axes are."""
    parts = [_frame(title, labels)]
    way = " ".join(f"{EDGE + x * SQUARE:.1f},{EDGE + (1 - y) * SQUARE:.1f}"
                   for x, y in zip(*points, strict=True))  # fmt: skip
    parts.append(f'<polyline points="{way}" fill="none" stroke="{OWN}" stroke-width="2"/>')
    return "".join(parts) + "</svg>"


def dots(title: str, points: "Sequence[tuple[float, float, float]]", labels: str) -> str:
    """Draw points ``(x, y, weight)`` in the unit square; area follows the weight."""
    parts = [_frame(title, labels)]
    heaviest = max((weight for *_, weight in points), default=1.0) or 1.0
    for x, y, weight in points:
        if weight:
            radius = 2 + 9 * (weight / heaviest) ** 0.5
            at = f'cx="{EDGE + x * SQUARE:.1f}" cy="{EDGE + (1 - y) * SQUARE:.1f}"'
            parts.append(f'<circle {at} r="{radius:.1f}" fill="{OWN}" fill-opacity="0.7"/>')
    return "".join(parts) + "</svg>"


def line(title: str, values: "Sequence[float]", across: str) -> str:
    """Draw a falling or rising line of positive values over their numbers; log scale upwards."""
    if len(values) < 2 or min(values) <= 0:  # noqa: PLR2004
        return ""
    low, high = min(values), max(values)
    width, height = 2 * SQUARE, SQUARE
    parts = [_open(width + 2 * EDGE + 30, height + 2 * EDGE)]
    parts.append(_text((EDGE, 16), f"{title}: {values[0]:.3g} to {values[-1]:.3g}", "start"))
    scale = max(log(high) - log(low), 1e-6)
    points = " ".join(
        f"{EDGE + width * i / (len(values) - 1):.1f},"
        f"{EDGE + height * (1 - (log(v) - log(low)) / scale):.1f}"
        for i, v in enumerate(values)
    )
    parts.append(f'<polyline points="{points}" fill="none" stroke="{OWN}" stroke-width="1.5"/>')
    parts.append(_text((EDGE + width / 2, height + 2 * EDGE - 8), across, "middle"))
    return "".join(parts) + "</svg>"


def _frame(title: str, labels: str) -> str:
    whole = SQUARE + 2 * EDGE
    parts = [_open(whole, whole), _text((EDGE, 16), title, "start")]
    corner = f'x="{EDGE}" y="{EDGE}" width="{SQUARE}" height="{SQUARE}"'
    parts.append(f'<rect {corner} fill="none" stroke="{PLAIN}"/>')
    ends = f'x1="{EDGE}" y1="{EDGE + SQUARE}" x2="{EDGE + SQUARE}" y2="{EDGE}"'
    parts.append(f'<line {ends} stroke="{PLAIN}" stroke-dasharray="4"/>')
    parts.append(_text((EDGE + SQUARE / 2, whole - 8), labels, "middle"))
    return "".join(parts)


def _open(width: float, height: float) -> str:
    box = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box} font-family="sans-serif" font-size="11">'


def _text(at: tuple[float, float], words: str, anchor: str) -> str:
    place = f'x="{at[0]:.1f}" y="{at[1]:.1f}" text-anchor="{anchor}" fill="{INK}"'
    return f"<text {place}>{escape(words)}</text>"
