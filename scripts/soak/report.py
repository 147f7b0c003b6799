"""What a soak showed: slopes with their intervals, a table, a chart."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scripts.soak.samples import Sample

WARM = 0.25
"""The first quarter of each start is left out of the slopes: caches fill, networks are loaded."""

T_95 = 1.96
LEAST = 4
WIDTH, HEIGHT, LEFT, TOP = 720, 240, 60, 30
COLOURS = ("#4063d8", "#389826", "#cb3c33", "#9558b2", "#e08a00", "#008b8b", "#666666", "#aa6688")


@dataclass(frozen=True, slots=True)
class Slope:
    """A straight line through the samples: level at its middle, change over 1,000 studies."""

    level: float
    per_1000: float
    half_width: float

    def __str__(self) -> str:
        return f"{self.level:.1f} | {self.per_1000:+.2f} ± {self.half_width:.2f}"


def words(taken: Sequence[Sample], told: dict[str, Any]) -> str:
    """Return the report as Markdown."""
    parts = sorted({name for sample in taken for name in sample.memory_mb})
    lines = [
        "| process | memory MB | change per 1,000 studies | CPU s per study | first, last third |",
        "|---|---|---|---|---|",
    ]
    costs = _costs(taken)
    for part in parts:
        memory = slope(taken, part)
        first, last = _thirds([cost[part] for _, cost in costs if part in cost])
        mean = (first + last) / 2
        lines.append(f"| {part} | {memory or '- | -'} | {mean:.3f} | {first:.3f}, {last:.3f} |")
    totals = _thirds([sum(cost.values()) for _, cost in costs])
    lines.append(f"| all | | | {sum(totals) / 2:.3f} | {totals[0]:.3f}, {totals[1]:.3f} |")
    counts = ", ".join(f"{name} {number}" for name, number in told["counts"].items())
    faults = "\n".join(told["faults"]) or "Nothing lost, nothing twice."
    sizes = ", ".join(f"{name} {size:.1f}" for name, size in taken[-1].tables_mb.items())
    deepest = {name: max(one.open[name] for one in taken) for name in taken[-1].open}
    lines += ["", f"Counted: {counts}.", faults, f"Tables, MB: {sizes}."]
    return "\n".join([*lines, f"Deepest queues: {deepest}."])


def slope(taken: Sequence[Sample], part: str) -> Slope | None:
    """Fit a line to memory over studies ended, each start with its own level; None: too few.

    The interval is 95 % of ordinary least squares; samples in a row are alike, so it is narrow.
    """
    xs, ys = [], []
    for run in dict.fromkeys(one.run for one in taken):
        warm = _warm([one for one in taken if one.run == run])
        pairs = [(one.ended / 1000, one.memory_mb[part]) for one in warm if part in one.memory_mb]
        if len(pairs) < LEAST:
            continue
        x, y = np.array(pairs).T
        xs.append(x - x.mean())
        ys.append(y - y.mean())
        level = float(y.mean())
    if not xs:
        return None
    x, y = np.concatenate(xs), np.concatenate(ys)
    spread = float(x @ x)
    if spread == 0:
        return None
    steep = float(x @ y) / spread
    rest = y - steep * x
    error = float(np.sqrt(rest @ rest / max(1, len(x) - 1 - len(xs)) / spread))
    return Slope(level, steep, T_95 * error)


def _warm(run: Sequence[Sample]) -> Sequence[Sample]:
    first, last = run[0].ended, run[-1].ended
    return [one for one in run if one.ended >= first + WARM * (last - first)]


def _costs(taken: Sequence[Sample]) -> list[tuple[int, dict[str, float]]]:
    """Return studies ended, and CPU seconds for each since the sample before, by process."""
    costs = []
    for before, after in itertools.pairwise(taken):
        done = after.ended - before.ended
        if before.run == after.run and done > 0:
            spent = {
                name: (after.cpu_s[name] - before.cpu_s[name]) / done
                for name in after.cpu_s
                if name in before.cpu_s
            }
            costs.append((after.ended, spent))
    return costs


def _thirds(values: Sequence[float]) -> tuple[float, float]:
    third = max(1, len(values) // 3)
    if not values:
        return 0.0, 0.0
    return float(np.mean(values[:third])), float(np.mean(values[-third:]))


def chart(taken: Sequence[Sample]) -> str:
    """Return an SVG of two charts: memory of each process, CPU per study, over studies ended."""
    parts = sorted({name for sample in taken for name in sample.memory_mb})
    memory = {
        part: [(one.ended, one.memory_mb[part]) for one in taken if part in one.memory_mb]
        for part in parts
    }
    costs = _costs(taken)
    cpu = {part: [(x, cost[part]) for x, cost in costs if part in cost] for part in parts}
    body = _panel(memory, "memory, MB (proportional set size)", 0)
    body += _panel(cpu, "CPU seconds per study, between two samples", 1)
    size = f'width="{WIDTH + LEFT + 130}" height="{2 * (HEIGHT + 2 * TOP)}"'
    style = 'font-family="sans-serif" font-size="11"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n{body}</svg>\n'


def _panel(lines: dict[str, list[tuple[int, float]]], title: str, row: int) -> str:
    points = [point for line in lines.values() for point in line] or [(1, 1.0)]
    x_max, y_max = max(x for x, _ in points) or 1, max(y for _, y in points) or 1.0
    top = TOP + row * (HEIGHT + 2 * TOP)
    bottom = top + HEIGHT
    drawn = [
        f'<rect x="{LEFT}" y="{top}" width="{WIDTH}" height="{HEIGHT}" fill="#fff" stroke="#999"/>',
        f'<text x="{LEFT}" y="{top - 8}">{title}</text>',
        f'<text x="{LEFT}" y="{bottom + 15}">0</text>',
        f'<text x="{LEFT + WIDTH}" y="{bottom + 15}" text-anchor="end">{x_max} studies</text>',
        f'<text x="{LEFT - 5}" y="{top + 10}" text-anchor="end">{y_max:.3g}</text>',
        f'<text x="{LEFT - 5}" y="{bottom}" text-anchor="end">0</text>',
    ]
    for number, (name, line) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        places = " ".join(
            f"{LEFT + x / x_max * WIDTH:.1f},{bottom - y / y_max * HEIGHT:.1f}" for x, y in line
        )
        drawn.append(f'<polyline points="{places}" fill="none" stroke="{colour}"/>')
        where = f'x="{LEFT + WIDTH + 8}" y="{top + 12 + 15 * number}"'
        drawn.append(f'<text {where} fill="{colour}">{name}</text>')
    return "\n".join(drawn) + "\n"
