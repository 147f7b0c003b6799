"""The picture of a day: how long each study waited, by when it came, under both orders."""

from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from scripts.day.arrivals import DAY, HOUR
from service.values import Lane

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scripts.day.ward import Claimed

WIDTH: Final = 900
PANEL: Final = 260
LEFT: Final = 60
TOP: Final = 40
GAP: Final = 50
COLOUR: Final = {
    Lane.STAT: "#c1121f",
    Lane.URGENT: "#e07a00",
    Lane.ROUTINE: "#2a6f97",
    Lane.BACKFILL: "#9a9a9a",
}
TICK_H: Final = 3


def svg(panels: "Sequence[tuple[str, Sequence[Claimed]]]") -> str:
    """Return the picture, one panel for each order, all with one scale."""
    longest = max(one.waited_s for _, taken in panels for one in taken)
    height = TOP + len(panels) * (PANEL + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}">',
        "<style>text { font: 12px sans-serif }</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        *_legend(),
    ]
    for number, (title, taken) in enumerate(panels):
        parts += _panel(title, taken, TOP + number * (PANEL + GAP), longest)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _legend() -> "Iterator[str]":
    for number, lane in enumerate(Lane):
        x = LEFT + number * 110
        yield f'<circle cx="{x}" cy="16" r="4" fill="{COLOUR[lane]}"/>'
        yield f'<text x="{x + 9}" y="20">{lane}</text>'


def _panel(title: str, taken: "Sequence[Claimed]", top: float, longest_s: float) -> "Iterator[str]":
    bottom, right = top + PANEL, WIDTH - 20
    yield f'<text x="{LEFT}" y="{top + 2}">{escape(title)}</text>'
    for hour in range(round(longest_s / HOUR) + 2):
        if hour * HOUR <= longest_s * 1.05:
            y = bottom - hour * HOUR / (longest_s * 1.05) * (PANEL - 20)
            yield f'<line x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>'
            yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{hour} h</text>'
    for hour in range(0, 25, TICK_H):
        x = LEFT + hour * HOUR / DAY * (right - LEFT)
        yield f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{hour}:00</text>'
    # The urgent ones last, so that they lie on top.
    for lane in reversed(Lane):
        dots = {
            (
                round(LEFT + one.arrival.at_s / DAY * (right - LEFT)),
                round(bottom - one.waited_s / (longest_s * 1.05) * (PANEL - 20)),
            )
            for one in taken
            if one.arrival.lane is lane
        }
        path = "".join(f"M{x} {y}h0" for x, y in sorted(dots))
        yield (
            f'<path d="{path}" stroke="{COLOUR[lane]}" stroke-width="2.5"'
            ' stroke-linecap="round" fill="none"/>'
        )
