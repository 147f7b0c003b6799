"""``python -m scripts.durability``: check that what is answered is on the disk before.

A listener, a worker's reading and the sealer run under strace on a database of their own; then the
listener again, sabotaged. Exit code 1 when the good run breaks the order or a sabotaged one keeps
it, 2 when nothing can be traced here.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.durability import order, runs
from scripts.durability.order import Checked
from scripts.durability.runs import Subject
from scripts.durability.sabotage import Sabotage
from tests import postgres

NOT_POSSIBLE = 2


def main() -> int:
    """Run everything and print one line for each process."""
    parser = argparse.ArgumentParser(prog="python -m scripts.durability", description=__doc__)
    parser.add_argument("--films", type=int, default=5, help="films sent in each run")
    count = parser.parse_args().films
    if not runs.can_trace():
        print("strace is not installed, or may not trace here: `make system`, or another machine")
        return NOT_POSSIBLE
    outcomes = [_run(what, count) for what in Sabotage]
    return 0 if all(outcomes) else 1


def _run(what: Sabotage, count: int) -> bool:
    with _subject(what) as subject:
        found = [("listener", order.examine(subject.receive(runs.films(subject.home, count))))]
        if what is Sabotage.NOTHING:
            found += [(step, order.examine(subject.do(step))) for step in ("read", "seal")]
    for name, checked in found:
        _say(what, name, checked)
    broken = any(checked.violations for _, checked in found)
    return broken is (what is not Sabotage.NOTHING)


def _say(what: Sabotage, name: str, checked: Checked) -> None:
    print(
        f"taken away: {what}; {name}: {checked.answers} answers, {checked.files} files,"
        f" {checked.heads} heads, {len(checked.violations)} out of order",
        flush=True,
    )
    for violation in checked.violations:
        print(f"  {violation}")


@contextmanager
def _subject(what: Sabotage) -> Iterator[Subject]:
    with tempfile.TemporaryDirectory(prefix="carina-durability-") as name:
        server = postgres.shared()
        urls = server.migrated_database()
        yield Subject(Path(name), urls.service, what)
        server.drop_database(urls.name)


if __name__ == "__main__":
    sys.exit(main())
