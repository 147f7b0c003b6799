"""What commands show: tables on a terminal, plain columns anywhere else."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

WIDE = 4000  # plain output is never wrapped: somebody may grep it


def console(*, error: bool = False) -> Console:
    """Return where to print: with colour and width on a terminal, plain in a pipe."""
    stream = sys.stderr if error else sys.stdout
    made = Console(file=stream, highlight=False, soft_wrap=not stream.isatty())
    if not made.is_terminal:
        made.width = WIDE
    return made


def say(line: str) -> None:
    """Print one line as it is; square brackets in it mean nothing."""
    console().print(escape(line))


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under their columns; None and "" are shown as ``-``."""
    out = console()
    style = box.SIMPLE_HEAD if out.is_terminal else None
    grid = Table(*columns, box=style, pad_edge=False, show_edge=False)
    for row in rows:
        grid.add_row(*(escape(_cell(value)) for value in row))
    out.print(grid)


def as_json(value: object) -> None:
    """Print a value for programs: times in ISO 8601, everything unknown as its string."""
    sys.stdout.write(json.dumps(value, indent=1, default=str, ensure_ascii=False) + "\n")


def as_json_line(value: object) -> None:
    """Print a value for programs on one line of its own, at once."""
    sys.stdout.write(json.dumps(value, default=str, ensure_ascii=False) + "\n")
    sys.stdout.flush()


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a bar on a terminal, nothing in a pipe; gives what to call after each step."""
    out = console()
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=out,
        disable=not out.is_terminal,
        transient=True,
    ) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def note(message: str) -> None:
    """Print how far something is, on the error stream: results stay alone on the other."""
    console(error=True).print(escape(message))


def fault(message: str) -> None:
    """Print what went wrong, on the error stream."""
    console(error=True).print(f"[bold red]carina:[/] {escape(message)}")


def ago(moment: datetime | None, now: datetime) -> str:
    """Return how long ago, in words: ``12 s``, ``3 min``, ``5 h``, ``2 d``."""
    return "-" if moment is None else duration((now - moment).total_seconds())


def duration(seconds: float) -> str:
    """Return a length of time in words, in the unit that fits."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _cell(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    return str(value)
