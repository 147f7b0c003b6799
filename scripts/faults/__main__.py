"""``python -m scripts.faults --episodes 50 --seed 1``: a campaign, its ledger, its report."""

import argparse
import signal
import sys
import time
from itertools import islice
from pathlib import Path

from scripts.faults import controls, hospital, ledger
from scripts.faults.episode import Outcome, Run
from scripts.faults.plan import episodes


def main() -> int:
    """Run; exit code 1 when an invariant did not hold."""
    parser = argparse.ArgumentParser(prog="python -m scripts.faults", description=__doc__)
    parser.add_argument("--episodes", type=int, default=25)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="*", help="patterns of faults, comma separated")
    parser.add_argument("--skip", type=int, default=0, help="begin behind so many of the plan")
    parser.add_argument("--minutes", type=float, default=0.0, help="begin no episode after these")
    parser.add_argument("--broker", choices=hospital.BROKERS, default=hospital.VALKEY)
    parser.add_argument("--controls", action="store_true", help="run the negative controls only")
    parser.add_argument("--into", type=Path, help="only write the ledger's figures into this page")
    parser.add_argument("--report", type=Path, default=Path("build/faults"))
    chosen = parser.parse_args()
    # What was started is stopped, also when we are told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if chosen.into:
        ledger.write_into(chosen.into, chosen.report)
        return 0
    failed = _control(chosen) if chosen.controls else _run(chosen)
    ledger.report(chosen.report)
    print(f"report: {chosen.report / 'report.md'}")
    return 1 if failed else 0


def _run(chosen: argparse.Namespace) -> int:
    folder = chosen.report / f"run-{chosen.seed}"
    until = time.monotonic() + (chosen.minutes * 60 or float("inf"))
    plan = islice(episodes(chosen.seed, chosen.only), chosen.skip, chosen.skip + chosen.episodes)
    failed = 0
    with hospital.running(folder, broker=chosen.broker) as system:
        run = Run(system)
        for episode in plan:
            if time.monotonic() > until:
                break
            outcome = run.episode(episode)
            ledger.append(chosen.report, outcome.as_json())
            failed += bool(outcome.violations)
            print(_words(outcome), flush=True)
    return failed


def _control(chosen: argparse.Namespace) -> int:
    failed = 0
    for line in controls.run(chosen.report, chosen.seed):
        ledger.append(chosen.report, line)
        failed += bool(line["violations"])
        print(f"{line['control']}: {line['violations'] or line['found']}", flush=True)
    return failed


def _words(outcome: Outcome) -> str:
    found = outcome.violations or ["held" if outcome.hit is not False else "not met"]
    return (
        f"{outcome.episode.number:4} {outcome.episode.card.name:40} {outcome.wall_s:6.1f} s"
        f"  recovered {outcome.recovery_s} s  {'; '.join([*found, *outcome.notes])}"
    )


if __name__ == "__main__":
    sys.exit(main())
