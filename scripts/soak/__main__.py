"""Send films until the number or the time is reached, drain, check, report; can be taken up."""

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from scripts import storescu
from scripts.installation import CommandFailed
from scripts.soak import checks, report, samples, ward
from scripts.soak.films import Film, Maker
from scripts.soak.ward import Acked, Book

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "soak"
MEMORY = Path("/dev/shm")  # noqa: S108  (removed at once; nothing secret)
PER_SENDER = 5
SAMPLE_EVERY_S = 15.0
DRAIN_S = 1800.0


def main() -> int:
    """Run the soak; 1 when anything was lost, came twice, or the system did not keep up."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped; it can be taken up again"))
    folder: Path = arguments.folder
    if arguments.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    if arguments.report:
        return _report(folder, arguments.into)
    book = Book(folder / "acked.jsonl")
    deadline = time.monotonic() + arguments.minutes * 60
    try:
        with ward.running(folder, arguments.results) as whole:
            watch = samples.Watch(whole, folder / "samples.jsonl")
            try:
                soak = Soak(whole, watch, book, arguments.senders)
                soak.send(arguments.films, deadline)
                soak.drain(DRAIN_S)
                verdict = checks.check(whole, book.acked)
            finally:
                watch.close()
    except (CommandFailed, RuntimeError, TimeoutError) as error:
        print(f"The soak could not go on: {error}", file=sys.stderr)
        return 1
    _write_verdict(folder, verdict)
    return _report(folder, arguments.into)


class Soak:
    """Sends in rounds, so many at once, and never more than the system has room for."""

    def __init__(self, whole: ward.Ward, watch: samples.Watch, book: Book, senders: int) -> None:
        self._whole = whole
        self._watch = watch
        self._book = book
        self._senders = senders
        self._maker = Maker("1")
        self._sampled_at = 0.0

    def send(self, films: int, deadline: float) -> None:
        """Send until ``films`` were answered in all, or the time is over."""
        while self._book.next_number < films and time.monotonic() < deadline:
            self._look()
            at_once = min(self._senders * PER_SENDER, films - self._book.next_number)
            if self._watch.waiting() > 2 * self._senders * PER_SENDER:
                time.sleep(1.0)
                continue
            first = self._book.next_number
            self._round([self._maker.make(number) for number in range(first, first + at_once)])

    def drain(self, limit_s: float) -> None:
        """Wait until every study has ended.

        Raises
        ------
        TimeoutError
            If they have not within ``limit_s``.
        """
        end = time.monotonic() + limit_s
        while waiting := self._watch.waiting():
            if time.monotonic() > end:
                raise TimeoutError(f"{waiting} studies have not ended")
            self._look()
            time.sleep(1.0)
        self._watch.take()

    def _round(self, films: list[Film]) -> None:
        parent = MEMORY if MEMORY.is_dir() else None
        with tempfile.TemporaryDirectory(prefix="carina-soak-", dir=parent) as name:
            paths = [Path(name) / f"{film.number}.dcm" for film in films]
            for path, film in zip(paths, films, strict=True):
                path.write_bytes(film.content)
            _, sent = storescu.send_with(self._senders, paths, self._whole.listener)
        if sent.failures or len(sent.response_s) != len(films):
            print(f"a round was refused, sent again: {sent.failures}", file=sys.stderr)
            time.sleep(5.0)
            return  # the same films again: what was taken is known as identical
        self._book.write(
            [Acked(one.number, one.study_instance_uid, one.sop_instance_uid) for one in films]
        )

    def _look(self) -> None:
        if time.monotonic() - self._sampled_at >= SAMPLE_EVERY_S:
            self._sampled_at = time.monotonic()
            sample = self._watch.take()
            print(
                f"{self._book.next_number} sent, {sample.ended} ended, open {sample.open},"
                f" load {sample.load}",
                file=sys.stderr,
                flush=True,
            )


def _write_verdict(folder: Path, verdict: checks.Verdict) -> None:
    told = {"counts": verdict.counts, "faults": verdict.faults}
    (folder / "verdict.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def _report(folder: Path, into: Path | None) -> int:
    told = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    taken = samples.read(folder / "samples.jsonl")
    print(report.words(taken, told))
    target = folder if into is None else into
    (target / "soak.svg").write_text(report.chart(taken), encoding="utf-8")
    return 1 if told["faults"] else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--films", type=int, default=300, help="in all, earlier runs included")
    parser.add_argument("--senders", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=60.0, help="then it drains and reports")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--results", default="", help="kinds of result; empty: as shipped")
    parser.add_argument("--fresh", action="store_true", help="begin anew in an empty folder")
    parser.add_argument("--report", action="store_true", help="only report on what was measured")
    parser.add_argument("--into", type=Path, default=None, help="folder for the chart")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
