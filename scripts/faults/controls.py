"""Negative controls: with a guard taken away, the campaign must fail, or it proves nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from scripts.faults import hospital
from scripts.faults.episode import Run
from scripts.faults.hospital import Hospital
from scripts.faults.plan import episodes

ENDING_S = 60.0
TRIES = 3


@dataclass(frozen=True, slots=True)
class Control:
    """A guard that is taken away, the fault that then must be seen, and the words of its finding.

    ``changes`` are those of :mod:`scripts.faults.sabotage`; ``weaken`` works on the running system.
    """

    name: str
    words: str
    card: str
    finding: str
    changes: tuple[str, ...] = ()
    weaken: Callable[[Hospital], None] | None = None


def _drop_unique(system: Hospital) -> None:
    """Drop every constraint that lets a row be there once only, but the primary keys."""
    with psycopg.connect(system.owner_url, autocommit=True) as owner:
        constraints = owner.execute(
            "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'u'"
            " AND conrelid::regclass::text IN ('jobs', 'results', 'instances')"
        ).fetchall()
        for table, name in constraints:
            owner.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}".encode())
        indexes = owner.execute(
            "SELECT indexname FROM pg_indexes WHERE indexdef LIKE 'CREATE UNIQUE%' AND tablename"
            " IN ('jobs', 'results', 'instances') AND indexname NOT LIKE 'pk_%'"
        ).fetchall()
        for (name,) in indexes:
            owner.execute(f"DROP INDEX {name}".encode())


CONTROLS = (
    Control(
        "fsync removed",
        "nothing is synced; no kill shows it, the order of system calls does",
        "order:syscalls",
        "order:",
        changes=("no-fsync",),
    ),
    Control(
        "fsync removed, power cut",
        "nothing is synced; the disk of a machine that comes up again lacks what was answered",
        "power:cut",
        "power cut,",
        changes=("no-fsync",),
    ),
    Control(
        "reply before commit",
        "the listener answers 0x0000 and records the instance a second later",
        "failpoint:listener.before-commit",
        "received:",
        changes=("reply-first",),
    ),
    Control(
        "unique constraints dropped",
        "jobs, results and instances may have two rows of one kind",
        "writer:second",
        "delivered: study",
        weaken=_drop_unique,
    ),
    Control(
        "fence dropped",
        "a worker's writes are taken also when another has claimed the job",
        "frozen:worker.before-encode",
        "lost the job",
        changes=("no-fence",),
    ),
)


def run(folder: Path, seed: int) -> Iterator[dict[str, object]]:
    """Run every control; each line says what was found, ``violations`` where nothing was."""
    for control in CONTROLS:
        yield _run(control, folder, seed)


def _run(control: Control, folder: Path, seed: int) -> dict[str, object]:
    """Take the guard away and break the system until the campaign sees it, a few times at most."""
    found: list[str] = []
    with hospital.running(folder / "control", control.changes) as system:
        if control.weaken is not None:
            control.weaken(system)
        campaign = Run(system, ending_s=ENDING_S)
        for episode, _ in zip(episodes(seed, control.card), range(TRIES), strict=False):
            found = [one for one in campaign.episode(episode).violations if control.finding in one]
            if found:
                break
    return _line(control.name, control.words, found)


def _line(name: str, words: str, found: list[str]) -> dict[str, object]:
    violations = [] if found else ["the campaign did not notice"]
    return {"control": name, "words": words, "found": found, "violations": violations}
