"""What a restore could not bring back, by name: rows whose file is not there.

``python -m scripts.drill.losses HOME`` asks a running installation, by the settings of the
environment, else of its folder; 1 when anything is missing.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, create_engine, text

from service import installation
from service.settings import load


@dataclass(frozen=True, slots=True)
class Losses:
    """``films``: recorded, not in the spool; ``results``: made, not delivered, not kept.

    Both are named by SOP Instance UID. ``studies`` are those of both: send them again.
    """

    films: tuple[str, ...]
    results: tuple[str, ...]
    studies: tuple[str, ...]


def look(connection: Connection, home: Path) -> Losses:
    """Compare the rows with the files of an installation."""
    films = connection.execute(
        text("SELECT sop_instance_uid, study_instance_uid, spool_path FROM instances")
    ).all()
    results = connection.execute(
        text(
            "SELECT r.sop_instance_uid, j.study_instance_uid, r.path FROM results r"
            " JOIN jobs j USING (job_id) WHERE j.state IN ('ENCODED', 'SENDING', 'SENT', 'FAILED')"
        )
    ).all()
    gone = [one for one in films if not (home / "spool" / one.spool_path).is_file()]
    owed = [one for one in results if not (home / "results" / one.path).is_file()]
    return Losses(
        films=tuple(sorted(one.sop_instance_uid for one in gone)),
        results=tuple(sorted(one.sop_instance_uid for one in owed)),
        studies=tuple(sorted({one.study_instance_uid for one in (*gone, *owed)})),
    )


def of(home: Path, database_url: str) -> Losses:
    """Ask a running installation."""
    engine = create_engine(database_url)
    try:
        with engine.connect() as connection:
            return look(connection, home)
    finally:
        engine.dispose()


def say(found: Losses) -> None:
    """Print every loss on a line of its own."""
    for word, uids in (
        ("film, send again", found.films),
        ("draft, file missing", found.results),
        ("study, replay it if it has failed", found.studies),
    ):
        for uid in uids:
            print(f"{word}: {uid}")


def main(folder: str) -> int:
    """Name what is missing of the installation in a folder; return the exit code."""
    home = installation.enter(Path(folder))
    missing = of(home, load().database_url.get_secret_value())
    say(missing)
    return 1 if missing.studies else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
