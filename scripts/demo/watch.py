"""The live table: every film on its way, until each has come to an end."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.table import Table

from scripts.demo.films import DemoFilm
from scripts.ledger import Ledger, Standing

LOOK_EVERY_S = 0.25
ENDS = {"DELIVERED", "SKIPPED", "FAILED", "SHADOW", "SUPERSEDED", "WITHDRAWN"}
WITHOUT_JOB = {"HELD", "NO_FILM"}
STAGES = {
    "COLLECTING": "waiting for the study to be complete",
    "QUEUED": "waiting for a worker",
    "RUNNING": "looking",
    "ENCODED": "results encoded",
    "SENDING": "sending to the archive",
    "SENT": "sent, asking for proof",
    "DELIVERED": "delivered and proven",
    "SKIPPED": "not read",
}
STYLES = {"DELIVERED": "green", "SKIPPED": "yellow", "FAILED": "red", "HELD": "red"}


@dataclass(slots=True)
class Progress:
    """What is known of the films so far, and when each came to its end (monotonic seconds)."""

    films: Sequence[DemoFilm]
    started: float = field(default_factory=time.monotonic)
    standings: dict[str, Standing] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)

    def look(self, ledger: Ledger) -> None:
        """Ask the ledger about every film that has not come to its end."""
        for film in self.films:
            if film.key in self.ended:
                continue
            standing = ledger.standing(film.study_instance_uid)
            if standing is None:
                continue
            self.standings[film.key] = standing
            if has_ended(standing):
                self.ended[film.key] = time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether every film has come to an end."""
        return len(self.ended) == len(self.films)


def has_ended(standing: Standing) -> bool:
    """Return whether nothing more will happen to a study by itself."""
    return standing.job_state in ENDS or (
        standing.job_state is None and standing.study_state in WITHOUT_JOB
    )


def follow(
    films: Sequence[DemoFilm], ledger: Ledger, console: Console, limit_s: float
) -> Mapping[str, Standing]:
    """Show the films until all have ended or the time is up; return where they stand."""
    progress = Progress(films)
    with Live(_table(progress), console=console, refresh_per_second=8) as live:
        while not progress.is_over and time.monotonic() - progress.started < limit_s:
            progress.look(ledger)
            live.update(_table(progress))
            time.sleep(LOOK_EVERY_S)
        live.update(_table(progress))
    console.print()
    return progress.standings


def _table(progress: Progress) -> Table:
    table = Table(title="Seven films on their way", title_justify="left", expand=False)
    for name in ("film", "state", "stage", "seconds"):
        table.add_column(name, justify="right" if name == "seconds" else "left")
    now = time.monotonic()
    for film in progress.films:
        standing = progress.standings.get(film.key)
        state = (standing.job_state or standing.study_state) if standing else "-"
        stage = STAGES.get(state, state.lower()) if standing else "sent"
        if standing and standing.reason:
            stage = f"{stage}: {standing.reason}"
        seconds = progress.ended.get(film.key, now) - progress.started
        style = STYLES.get(state, "")
        table.add_row(film.title, state, stage, f"{seconds:.1f}", style=style)
    return table
