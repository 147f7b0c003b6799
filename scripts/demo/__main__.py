"""Run the demonstration; exit code 0 only if every promise was read back and found kept."""

import argparse
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from scripts import storescu
from scripts.demo import archive, checks, films, left_running, story, viewer, watch
from scripts.demo.archive import Held
from scripts.demo.films import DemoFilm, Outcome
from scripts.demo.stage import Curtain, Stage, running, stop
from scripts.installation import CommandFailed, first_free_port
from scripts.ledger import Ledger, Standing
from service import ohif

FOLDER = Path(__file__).parents[2] / "build" / "demo"
LIMIT_S = 240.0
VIEWER_PORT = 3000
MODALITY = "DEMO_CR"
PLAIN_WIDTH = 120
"""Columns where the output is no terminal: a log of CI, a pipe."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that was read back, by the key of the film."""

    standings: Mapping[str, Standing]
    held: Mapping[str, Held]


@dataclass(frozen=True, slots=True)
class Ending:
    """How the performance ended: promises not kept, and the study worth opening."""

    not_kept: int
    study_instance_uid: str


def main() -> int:
    """Run it all; return the exit code."""
    arguments = _arguments()
    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    folder = arguments.folder.absolute()
    if arguments.stop:
        stop(folder)
        console.print("Stopped.")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that everything is cleaned up
    started = time.monotonic()
    curtain = Curtain()
    try:
        console.print("Starting Orthanc and Carina (embedded Postgres and Valkey) …")
        with running(folder, curtain) as stage:
            ending = _perform(stage, console)
            if arguments.keep and not ending.not_kept:
                _keep(stage, ending.study_instance_uid, console)
                curtain.falls = False
    except (CommandFailed, RuntimeError, OSError) as error:
        console.print(f"The demonstration could not run: {error}", style="bold red", markup=False)
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted; everything was stopped.")
        return 130
    seconds = time.monotonic() - started
    if ending.not_kept:
        console.print(f"Promises not kept: {ending.not_kept}", style="bold red")
        console.print(f"The logs are in {folder / 'carina' / 'logs'}", soft_wrap=True)
        return 1
    console.print(f"Every promise was kept, in {seconds:.0f} s.", style="bold green")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave everything running")
    parser.add_argument("--stop", action="store_true", help="stop what --keep left running")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where everything is kept")
    return parser.parse_args()


def _perform(stage: Stage, console: Console) -> Ending:
    """Send, follow, read back, tell."""
    run = f"{datetime.now(UTC):%Y%m%d%H%M%S%f}"
    made = films.make(stage.folder / "films", run)
    ledger = Ledger(stage.installation.database_url())
    try:
        _send(stage, made, console)
        standings = watch.follow(made, ledger, console, LIMIT_S)
        events = {film.key: ledger.events(film.study_instance_uid) for film in made}
    finally:
        ledger.close()
    seen = Seen(
        standings,
        {film.key: archive.read(stage.archive, film.study_instance_uid) for film in made},
    )
    story.drafts(console, made, seen.held)
    story.timings(console, made, events, seen.standings)
    story.archive(console, made, seen.held)
    verified = stage.installation.carina("audit", "verify")
    told = next(film for film in made if film.outcome is Outcome.FINDING)
    story.audit(console, told, events[told.key], verified)
    pictures = _pictures(stage, made, seen)
    story.pictures(console, pictures)
    kept = [
        check
        for film in made
        for check in checks.of_film(film, standings.get(film.key), seen.held[film.key])
    ]
    kept.append(checks.drawn(made, pictures))
    story.promises(console, kept)
    return Ending(sum(not check.kept for check in kept), told.study_instance_uid)


def _send(stage: Stage, made: Sequence[DemoFilm], console: Console) -> None:
    """Send every film to the archive and to Carina, as a modality does, by dcmtk's storescu."""
    for to in (stage.archive.node, stage.listener):
        sent = storescu.send([film.path for film in made], to, MODALITY)
        if sent.failures:
            raise CommandFailed(f"{to} refused: {', '.join(sent.failures)}")
    console.print(f"Sent {len(made)} films to {stage.archive.node} and to {stage.listener}.")


def _pictures(stage: Stage, made: Sequence[DemoFilm], seen: Seen) -> list[Path]:
    folder = stage.folder / "pictures"
    folder.mkdir(exist_ok=True)
    drawn = []
    for film in made:
        if seen.held[film.key].has_draft:
            path = folder / f"{film.key}.png"
            path.unlink(missing_ok=True)
            stage.installation.carina("show", film.study_instance_uid, "--png", str(path))
            drawn.append(path)
    return drawn


def _keep(stage: Stage, study_instance_uid: str, console: Console) -> None:
    """Start the viewer, write down what stays, and print where everything is."""
    port = first_free_port(VIEWER_PORT)
    served = viewer.start(stage.archive.dicomweb_url, port, stage.folder / "viewer.log")
    left_running.write(stage.folder, [served, left_running.process_of(stage.archive.folder)])
    console.rule("Left running", align="left")
    for name, value in (
        ("DICOM listener", str(stage.listener)),
        ("Orthanc, DICOM", str(stage.archive.node)),
        ("Orthanc, web", stage.archive.url),
        ("Study in OHIF", f"http://127.0.0.1:{port}{ohif.study_path(study_instance_uid)}"),
        ("Installation", str(stage.installation.home)),
        ("Stop it all", "make demo STOP=1"),
    ):
        console.print(f"  {name + ':':<18} {value}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
