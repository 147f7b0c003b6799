"""Back up under traffic, destroy everything, restore, and prove that nothing was lost or doubled.

Three groups of films: *before* the backup, *during* it, and *after* the last pass over the files.
The first two must come back by themselves; what is missing of the third must be named, and must be
whole once its sender has sent it again. The archive must hold each draft once.
"""

import argparse
import shutil
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Row, TextClause, create_engine, text

from dicom.values import PacsNode
from scripts import storescu
from scripts.drill import losses
from scripts.drill.backup import Backup, destroy
from scripts.installation import CommandFailed, Installation, first_free_port
from scripts.soak import checks
from scripts.soak.films import Film, Maker
from scripts.soak.ward import Acked, Ward
from tests import orthanc

FOLDER = Path(__file__).parents[2] / "build" / "drill"
OPEN = text(
    "SELECT study_instance_uid FROM studies s WHERE NOT EXISTS (SELECT FROM jobs j WHERE"
    " j.study_instance_uid = s.study_instance_uid AND j.revision = s.revision"
    " AND j.state IN ('DELIVERED', 'FAILED', 'SKIPPED', 'SUPERSEDED'))"
)
FAILED = text(
    "SELECT study_instance_uid FROM studies JOIN jobs USING (study_instance_uid, revision)"
    " WHERE jobs.state = 'FAILED'"
)
LIMIT_S = 1200.0
TWICE = "more than one job"


@dataclass
class Drill:
    """One drill in its folder; ``seconds`` by step."""

    folder: Path
    ward: Ward
    maker: Maker = field(default_factory=lambda: Maker("drill"))
    acked: list[Acked] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def run(self, count: int) -> None:
        """Go through the whole drill with ``count`` films in each group."""
        carina = self.ward.installation
        backup = Backup(self.folder / "backup", carina.home)
        self.step("send and deliver before", lambda: self.send(count, wait=True))
        during = threading.Thread(target=self.send, args=(count,))
        during.start()
        self.step("base backup under traffic", backup.start)
        during.join()
        self.step("copy of the files", backup.copy_files)
        self.step("send after the last copy", lambda: self.send(count))
        answered = len(self.acked)
        backup.stop()
        self.step("destroy", lambda: destroy(carina))
        self.step("restore", backup.restore)
        self.step("start and replay the log", lambda: carina.carina("up", limit_s=600))
        lost = losses.of(carina.home, carina.database_url())
        print(f"{answered} films were answered with success; missing are:")
        losses.say(lost)
        self.judge_losses(lost, count)
        self.step("send again what was lost", lambda: self.send_again(lost))
        self.step("deliver the rest", self.wait)
        self.step("read again what had failed", self.read_again)
        self.judge(lost)

    def step(self, name: str, what: Callable[[], object]) -> None:
        """Do one step and note how long it took."""
        started = time.monotonic()
        what()
        self.seconds[name] = time.monotonic() - started
        print(f"{name}: {self.seconds[name]:.1f} s", flush=True)

    def send(self, count: int, *, wait: bool = False) -> None:
        """Send so many new films, each answered before it counts."""
        first = len(self.acked)
        films = [self.maker.make(number) for number in range(first, first + count)]
        self._store(films)
        self.acked += [
            Acked(one.number, one.study_instance_uid, one.sop_instance_uid) for one in films
        ]
        if wait:
            self.wait()

    def send_again(self, lost: losses.Losses) -> None:
        """Send lost films again, as their sender does: the files fall into their places."""
        wanted = {one.number for one in self.acked if one.sop_instance_uid in lost.films}
        if wanted:
            self._store([self.maker.make(number) for number in sorted(wanted)])

    def read_again(self) -> None:
        """Have those studies read anew that failed for want of a file; no other gets two drafts."""
        failed = [str(row.study_instance_uid) for row in self._ask(FAILED)]
        for study in failed:
            self.ward.installation.carina("replay", study)
        self.wait()

    def wait(self) -> None:
        """Wait until the newest job of every study has ended.

        Raises
        ------
        TimeoutError
            If that takes too long.
        """
        deadline = time.monotonic() + LIMIT_S
        while waiting := len(self._ask(OPEN)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{waiting} studies did not end")
            time.sleep(1.0)

    def judge_losses(self, lost: losses.Losses, count: int) -> None:
        """Only films of the last group may be missing."""
        safe = {one.sop_instance_uid for one in self.acked[: 2 * count]}
        if found := safe & set(lost.films):
            self.faults.append(f"{len(found)} films from before the last copy are lost")

    def judge(self, lost: losses.Losses) -> None:
        """Compare with what was answered, from outside: spool, database, archive, audit trail."""
        verdict = checks.check(self.ward, self.acked)
        print(verdict.counts)
        # What failed for want of its file was read anew: two jobs, the first without a draft.
        allowed = bool(lost.films)
        self.faults += [one for one in verdict.faults if not (allowed and TWICE in one)]

    def _ask(self, question: TextClause) -> "Sequence[Row[Any]]":
        engine = create_engine(self.ward.installation.database_url())
        try:
            with engine.connect() as connection:
                return connection.execute(question).all()
        finally:
            engine.dispose()

    def _store(self, films: list[Film]) -> None:
        folder = self.folder / "films"
        folder.mkdir(exist_ok=True)
        paths = [folder / f"{film.number}.dcm" for film in films]
        for path, film in zip(paths, films, strict=True):
            path.write_bytes(film.content)
        sent = storescu.send(paths, self.ward.listener, "DRILL")
        if sent.failures or len(sent.response_s) != len(films):
            raise CommandFailed(f"not every film was answered with success: {sent.failures}")


def main() -> int:
    """Run the drill; 1 when anything was lost that had to come back, or came twice."""
    parser = argparse.ArgumentParser(prog="make drill", description=__doc__)
    parser.add_argument("--films", type=int, default=8, help="in each of the three groups")
    parser.add_argument("--results", default="", help="kinds of result; empty: as shipped")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    folder: Path = arguments.folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    port = first_free_port()
    with orthanc.running(folder / "orthanc") as archive:
        variables = {
            "CARINA_LISTENER_PORT": str(port),
            "CARINA_WEB_PORT": "0",
            "CARINA_PACS": str(archive.node),
            "CARINA_QUIET_PERIOD_S": "1",
            "CARINA_NETWORK_THREADS": "1",
        }
        if arguments.results:
            variables["CARINA_RESULTS"] = arguments.results
        carina = Installation(folder / "carina", variables)
        ward = Ward(carina, PacsNode("CARINA", "127.0.0.1", port), archive)
        drill = Drill(folder, ward)
        try:
            carina.up()
            drill.run(arguments.films)
        except (CommandFailed, TimeoutError) as error:
            drill.faults.append(str(error))
        finally:
            carina.down()
    for fault in drill.faults:
        print(f"FAULT: {fault}")
    print("The drill failed." if drill.faults else "Nothing lost unnamed, nothing twice.")
    return 1 if drill.faults else 0


if __name__ == "__main__":
    sys.exit(main())
