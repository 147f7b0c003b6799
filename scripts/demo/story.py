"""The end of the demonstration: drafts in words, times, the archive, the audit trail, pictures."""

from collections.abc import Mapping, Sequence
from itertools import groupby, pairwise
from pathlib import Path

from rich.console import Console
from rich.table import Table

from scripts.demo.archive import Held
from scripts.demo.checks import Check
from scripts.demo.films import DemoFilm, Outcome
from scripts.ledger import Event, Standing

MILESTONES = (
    ("study_closed", "quiet"),
    ("job_claimed", "wait"),
    ("results_encoded", "read + encode"),
    ("object_sent", "send"),
    ("delivery_proven", "prove"),
)
"""Events of the audit trail that end a stage, and what the stage before it is called."""


def drafts(console: Console, films: Sequence[DemoFilm], held: Mapping[str, Held]) -> None:
    """Print every draft in words, as it was read back from the archive."""
    for film in films:
        if film.outcome is Outcome.TURNED_AWAY:
            continue
        console.rule(f"Draft: {film.title}", align="left")
        heading = ""
        for section, sentence in held[film.key].sentences:
            if section != heading:
                heading = section
                console.print(f"[bold]{section}[/bold]")
            console.print(f"  {sentence}", markup=False)


def timings(
    console: Console,
    films: Sequence[DemoFilm],
    events: Mapping[str, Sequence[Event]],
    standings: Mapping[str, Standing],
) -> None:
    """Print the seconds of each stage, from the audit trail; the network's from its own clock."""
    table = Table(title="Seconds by stage", title_justify="left")
    table.add_column("film")
    for _, stage in MILESTONES:
        table.add_column(stage, justify="right")
    table.add_column("of it network", justify="right")
    for film in films:
        spent = stage_seconds(events[film.key])
        cells = [f"{spent[stage]:.2f}" if stage in spent else "-" for _, stage in MILESTONES]
        standing = standings.get(film.key)
        network = standing.stage_seconds.get("network") if standing else None
        table.add_row(film.title, *cells, "-" if network is None else f"{network:.2f}")
    console.print(table)


def stage_seconds(events: Sequence[Event]) -> dict[str, float]:
    """Return the seconds between the milestones of one study; the last event of a kind counts."""
    times = {"received": [one.at for one in events if one.event_type == "instance_received"]}
    for event_type, stage in MILESTONES:
        times[stage] = [one.at for one in events if one.event_type == event_type]
    reached = [(stage, max(moments)) for stage, moments in times.items() if moments]
    return {
        stage: (now - before).total_seconds() for (_, before), (stage, now) in pairwise(reached)
    }


def archive(console: Console, films: Sequence[DemoFilm], held: Mapping[str, Held]) -> None:
    """Print what the archive holds of every study beside the film itself."""
    table = Table(title="What the archive holds beside the films", title_justify="left")
    for name in ("film", "objects", "series", "bytes"):
        table.add_column(name, justify="right" if name == "bytes" else "left")
    for film in films:
        one = held[film.key]
        counts = [f"{one.kinds.count(kind)} {kind}" for kind in dict.fromkeys(one.kinds)]
        table.add_row(
            film.title,
            ", ".join(counts) or "nothing",
            "\n".join(one.series_descriptions) or "-",
            f"{one.content_bytes:,}" if one.kinds else "-",
        )
    console.print(table)


def audit(console: Console, film: DemoFilm, events: Sequence[Event], verified: str) -> None:
    """Print the audit trail of one study, and that the chain over all events holds."""
    table = Table(title=f"Audit trail: {film.title}", title_justify="left")
    for name in ("time (UTC)", "event", "by", "detail"):
        table.add_column(name)
    for same, group in groupby(events, key=lambda one: (one.event_type, one.user_id)):
        first, *more = group
        name = f"{same[0]} x {1 + len(more)}" if more else same[0]
        table.add_row(f"{first.at:%H:%M:%S.%f}"[:-3], name, first.user_id, _detail(first))
    console.print(table)
    console.print(verified.strip(), markup=False)


def _detail(event: Event) -> str:
    plain = {key: one for key, one in event.detail.items() if isinstance(one, str | int | float)}
    return ", ".join(f"{key}={str(one)[:24]}" for key, one in list(plain.items())[:4])


def pictures(console: Console, paths: Sequence[Path]) -> None:
    """Print where the overlay pictures lie."""
    console.rule("Pictures worth a look", align="left")
    for path in paths:
        console.print(f"  {path}", markup=False, soft_wrap=True)


def promises(console: Console, checks: Sequence[Check]) -> None:
    """Print every promise and whether it was kept."""
    console.rule("Checked", align="left")
    for check in checks:
        mark = "[green]ok  [/green]" if check.kept else "[bold red]FAIL[/bold red]"
        console.print(f"  {mark} {check.promise}: ", end="")
        console.print(check.seen, markup=False)
